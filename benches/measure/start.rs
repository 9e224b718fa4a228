//! Processes as a whole: `serve` from its start to its first document, and `flip --no-wait`.

use std::time::{Duration, Instant};

use super::figures::Times;
use super::page::Block;
use super::process::memory;
use super::support::cli::Cli;
use super::support::http;
use super::support::port::{free_port, loopback};
use super::support::process::{Log, Process, guarded};
use super::support::provider::{self, clean_environment};
use super::support::redis::Redis;
use super::support::stack::CONFIG;

/// Starts of each.
const STARTS: usize = 51;

pub async fn measure(block: &mut Block) {
    let redis = Redis::start().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bluegreen.yml"), CONFIG).unwrap();
    let (mut ready, mut resident) = (Times::default(), 0.0_f64);
    for _ in 0..STARTS {
        let address = loopback(free_port());
        let mut command = guarded(env!("CARGO_BIN_EXE_bluegreen"));
        clean_environment(&mut command);
        command.current_dir(dir.path()).arg("serve");
        command.args(["--store", &redis.url(), "--listen", &address.to_string()]);
        let began = Instant::now();
        let process = Process::spawn("bluegreen serve", &mut command, &Log::default());
        while !http::get(address, "localhost", "/traefik", &[])
            .await
            .is_ok_and(|answer| answer.status == 200)
        {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        ready.push(began.elapsed());
        resident = resident.max(memory(process.pid()));
    }

    let provider = provider::Options::new(CONFIG, &redis.url()).start().await;
    let mut flips = Times::default();
    for color in ["green", "blue"].iter().cycle().take(STARTS) {
        let flip = Cli::new(&["flip", color, "--no-wait", "--no-verify"]).of(&provider);
        let began = Instant::now();
        flip.any_stdout().any_stderr().run().await;
        flips.push(began.elapsed());
    }

    block.line(format!(
        "{:<42}{:>6}{:>10}{:>10}{:>10}",
        "in ms", "n", "p50", "p90", "worst"
    ));
    for (name, times) in [
        ("serve, from its exec to its first document", &ready),
        ("flip --no-wait, the whole process", &flips),
    ] {
        block.line(format!(
            "{name:<42}{:>6}{:>10.1}{:>10.1}{:>10.1}",
            times.len(),
            times.median(),
            times.quantile(0.9),
            times.worst()
        ));
    }
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_bluegreen")).unwrap();
    block.line("");
    block.line(format!(
        "serve takes {:.1} MB by then, at most; the program has {:.1} MB",
        resident / 1000.0,
        binary.len() as f64 / 1e6
    ));
}
