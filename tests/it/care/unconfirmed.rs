//! Between the set and the confirmation: an instance that never confirms, and a store that goes away.

use std::time::{Duration, Instant};

use super::site::Site;
use crate::support::eventually;
use crate::support::stack::HOSTS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_never_confirms_is_rolled_back_for() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    let load = site.load().await;
    second.stop();
    let run = site.flip(&["--timeout", "2"]).code(5);
    let run = run.stderr("not every instance confirmed green in 2s: edge-2");
    let run = run.stderr("rolled back to blue, which the other instances have confirmed");
    run.run().await;
    assert_eq!(site.key().await, "blue");
    assert_eq!(site.moves().await, ["blue", "green"]);
    let why = site.history().await[0]["why"].clone();
    assert_eq!(why, "went back: green was not confirmed in time by edge-2");
    site.is_free().await;
    // The first one had green in between. Without the marker it may apply a document after it has confirmed it.
    load.reaches(Instant::now(), "blue").await;
    load.stop().await.assert_no_failures();
    second.cont();
    site.has_instances(2).await;
    second.wait_for(HOSTS[0], "blue").await;
    site.flip(&[]).stdout("edge-1, edge-2").run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_never_confirms_changes_nothing_where_no_rollback_says_so() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    second.stop();
    let run = site.flip(&["--timeout", "2", "--no-rollback"]).code(5);
    run.stderr("edge-2")
        .stderr("green keeps the traffic")
        .run()
        .await;
    assert_eq!(site.key().await, "green");
    assert_eq!(site.moves().await, ["green"]);
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_dies_before_the_confirmation_leaves_it_unknown_and_says_so() {
    let mut site = Site::start().await;
    let load = site.load().await;
    site.traefik.stop();
    let run = site.flip(&["--timeout", "3"]).code(6);
    let run = run.stderr("`active` was set to green, but then the store could not be reached");
    let run = run
        .stderr("whether every instance has it is not known")
        .start();
    // Traefik has to answer for production before: it is stopped once that is over.
    run.says("verifying green").await;
    site.traefik.cont();
    run.says("passed      health").await;
    site.traefik.stop();
    site.key_is("green").await;
    site.redis.kill();
    run.end().await;
    // What was set is in force, also without the store.
    site.traefik.cont();
    site.traefik.wait_for(HOSTS[0], "green").await;
    site.redis.restart().await;
    assert_eq!(site.key().await, "green");
    site.rollout_ends().await;
    site.command(&["rollback"])
        .stdout("green → blue")
        .run()
        .await;
    load.stop().await.assert_no_failures();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_dies_during_the_verification_changes_nothing() {
    let mut site = Site::start().await;
    let load = site.load().await;
    site.services[0].stop("green").await;
    let run = site.flip(&[]).code(6).stderr("can't be reached");
    let run = run.stderr("nothing was changed").start();
    run.says("waiting for health api").await;
    site.redis.kill();
    site.services[0].restart("green").await;
    run.end().await;
    site.redis.restart().await;
    site.rollout_ends().await;
    site.is_untouched(load).await;
}

/// A connection that was lost while green was verified is made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_away_during_the_verification_is_no_reason_to_fail() {
    let mut site = Site::start().await;
    let load = site.load().await;
    site.services[0].stop("green").await;
    let run = site.flip(&[]).stdout("blue → green").start();
    run.says("waiting for health api").await;
    site.redis.restart().await;
    site.services[0].restart("green").await;
    run.end().await;
    assert_eq!(site.key().await, "green");
    site.is_free().await;
    load.stop().await.assert_no_failures();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_for_a_while_during_the_bake_does_not_end_it() {
    let mut site = Site::start().await;
    let load = site.load().await;
    let run = site.flip(&["--bake", "12s"]).stdout("blue → green").start();
    run.says("watching production").await;
    site.redis.kill();
    run.says("the store can't be reached").await;
    site.redis.restart().await;
    let said = run.end().await;
    assert!(said.contains("production kept passing for 12s"), "{said}");
    assert_eq!(site.key().await, "green");
    load.stop().await.assert_no_failures();
    site.is_free().await;
}

/// Where production breaks while the store is away, the way back waits for the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_waits_for_a_store_that_is_away() {
    let mut site = Site::start().await;
    let run = site.flip(&["--bake", "10m"]).code(4);
    let run = run.stderr("rolled back to blue").start();
    run.says("watching production").await;
    site.redis.kill();
    site.services[0].set_status_in_public("green", 500);
    run.says("going back to blue").await;
    site.redis.restart().await;
    run.end().await;
    assert_eq!(site.key().await, "blue");
    assert_eq!(site.moves().await, ["blue", "green"]);
    eventually("blue answers", Duration::from_secs(5), async || {
        let answer = site.traefik.get(HOSTS[0], "/").await;
        let color = answer.color().map(str::to_owned);
        if color.as_deref() == Some("blue") {
            Ok(())
        } else {
            Err(format!("{color:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_gives_up_on_a_store_that_stays_away_and_says_what_is_not_known() {
    let mut site = Site::start().await;
    let run = site.flip(&["--bake", "10m", "--timeout", "5"]).code(6);
    let run = run
        .stderr("not rolled back to blue, because the store can't be reached")
        .stderr("green keeps the traffic")
        .start();
    run.says("watching production").await;
    site.redis.kill();
    site.services[0].set_status_in_public("green", 500);
    run.end().await;
    site.redis.restart().await;
    // A provider finds production broken, and goes back by itself.
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["effect"], "rolledBack", "{record}");
    assert_eq!(site.key().await, "blue");
    site.traefik.wait_for(HOSTS[0], "blue").await;
}
