//! A flip whose runner is killed: a provider carries it on from its stage, by the same rules.

use std::time::Instant;

use super::site::Site;
use crate::support::load;
use crate::support::stack::HOSTS;

async fn all_is_well(load: load::Running, color: &str) {
    let returned = Instant::now();
    load.goes_on(returned, HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(returned, color);
}

/// While the lease of the killed one lasts, and while a provider carries it on, another flip is refused.
async fn another_flip_is_refused(site: &Site) {
    let refused = site.flip(&[]).code(7).stderr("flip to green");
    refused
        .stderr("`bluegreen rollback` goes back at once")
        .run()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_verifies_it_is_verified_and_made_by_a_provider() {
    let mut site = Site::start().await;
    let load = site.load().await;
    site.services[0].stop("green").await;
    let run = site.flip(&[]).start();
    run.says("waiting for health api").await;
    run.kill();
    assert_eq!(site.key().await, "");
    assert!(site.history().await.is_empty());
    assert!(site.is_leased().await);
    let back = site.command(&["rollback"]).code(1);
    back.stderr("the history is empty").run().await;
    another_flip_is_refused(&site).await;
    site.services[0].restart("green").await;
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "done", "{record}");
    assert_eq!(site.key().await, "green");
    assert_eq!(site.moves().await, ["green"]);
    all_is_well(load, "green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_waits_the_change_is_confirmed_by_a_provider() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    let load = site.load().await;
    second.stop();
    let run = site.flip(&[]).start();
    run.says("waiting for edge-2").await;
    run.kill();
    assert_eq!(site.key().await, "green");
    another_flip_is_refused(&site).await;
    second.cont();
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "done", "{record}");
    assert_eq!(record["outcome"]["confirmed"]["count"], 2, "{record}");
    assert_eq!(site.moves().await, ["green"]);
    second.wait_for(HOSTS[0], "green").await;
    all_is_well(load, "green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_waits_it_can_be_rolled_back_at_once() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    second.stop();
    let run = site.flip(&[]).start();
    run.says("waiting for edge-2").await;
    run.kill();
    second.cont();
    assert!(site.is_leased().await);
    let back = site.command(&["rollback"]).stdout("green → blue");
    back.run().await;
    assert_eq!(site.key().await, "blue");
    assert_eq!(site.moves().await, ["blue", "green"]);
    second.wait_for(HOSTS[0], "blue").await;
    site.flip(&[]).stdout("blue → green").run().await;
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_bakes_a_provider_watches_the_bake_to_its_end() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = site.flip(&["--bake", "12s"]).start();
    run.says("watching production").await;
    run.kill();
    assert_eq!(site.key().await, "green");
    another_flip_is_refused(&site).await;
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "done", "{record}");
    let runner = record["runner"]["name"].as_str().unwrap_or_default();
    assert!(!runner.contains('@'), "a provider ended it: {record}");
    assert_eq!(site.moves().await, ["green"]);
    all_is_well(load, "green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_bakes_a_production_that_breaks_goes_back() {
    let site = Site::start().await;
    let run = site.flip(&["--bake", "10m"]).start();
    run.says("watching production").await;
    run.kill();
    site.services[0].set_status_in_public("green", 500);
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "rolledBack", "{record}");
    assert_eq!(record["outcome"]["cause"]["what"], "productionFails");
    assert_eq!(site.key().await, "blue");
    site.traefik.wait_for(HOSTS[0], "blue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_bakes_it_can_be_rolled_back_at_once() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = site.flip(&["--bake", "10m"]).start();
    run.says("watching production").await;
    run.kill();
    assert!(site.is_leased().await);
    let back = site.command(&["rollback"]).stdout("green → blue");
    back.run().await;
    assert_eq!(site.key().await, "blue");
    all_is_well(load, "blue").await;
}
