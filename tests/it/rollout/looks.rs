//! The looks at the figures while a flip is baked: who looks, at whom, and what it says of what can't be seen.

use std::time::Duration;

use serde_json::Value;

use super::edges::{Edges, stop};
use crate::support::backend::Overload;
use crate::support::eventually;

/// Longer than any test takes.
const LONG: [&str; 4] = ["flip", "green", "--bake", "10m"];

const LATENCY: &str = "latency: { limit: 200ms }";
const SLOW: Overload = Overload::Slow(Duration::from_millis(300));

/// The record, once the rollout has ended.
async fn ended(site: &Edges) -> Value {
    let patience = Duration::from_secs(40);
    eventually("the rollout has ended", patience, async || {
        let record = site.record().await;
        if record["outcome"].is_null() {
            Err(record.to_string())
        } else {
            Ok(record)
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bake_ends_as_soon_as_the_figures_fail_and_keeps_what_was_measured() {
    let site = Edges::start(LATENCY).await;
    let load = site.load().await;
    let run = site.command(&LONG).code(4).start();
    run.says("watching production").await;
    site.services[1].bears("green", 0.0, SLOW);
    let said = run.end().await;
    for part in [
        "the figures fail on green: analysis latency mcp green (p95 ",
        "rolled back to blue, which every instance has confirmed",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    assert_eq!(site.key().await, "blue");
    let samples = stop(load).await;
    assert!(!samples.iter().any(|(_, sample)| sample.failed()));
    let record = ended(&site).await;
    let measured = record["done"][0]["measured"].as_array().unwrap();
    let mcp = measured
        .iter()
        .find(|one| one["service"] == "mcp" && one["color"] == "green");
    assert!(mcp.unwrap()["latency"].as_f64().unwrap() > 0.2, "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_carries_a_bake_on_looks_as_well() {
    let site = Edges::start(LATENCY).await;
    let load = site.load().await;
    let run = site.command(&LONG).start();
    run.says("watching production").await;
    run.kill();
    site.services[0].bears("green", 0.0, SLOW);
    let record = ended(&site).await;
    assert_eq!(
        record["outcome"]["cause"]["what"], "analysisFails",
        "{record}"
    );
    assert_eq!(record["outcome"]["effect"], "rolledBack", "{record}");
    assert_eq!(site.key().await, "blue");
    let samples = stop(load).await;
    assert!(!samples.iter().any(|(_, sample)| sample.failed()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_goes_is_told_once_and_the_others_are_judged() {
    let mut site = Edges::start(LATENCY).await;
    let load = site.load_on(0).await;
    let run = site.command(&["flip", "green", "--bake", "6s"]);
    let run = run.stdout("blue → green").start();
    run.says("watching production").await;
    site.traefiks[1].kill();
    let said = run.end().await;
    load.stop().await.assert_no_failures();
    let told = said.matches("edge-2 at 127.0.0.2").count();
    // Once when it was noticed, and perhaps once more in the end, where all is told.
    assert!((1..=2).contains(&told), "{said}");
    assert!(
        said.contains("passed      analysis    latency api green"),
        "{said}"
    );
    assert!(
        said.contains("production kept passing for 6s: api green: "),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_goes_on_where_nothing_can_be_read() {
    let site = Edges::start(LATENCY).await;
    site.metrics_are_elsewhere();
    let said = site.command(&LONG).code(4).run().await.stderr;
    for part in [
        "unmeasured  analysis    metrics",
        "the figures fail on green: analysis latency api green (nothing could be read; 2 looks in a row)",
        "rolled back to blue, which",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    assert_eq!(site.key().await, "blue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_requests_are_told_and_say_nothing() {
    let site = Edges::start(LATENCY).await;
    let run = site.command(&["flip", "green", "--bake", "1s"]);
    let said = run.stdout("blue → green").run().await.stderr;
    let few = "skipped     analysis    latency api green: not enough requests: ";
    assert!(said.contains(few), "{said}");
    assert!(said.contains("production kept passing for 1s"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_bake_there_is_nothing_to_look_at() {
    let site = Edges::start(LATENCY).await;
    let run = site.command(&["flip", "green", "--json"]).any_stdout();
    let json = run.run().await.json();
    let checks = json["checks"].as_array().unwrap();
    assert!(!checks.is_empty());
    assert!(
        !checks.iter().any(|check| check["kind"] == "analysis"),
        "{json}"
    );
    let run = site.command(&["flip", "blue", "--json", "--bake", "1s"]);
    let json = run.any_stdout().run().await.json();
    let checks = json["checks"].as_array().unwrap();
    assert!(
        checks.iter().any(|check| check["kind"] == "analysis"),
        "{json}"
    );
}
