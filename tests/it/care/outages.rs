//! What a flip depends on goes away while it is at it: Traefik, the provider, the content of the store, its own time.

use super::site::Site;
use crate::support::stack::HOSTS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traefik_that_is_restarted_during_the_bake_is_forgiven() {
    let mut site = Site::start().await;
    let run = site.flip(&["--bake", "6s"]).stdout("blue → green").start();
    run.says("watching production").await;
    site.traefik.restart().await;
    let said = run.end().await;
    assert!(said.contains("production kept passing for 6s"), "{said}");
    site.traefik.wait_for(HOSTS[0], "green").await;
    site.is_free().await;
}

/// Whether green serves well can't be found out any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traefik_that_dies_during_the_bake_is_rolled_back() {
    let mut site = Site::start().await;
    let run = site.flip(&["--bake", "10m", "--timeout", "5"]).code(4);
    let run = run.stderr("production could not be verified on green");
    let run = run.stderr("rolled back to blue").start();
    run.says("watching production").await;
    site.traefik.kill();
    run.end().await;
    assert_eq!(site.key().await, "blue");
    assert_eq!(site.moves().await, ["blue", "green"]);
    site.is_free().await;
    site.traefik.restart().await;
    site.traefik.wait_for(HOSTS[0], "blue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_dies_before_it_confirms_is_rolled_back_for() {
    let mut site = Site::start().await;
    let load = site.load().await;
    // It has not seen the key yet when it is stopped, and does not come back.
    site.services[0].stop("green").await;
    let run = site.flip(&["--timeout", "8"]).code(5);
    let run = run
        .stderr("rolled back to blue, which is not confirmed by")
        .start();
    run.says("waiting for health api").await;
    site.provider.stop();
    site.services[0].restart("green").await;
    site.key_is("green").await;
    site.provider.kill();
    run.end().await;
    assert_eq!(site.key().await, "blue");
    site.provider.restart().await;
    site.has_instances(1).await;
    site.traefik.wait_for(HOSTS[0], "blue").await;
    load.stop().await.assert_no_failures();
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_dies_during_the_bake_does_not_end_it() {
    let mut site = Site::start().await;
    let load = site.load().await;
    let run = site.flip(&["--bake", "4s"]).stdout("blue → green").start();
    run.says("watching production").await;
    site.provider.kill();
    run.end().await;
    assert_eq!(site.key().await, "green");
    load.stop().await.assert_no_failures();
    site.is_free().await;
}

/// A Redis that has come back empty has lost the key: nobody has decided otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn production_that_breaks_after_the_key_was_lost_is_rolled_back_all_the_same() {
    let site = Site::start().await;
    let run = site.flip(&["--bake", "10m"]).code(4);
    let run = run.stderr("rolled back to blue").start();
    run.says("watching production").await;
    site.redis.cli(&["FLUSHALL"]).await;
    site.services[0].set_status_in_public("green", 500);
    run.end().await;
    assert_eq!(site.key().await, "blue");
    site.traefik.wait_for(HOSTS[0], "blue").await;
}

/// As on a laptop that was closed: its lease has run out, and somebody else has flipped meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_that_slept_longer_than_its_lease_changes_nothing_after_somebody_elses() {
    let mut site = Site::start().await;
    let load = site.load().await;
    site.services[0].stop("green").await;
    let run = site.flip(&[]).code(7);
    let run = run.stderr(" meanwhile").stderr("nothing").start();
    run.says("waiting for health api").await;
    run.signal("STOP");
    site.services[0].restart("green").await;
    site.rollout_ends().await;
    let other = site.flip(&["--bake", "10m"]).code(5).start();
    other.says("watching production").await;
    run.signal("CONT");
    run.end().await;
    // The lease is still that of the other one.
    let third = site.flip(&[]).code(7);
    let by = format!("process {}", other.pid());
    third.stderr(&by).run().await;
    other.signal("INT");
    other.end().await;
    assert_eq!(site.key().await, "green");
    assert_eq!(site.moves().await, ["green"]);
    site.is_free().await;
    load.stop().await.assert_no_failures();
}
