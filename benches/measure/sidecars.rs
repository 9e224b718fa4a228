//! Many providers on one Redis, one for each Traefik.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::figures::Times;
use super::page::Block;
use super::process::{cpu, memory};
use super::support::cli::Cli;
use super::support::poll::Poller;
use super::support::provider::{self, Provider};
use super::support::redis::Redis;
use super::support::stack::CONFIG;

/// The numbers of providers.
const PROVIDERS: [usize; 3] = [1, 10, 100];

/// Flips for each of them, by SET and by the command.
const FLIPS: usize = 11;

/// For how long nothing changes.
const IDLE: Duration = Duration::from_secs(10);

/// Between two flips: the polls come back, and are held.
const PAUSE: Duration = Duration::from_millis(500);

pub async fn measure(block: &mut Block) {
    block.line(format!(
        "{:>9}  {:>9}  {:>8}  {:>8}  {:>12}  {:>14}  {:>11}  {:>14}",
        "providers",
        "median ms",
        "last ms",
        "worst ms",
        "`flip` ms",
        "Redis CPU/flip",
        "MB/provider",
        "idle CPU, each"
    ));
    for providers in PROVIDERS {
        one(block, providers).await;
    }
    block.line("");
    block.line(format!(
        "until the median and the last provider's poller has the document, of {FLIPS} SETs; `flip`: the whole command, \
         until all"
    ));
    block.line("have confirmed; idle CPU: of a provider and of Redis for it, in % of a core");
}

async fn one(block: &mut Block, number: usize) {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    let start = stream::iter(0..number).map(async |_| {
        let provider = provider::Options::new(CONFIG, &redis.url()).start().await;
        let mut poller = Poller::connect(provider.address()).await;
        poller.poll(&HEADERS).await;
        poller.send_poll(&HEADERS).await;
        (provider, poller)
    });
    let started: Vec<_> = start.buffered(1).collect().await;
    let (providers, pollers): (Vec<Provider>, Vec<Poller>) = started.into_iter().unzip();
    let (sender, mut arrivals) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for mut poller in pollers {
        let sender = sender.clone();
        tasks.spawn(async move {
            loop {
                let received = poller.receive().await;
                // The measurement may be over.
                let _ = sender.send(received.at);
                poller.send_poll(&HEADERS).await;
            }
        });
    }

    tokio::time::sleep(PAUSE).await;
    let before = (cpu(redis.pid()), of_all(&providers));
    tokio::time::sleep(IDLE).await;
    let each = 100.0 / IDLE.as_secs_f64() / number as f64;
    let redis_idle = (cpu(redis.pid()) - before.0) * each;
    let idle = (of_all(&providers) - before.1) * each;

    let (mut median, mut last) = (Times::default(), Times::default());
    let mut colors = ["green", "blue"].iter().cycle();
    let before = cpu(redis.pid());
    for color in colors.by_ref().take(FLIPS) {
        let set = Instant::now();
        let command = redis::cmd("SET").arg("active").arg(color).to_owned();
        let () = command.query_async(&mut connection).await.unwrap();
        let mut times = Times::default();
        while times.len() < number {
            times.push(arrivals.recv().await.unwrap() - set);
        }
        median.push(Duration::from_secs_f64(times.median() / 1000.0));
        last.push(Duration::from_secs_f64(times.worst() / 1000.0));
        tokio::time::sleep(PAUSE).await;
    }
    let seconds = (PAUSE * FLIPS as u32).as_secs_f64();
    let per_flip = (cpu(redis.pid()) - before - redis_idle / 100.0 * number as f64 * seconds)
        .max(0.0)
        / FLIPS as f64;

    let mut flips = Times::default();
    for color in colors.take(FLIPS) {
        let flip = Cli::new(&["flip", color, "--no-verify"]).of(&providers[0]);
        let began = Instant::now();
        flip.any_stdout().any_stderr().run().await;
        flips.push(began.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    let resident: f64 = providers.iter().map(|one| memory(one.pid())).sum();
    block.line(format!(
        "{number:>9}  {:>9.2}  {:>8.2}  {:>8.2}  {:>12.1}  {:>11.1} ms  {:>11.1}  {idle:>6.2} + {redis_idle:>4.2} %",
        median.median(),
        last.median(),
        last.worst(),
        flips.median(),
        per_flip * 1000.0,
        resident / 1000.0 / number as f64,
    ));
}

/// What the pollers ask for.
const HEADERS: [(&str, &str); 1] = [("Prefer", "wait=300")];

fn of_all(providers: &[Provider]) -> f64 {
    providers.iter().map(|one| cpu(one.pid())).sum()
}
