//! What things cost in instructions, as valgrind counts them: however busy the machine is, the same work costs the same.
//!
//! The counts of this debug build are compared with those in `cost/baseline.txt`. Where something is meant to cost more,
//! or another compiler makes another program, `make baseline` writes them anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::support::poll::Poller;
use crate::support::process::guarded;
use crate::support::provider;
use crate::support::redis::Redis;
use crate::support::stack::CONFIG;

/// So many times its baseline something may cost.
const TOLERANCE: f64 = 1.2;

/// `make baseline` sets it.
const WRITE_BASELINE: &str = "BLUEGREEN_WRITE_BASELINE";

/// What makes a process count its instructions, and say at its end how many there were.
const COUNTED: [&str; 3] = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_costs_more_than_it_did() {
    let (few, many) = (200, 400);
    let [read_few, read_many] = [few, many].map(|services| run("check", services));
    let [rendered_few, rendered_many] = [few, many].map(|services| run("render", services));
    let services = f64::from(many - few);
    let (few_flips, many_flips) = (50, 250);
    let flips = [flip(few_flips).await, flip(many_flips).await];
    let costs = [
        ("read-a-service", (read_many - read_few) / services),
        (
            "render-a-service",
            ((rendered_many - read_many) - (rendered_few - read_few)) / services,
        ),
        (
            "flip",
            (flips[1] - flips[0]) / f64::from(many_flips - few_flips),
        ),
    ];
    if std::env::var_os(WRITE_BASELINE).is_some() {
        let mut text = String::from("# Instructions of the debug build; see tests/it/cost.rs.\n");
        for (name, cost) in costs {
            writeln!(text, "{name} {cost:.0}").unwrap();
        }
        std::fs::write(baseline(), text).unwrap();
        return;
    }
    let baseline = std::fs::read_to_string(baseline()).unwrap();
    for (name, cost) in costs {
        let line = baseline.lines().find_map(|line| line.strip_prefix(name));
        let before: f64 = line.unwrap().trim().parse().unwrap();
        println!(
            "{name}: {cost:.0} instructions, {:.2} of the baseline",
            cost / before
        );
        assert!(
            cost <= before * TOLERANCE,
            "{name} costs {cost:.0} instructions, {:.2} times what it did: if that is meant, or the compiler is \
             another one, run `make baseline`",
            cost / before
        );
    }
}

fn baseline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cost/baseline.txt")
}

/// The instructions of one run of a command on a config with so many services.
fn run(command: &str, services: u32) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("stacks:\n  deals:\n    services:\n");
    for service in 0..services {
        writeln!(
            text,
            "      service-{service}: {{ rule: 'Host(`{service}.localhost`)', servers: {{ blue: http://127.0.0.1:1, green: http://127.0.0.1:2 }} }}"
        )
        .unwrap();
    }
    std::fs::write(dir.path().join("bluegreen.yml"), text).unwrap();
    let mut counted = guarded(COUNTED[0]);
    counted
        .args(&COUNTED[1..])
        .arg(env!("CARGO_BIN_EXE_bluegreen"));
    provider::clean_environment(&mut counted);
    let output = counted
        .arg(command)
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    instructions(&said)
}

/// The instructions of a provider during whose life so many changes went to one poller.
async fn flip(changes: u16) -> f64 {
    let redis = Redis::start().await;
    let mut provider = provider::Options::new(CONFIG, &redis.url())
        .under(&COUNTED)
        .start()
        .await;
    let mut connection = redis.connection().await;
    let mut poller = Poller::connect(provider.address()).await;
    poller.poll(&[]).await;
    for color in ["green", "blue"].iter().cycle().take(changes.into()) {
        poller.send_poll(&[]).await;
        let set = ::redis::cmd("SET").arg("active").arg(color).to_owned();
        let () = set.query_async(&mut connection).await.unwrap();
        poller.receive().await;
    }
    provider.terminate().await;
    instructions(&provider.log().to_string())
}

/// What callgrind says at the end: `Collected : 71599512`.
fn instructions(said: &str) -> f64 {
    let count = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.unwrap_or_else(|| panic!("no count in {said}"));
    count.trim().parse().unwrap()
}
