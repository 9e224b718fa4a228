//! How many Traefiks one provider carries: held polls, all answered at one SET.
//!
//! For each number of polls: the time from the SET until the first, the median and the last poller has the last byte of
//! the new document (the medians over several flips, and the worst last one); the provider's CPU time for a flip, with
//! its reports to the store; its memory for each poll; and its CPU time while nothing changes. The pollers are in this
//! process, on the same cores, and each is an instance of its own.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::page::Block;
use super::process::{cpu, memory};
use super::support::eventually;
use super::support::poll::Poller;
use super::support::provider::{self, Provider};
use super::support::redis::Redis;
use super::support::stack::CONFIG;

/// The numbers of polls.
const POLLS: [usize; 4] = [1, 100, 1_000, 10_000];

/// Flips for each of them.
const FLIPS: usize = 11;

/// For how long nothing changes.
const IDLE: Duration = Duration::from_secs(10);

/// Between two flips: the polls come back, and are held.
const PAUSE: Duration = Duration::from_secs(1);

/// After a flip the reports of all instances are written.
const SETTLE: Duration = Duration::from_secs(3);

pub async fn measure(block: &mut Block) {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    block.line(format!(
        "{:>6}  {:>9}  {:>9}  {:>9}  {:>9}  {:>10}  {:>9}  {:>8}",
        "polls", "first ms", "median ms", "last ms", "worst ms", "CPU/flip", "kB/poll", "idle CPU"
    ));
    for polls in POLLS {
        if (polls as u64) + 200 > files {
            block.line(format!(
                "{polls:>6}  skipped: only {files} files can be open"
            ));
            continue;
        }
        one(block, polls).await;
    }
}

async fn one(block: &mut Block, polls: usize) {
    let redis = Redis::start().await;
    let provider = provider::Options::new(CONFIG, &redis.url()).start().await;
    let mut connection = redis.connection().await;
    let empty = memory(provider.pid());
    let (sender, mut arrivals) = mpsc::unbounded_channel();
    let connect = stream::iter(0..polls).map(async |i| {
        let name = format!("edge-{i}");
        let mut poller = Poller::connect(provider.address()).await;
        let headers = [("Prefer", "wait=300"), ("X-Traefik-Instance", &*name)];
        poller.poll(&headers).await;
        poller.send_poll(&headers).await;
        (poller, name)
    });
    let pollers: Vec<_> = connect.buffer_unordered(64).collect().await;
    // They end before the provider does.
    let mut tasks = JoinSet::new();
    for (mut poller, name) in pollers {
        let sender = sender.clone();
        tasks.spawn(async move {
            loop {
                let received = poller.receive().await;
                // The measurement may be over.
                let _ = sender.send(received.at);
                let headers = [("Prefer", "wait=300"), ("X-Traefik-Instance", &*name)];
                poller.send_poll(&headers).await;
            }
        });
    }
    all_held(&provider, polls).await;
    let full = memory(provider.pid());
    tokio::time::sleep(SETTLE).await;

    let before = cpu(provider.pid());
    let mut flips = Vec::new();
    for color in ["green", "blue"].into_iter().cycle().take(FLIPS) {
        let set = Instant::now();
        let () = ::redis::cmd("SET")
            .arg("active")
            .arg(color)
            .query_async(&mut connection)
            .await
            .unwrap();
        let mut times = Vec::new();
        while times.len() < polls {
            times.push(arrivals.recv().await.unwrap() - set);
        }
        times.sort();
        flips.push([times[0], times[polls / 2], times[polls - 1]]);
        tokio::time::sleep(PAUSE).await;
    }
    tokio::time::sleep(SETTLE).await;
    let waited = (SETTLE + PAUSE * FLIPS as u32).as_secs_f64();
    let during = cpu(provider.pid()) - before;

    let before = cpu(provider.pid());
    tokio::time::sleep(IDLE).await;
    let idle = (cpu(provider.pid()) - before) / IDLE.as_secs_f64();
    let per_flip = (during - idle * waited).max(0.0) / FLIPS as f64;
    let median = |which: usize| {
        let mut times: Vec<_> = flips.iter().map(|flip| flip[which]).collect();
        times.sort();
        millis(times[FLIPS / 2])
    };
    let worst = flips.iter().map(|flip| flip[2]).max().unwrap();
    block.line(format!(
        "{polls:>6}  {:>9.2}  {:>9.2}  {:>9.2}  {:>9.2}  {:>7.1} ms  {:>9.1}  {:>6.2} %",
        median(0),
        median(1),
        median(2),
        millis(worst),
        per_flip * 1000.0,
        (full - empty) / polls as f64,
        idle * 100.0,
    ));
}

/// Waits until the provider holds this many polls.
async fn all_held(provider: &Provider, polls: usize) {
    eventually("all polls are held", Duration::from_secs(60), async || {
        let metrics = provider.get("/metrics").await;
        let held = metrics
            .text()
            .lines()
            .filter(|line| line.starts_with("bluegreen_instance_held{") && line.ends_with(" 1"));
        match held.count() {
            count if count == polls => Ok(()),
            count => Err(format!("{count} of {polls}")),
        }
    })
    .await;
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
