//! How long a flip takes: from the change to the end of the first answer of the new color, through a real Traefik.
//!
//! All in one run on the same backends. One Traefik with the recommended settings has this provider, Traefik's file
//! provider and Traefik's Redis provider side by side, each for a host of its own, and all of them profit from the same
//! default certificate; their flips alternate. Two more Traefiks have Traefik's default settings (poll every 5 s): one
//! is held by this provider, the other polls plainly, because it asks for no hold.
//!
//! Then our own share of it: from the SET to the last byte of the document at a poller.

#![allow(
    missing_docs,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and what fails here is a failed benchmark"
)]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use support::backend::Backend;
use support::http::Connection;
use support::poll::Poller;
use support::provider;
use support::redis::Redis;
use support::traefik::{Options, Traefik};

/// Flips of each of the fast ways.
const FLIPS: usize = 60;

/// Flips of the ways that take seconds.
const SLOW_FLIPS: usize = 12;

/// Changes that are seen at a poller.
const CHANGES: usize = 2000;

/// Above Traefik's throttle of the fast ways, so that it delays none of them.
const PAUSE: Duration = Duration::from_millis(150);

/// Above Traefik's default throttle of 2 s.
const SLOW_PAUSE: Duration = Duration::from_millis(2500);

/// Longer than any way takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo bench` passes `--bench`, `cargo test --benches` nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("the benchmark is skipped: run `make bench`");
        return;
    }
    let redis = Redis::start().await;
    let backend = Backend::start("api", &["blue", "green"]).await;
    let config = format!(
        "stacks: {{ deals: {{ services: {{ api: {{ rule: 'Host(`ours.localhost`)', \
         servers: {{ blue: '{}', green: '{}' }} }} }} }} }}\ndefaultCertificate: generated\n",
        backend.url("blue"),
        backend.url("green")
    );
    let provider = provider::Options::new(&config, &redis.url()).start().await;
    let files = tempfile::tempdir().unwrap();
    write_file(files.path(), &backend.url("blue"));
    write_redis(&redis, "blue").await;
    for color in ["blue", "green"] {
        let key = format!("traefik/http/services/{color}/loadbalancer/servers/0/url");
        redis.cli(&["SET", &key, &backend.url(color)]).await;
    }
    redis
        .cli(&[
            "SET",
            "traefik/http/routers/redis/rule",
            "Host(`redis.localhost`)",
        ])
        .await;

    let traefik = Options::recommended(&provider.url(), "recommended")
        .arg(&format!(
            "--providers.file.directory={}",
            files.path().display()
        ))
        .arg(&format!(
            "--providers.redis.endpoints=127.0.0.1:{}",
            redis.port()
        ))
        .start()
        .await;
    let stock = |instance: &str| {
        Options::http(&provider.url())
            .header("X-Traefik-Instance", instance)
            .poll_interval("5s")
    };
    let held = stock("default-settings").start().await;
    let plain = stock("plain-polling")
        .header("Prefer", "wait=0")
        .start()
        .await;
    for host in ["ours.localhost", "file.localhost", "redis.localhost"] {
        traefik.wait_for(host, "blue").await;
    }
    held.wait_for("ours.localhost", "blue").await;
    plain.wait_for("ours.localhost", "blue").await;

    println!("from the change to the end of the first answer of the new color, in ms\n");
    println!(
        "{:<54}{:>5}{:>10}{:>10}{:>10}{:>12}",
        "", "n", "p50", "p90", "worst", "p50 / ours"
    );
    let mut redis_connection = redis.connection().await;
    let (mut ours, mut file, mut own_redis) = (Vec::new(), Vec::new(), Vec::new());
    for color in ["green", "blue"].iter().cycle().take(FLIPS) {
        let began = Instant::now();
        set(&mut redis_connection, "active", color).await;
        ours.push(until(&traefik, "ours.localhost", color, began).await);
        tokio::time::sleep(PAUSE).await;

        let began = Instant::now();
        write_file(files.path(), &backend.url(color));
        file.push(until(&traefik, "file.localhost", color, began).await);
        tokio::time::sleep(PAUSE).await;

        let began = Instant::now();
        set(
            &mut redis_connection,
            "traefik/http/routers/redis/service",
            color,
        )
        .await;
        own_redis.push(until(&traefik, "redis.localhost", color, began).await);
        tokio::time::sleep(PAUSE).await;
    }
    let reference = quantile(&mut ours, 0.5);
    row("this provider, recommended settings", &mut ours, reference);
    row(
        "Traefik's file provider, same settings",
        &mut file,
        reference,
    );
    row(
        "Traefik's Redis provider, same settings",
        &mut own_redis,
        reference,
    );

    let (mut by_hold, mut by_poll) = (Vec::new(), Vec::new());
    for color in ["green", "blue"].iter().cycle().take(SLOW_FLIPS) {
        // Not in step with the polls.
        tokio::time::sleep(SLOW_PAUSE + Duration::from_millis(fastrand::u64(..5000))).await;
        let began = Instant::now();
        set(&mut redis_connection, "active", color).await;
        let (hold, poll) = tokio::join!(
            until(&held, "ours.localhost", color, began),
            until(&plain, "ours.localhost", color, began)
        );
        by_hold.push(hold);
        by_poll.push(poll);
    }
    row(
        "this provider, Traefik's default settings",
        &mut by_hold,
        reference,
    );
    row(
        "plain polling, Traefik's default settings (5 s)",
        &mut by_poll,
        reference,
    );

    println!("\nour own share: from the SET to the last byte of the document at a poller, in ms\n");
    println!(
        "{:<54}{:>5}{:>10}{:>10}{:>10}",
        "", "n", "p50", "p99", "worst"
    );
    let mut shares = Vec::new();
    let mut poller = Poller::connect(provider.address()).await;
    poller.poll(&[]).await;
    let current = redis.cli(&["GET", "active"]).await;
    let colors = if current == "blue" {
        ["green", "blue"]
    } else {
        ["blue", "green"]
    };
    for color in colors.iter().cycle().take(CHANGES) {
        poller.send_poll(&[("Prefer", "wait=50")]).await;
        // Long enough for the poll to be held.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let began = Instant::now();
        let (answer, ()) = tokio::join!(
            poller.receive(),
            set(&mut redis_connection, "active", color)
        );
        shares.push(answer.at - began);
    }
    let (p50, p99) = (quantile(&mut shares, 0.5), quantile(&mut shares, 0.99));
    let worst = quantile(&mut shares, 1.0);
    println!(
        "{:<54}{CHANGES:>5}{:>10.2}{:>10.2}{:>10.2}",
        "SET to document",
        ms(p50),
        ms(p99),
        ms(worst)
    );
}

async fn set(redis: &mut redis::aio::MultiplexedConnection, key: &str, value: &str) {
    let (): () = redis::cmd("SET")
        .arg(key)
        .arg(value)
        .query_async(redis)
        .await
        .unwrap();
}

async fn write_redis(redis: &Redis, color: &str) {
    redis
        .cli(&["SET", "traefik/http/routers/redis/service", color])
        .await;
}

/// As a careful script would: the new file takes the place of the old one.
fn write_file(dir: &Path, url: &str) {
    let text = format!(
        "http:\n  routers: {{ file: {{ rule: 'Host(`file.localhost`)', service: active }} }}\n  \
         services: {{ active: {{ loadBalancer: {{ servers: [{{ url: '{url}' }}] }} }} }}\n"
    );
    std::fs::write(dir.join("routing.tmp"), text).unwrap();
    std::fs::rename(dir.join("routing.tmp"), dir.join("routing.yml")).unwrap();
}

/// Asks on one connection until the color answers; returns the time since `began`.
async fn until(traefik: &Traefik, host: &str, color: &str, began: Instant) -> Duration {
    let mut connection = Connection::open(traefik.web()).await.unwrap();
    loop {
        let answer = connection.get(host, "/", &[]).await.unwrap();
        if answer.color() == Some(color) {
            return began.elapsed();
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{host} stays at {:?}",
            answer.color()
        );
        // Traefik needs a core to apply the change with.
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}

fn row(name: &str, times: &mut [Duration], reference: Duration) {
    let (p50, p90, worst) = (
        quantile(times, 0.5),
        quantile(times, 0.9),
        quantile(times, 1.0),
    );
    let ratio = p50.as_secs_f64() / reference.as_secs_f64();
    println!(
        "{name:<54}{:>5}{:>10.1}{:>10.1}{:>10.1}{ratio:>12.1}",
        times.len(),
        ms(p50),
        ms(p90),
        ms(worst)
    );
}

/// The smallest value that so large a part of all does not exceed.
fn quantile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    let rank = (times.len() as f64 * part).ceil() as usize;
    times[rank.max(1) - 1]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
