//! Several providers, as on several hosts: one of them carries on what nobody runs; or none, where none may.

use std::time::Duration;

use serde_json::Value;

use super::site::Site;
use crate::support::eventually;
use crate::support::provider::{self, Provider};

/// A provider with the config of the site, on another host.
async fn another(site: &Site) -> Provider {
    let config = std::fs::read_to_string(site.provider.config()).unwrap();
    let options = provider::Options::new(&config, &site.redis.url());
    options.start().await
}

/// The provider that runs the rollout, and the other one.
fn runner_first<'a>(
    record: &Value,
    providers: [&'a mut Provider; 2],
) -> (&'a mut Provider, &'a mut Provider) {
    let [one, other] = providers;
    let port = format!(":{}/", one.address().port());
    let name = record["runner"]["name"].as_str().unwrap_or_default();
    match name.contains(&port) {
        true => (one, other),
        false => (other, one),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_provider_carries_on_what_nobody_runs() {
    let mut site = Site::start().await;
    let mut second = another(&site).await;
    let run = site.flip(&["--bake", "10m"]).start();
    run.says("watching production").await;
    run.kill();
    let record = site.is_taken_over().await;
    let abort = site.command(&["rollout", "abort"]).any_stdout();
    abort.run().await;
    let record_then = site.rollout_ends().await;
    assert_eq!(record_then["runner"], record["runner"]);
    let (runner, other) = runner_first(&record, [&mut site.provider, &mut second]);
    runner.log_contains("the rollout has ended").await;
    for text in ["the rollout has ended", "taken the rollout's place"] {
        assert_eq!(other.log().count(text), 0, "{}", other.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_stops_leaves_its_rollout_to_another_one_at_once() {
    let mut site = Site::start().await;
    let mut second = another(&site).await;
    let run = site.flip(&["--bake", "10m", "--detach"]).any_stdout();
    run.run().await;
    site.key_is("green").await;
    let before = site.is_taken_over().await;
    let (runner, _) = runner_first(&before, [&mut site.provider, &mut second]);
    runner.terminate().await;
    let lease = site.redis.cli(&["GET", "{active}:lease"]).await;
    let token = before["runner"]["token"].as_str().unwrap();
    assert!(!lease.contains(token), "it has kept the lease: {lease}");
    let abort = site.command(&["rollout", "abort"]).any_stdout();
    abort.run().await;
    let after = site.rollout_ends().await;
    assert_ne!(after["runner"]["name"], before["runner"]["name"]);
    assert_eq!(site.moves().await, ["blue", "green"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_provider_may_a_terminal_goes_on() {
    let site = Site::without_rollouts().await;
    let run = site.flip(&["--bake", "8s"]).start();
    run.says("watching production").await;
    run.kill();
    site.lease_is_over().await;
    let shown = site.command(&["rollout"]);
    let shown = shown.stdout("abandoned at stage: watching production");
    shown
        .stdout("`bluegreen rollout resume` goes on here")
        .run()
        .await;
    let resume = site.command(&["rollout", "resume"]);
    resume.stdout("blue → green").run().await;
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "done", "{record}");
    assert_eq!(site.moves().await, ["green"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_provider_may_a_terminal_goes_back() {
    let site = Site::without_rollouts().await;
    let run = site.flip(&["--bake", "10m"]).start();
    run.says("watching production").await;
    run.kill();
    site.lease_is_over().await;
    let abort = site.command(&["rollout", "abort"]);
    abort.stdout("rolled back to blue").run().await;
    assert_eq!(site.moves().await, ["blue", "green"]);
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_takes_over_another_config_knows_its_rollout_all_the_same() {
    let mut site = Site::start().await;
    let in_force = "the new config is in force";
    site.provider.log_contains(in_force).await;
    site.services[0].stop("green").await;
    let run = site.flip(&[]).start();
    run.says("waiting for health api").await;
    // Before the lease is renewed, which would be seen again.
    run.signal("STOP");
    site.reconfigure("    services:\n", "    up: 'true'\n    services:\n");
    eventually(in_force, Duration::from_secs(10), async || {
        let times = site.provider.log().count(in_force);
        if times == 2 { Ok(()) } else { Err(times) }
    })
    .await;
    run.kill();
    site.services[0].restart("green").await;
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "done", "{record}");
    assert_eq!(site.moves().await, ["green"]);
}
