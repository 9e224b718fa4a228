//! A flip that is killed: the key says how far it had come, and the next one goes on from there.

use std::time::Instant;

use super::site::Site;
use crate::support::load;
use crate::support::stack::HOSTS;

/// The next flip is refused while the lease of the killed one lasts, and succeeds once it has run out.
async fn next_flip_succeeds(site: &Site, says: &str) {
    let refused = site.flip(&[]).code(7).stderr("flip to green");
    refused
        .stderr("`bluegreen rollback` goes back at once")
        .run()
        .await;
    site.lease_runs_out().await;
    site.flip(&[]).stdout(says).run().await;
    assert_eq!(site.key().await, "green");
    site.is_free().await;
}

async fn all_is_well(load: load::Running, color: &str) {
    let returned = Instant::now();
    load.goes_on(returned, HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(returned, color);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_verifies_it_has_changed_nothing() {
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
    site.services[0].restart("green").await;
    next_flip_succeeds(&site, "blue → green").await;
    all_is_well(load, "green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_waits_the_key_is_set_and_the_next_flip_confirms_it() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    let load = site.load().await;
    second.stop();
    let run = site.flip(&[]).start();
    run.says("waiting for edge-2").await;
    run.kill();
    assert_eq!(site.key().await, "green");
    assert_eq!(site.moves().await, ["green"]);
    second.cont();
    next_flip_succeeds(&site, "green already has the traffic").await;
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
    next_flip_succeeds(&site, "blue → green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_bakes_green_keeps_the_traffic_and_the_next_flip_verifies_it() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = site.flip(&["--bake", "10m"]).start();
    run.says("watching production").await;
    run.kill();
    assert_eq!(site.key().await, "green");
    next_flip_succeeds(&site, "green already has the traffic").await;
    assert_eq!(site.moves().await, ["green"]);
    all_is_well(load, "green").await;
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
