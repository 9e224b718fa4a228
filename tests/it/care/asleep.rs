//! A flip that sleeps for longer than its lease lasts, as on a laptop that was closed: it changes nothing any more, follows
//! whoever carries it on, and says what came of it.

use std::time::{Duration, Instant};

use super::site::Site;
use crate::support::stack::HOSTS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_verifies_it_says_that_another_one_has_made_it() {
    let mut site = Site::start().await;
    let load = site.load().await;
    site.services[0].stop("green").await;
    let run = site.flip(&[]).stdout("blue → green").start();
    run.says("waiting for health api").await;
    run.signal("STOP");
    site.is_taken_over().await;
    site.services[0].restart("green").await;
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "done", "{record}");
    run.signal("CONT");
    run.end().await;
    assert_eq!(site.moves().await, ["green"]);
    site.is_free().await;
    load.stop().await.assert_no_failures();
}

/// Its own time is over when it wakes up, and green is gone again: for itself it would say that nothing was changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_not_say_that_nothing_was_changed_where_another_one_has_made_it() {
    let mut site = Site::start().await;
    site.services[0].stop("green").await;
    let began = Instant::now();
    let (timeout, over) = ("8", Duration::from_secs(9));
    let run = site.flip(&["--timeout", timeout]);
    let run = run.stdout("blue → green").start();
    run.says("waiting for health api").await;
    run.signal("STOP");
    site.is_taken_over().await;
    site.services[0].restart("green").await;
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "done", "{record}");
    site.services[0].stop("green").await;
    tokio::time::sleep_until((began + over).into()).await;
    run.signal("CONT");
    run.end().await;
    assert_eq!(site.moves().await, ["green"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_waits_for_the_instances_it_says_that_another_one_went_back() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    second.stop();
    let run = site.flip(&[]).code(4).stderr("rolled back to blue");
    let run = run.start();
    run.says("waiting for edge-2").await;
    run.signal("STOP");
    site.services[0].set_status_in_public("green", 500);
    site.is_taken_over().await;
    second.cont();
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "rolledBack", "{record}");
    run.signal("CONT");
    run.end().await;
    assert_eq!(site.moves().await, ["blue", "green"]);
    second.wait_for(HOSTS[0], "blue").await;
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_bakes_it_says_that_another_one_went_back() {
    let site = Site::start().await;
    let run = site.flip(&["--bake", "10m"]).code(4);
    let run = run.stderr("rolled back to blue").start();
    run.says("watching production").await;
    run.signal("STOP");
    site.is_taken_over().await;
    site.services[0].set_status_in_public("green", 500);
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "rolledBack", "{record}");
    run.signal("CONT");
    run.end().await;
    assert_eq!(site.moves().await, ["blue", "green"]);
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_another_one_bakes_it_follows_to_the_end() {
    let site = Site::start().await;
    let run = site.flip(&["--bake", "9s"]).stdout("blue → green").start();
    run.says("watching production").await;
    run.signal("STOP");
    site.is_taken_over().await;
    run.signal("CONT");
    run.says("run by").await;
    run.end().await;
    assert_eq!(site.moves().await, ["green"]);
    site.is_free().await;
}
