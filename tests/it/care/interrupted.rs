//! Ctrl-C, SIGTERM and SIGHUP: a flip ends in a known state, and says which.

use std::time::Instant;

use super::site::Site;
use crate::support::stack::HOSTS;

const SIGNALS: [&str; 3] = ["INT", "TERM", "HUP"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_while_it_verifies_it_has_changed_nothing() {
    let mut site = Site::start().await;
    let load = site.load().await;
    site.services[0].stop("green").await;
    for signal in SIGNALS {
        let run = site.flip(&[]).code(1);
        let run = run.stderr("interrupted while green was verified; nothing was changed");
        let run = run.start();
        run.says("waiting for health api").await;
        run.signal(signal);
        run.end().await;
        site.is_free().await;
    }
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_while_it_waits_the_new_traffic_stands_and_it_says_who_is_late() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    let load = site.load().await;
    for signal in SIGNALS {
        second.stop();
        let run = site.flip(&[]).code(5);
        let run = run.stderr("interrupted: green has the traffic, but not every instance");
        let run = run.stderr("bluegreen rollback").start();
        run.says("waiting for edge-2").await;
        run.signal(signal);
        let said = run.end().await;
        let sentence = said.lines().find(|line| line.starts_with("error")).unwrap();
        assert!(sentence.contains("edge-2"), "{said}");
        assert_eq!(site.key().await, "green");
        site.is_free().await;
        second.cont();
        let back = site.command(&["rollback"]).stdout("green → blue");
        back.run().await;
    }
    assert_eq!(site.moves().await, ["blue", "green"].repeat(3));
    load.stop().await.assert_no_failures();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_while_it_bakes_the_new_traffic_stands_and_it_says_so() {
    let site = Site::start().await;
    let load = site.load().await;
    for signal in SIGNALS {
        let run = site.flip(&["--bake", "10m"]).code(5);
        let run =
            run.stderr("interrupted: green has the traffic, and every instance has confirmed");
        let run = run.stderr("production was not verified to the end");
        let run = run.stderr("bluegreen rollback").start();
        run.says("watching production").await;
        run.signal(signal);
        run.end().await;
        let returned = Instant::now();
        assert_eq!(site.key().await, "green");
        site.is_free().await;
        load.goes_on(returned, HOSTS.len()).await;
        load.report().assert_all(returned, "green");
        let back = site.command(&["rollback"]).stdout("green → blue");
        back.run().await;
    }
    load.stop().await.assert_no_failures();
}

/// While production fails it is tried for 3 s: an operator who has seen enough need not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_while_production_is_tried_again_the_new_traffic_stands() {
    let site = Site::start().await;
    site.services[0].set_status_in_public("green", 500);
    let run = site
        .flip(&[])
        .code(5)
        .stderr("interrupted: green has the traffic");
    let run = run.start();
    run.says("waiting for answer api").await;
    run.signal("INT");
    run.end().await;
    assert_eq!(site.key().await, "green");
    site.is_free().await;
}

/// The way back is set by then: it is only not waited for any longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_on_the_way_back_the_way_back_stands() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    site.services[0].set_status_in_public("green", 500);
    let run = site.flip(&["--bake", "10m"]).code(4);
    let run = run
        .stderr("rolled back to blue, which is not confirmed by edge-2")
        .start();
    run.says("waiting for answer api").await;
    second.stop();
    run.says("waiting for edge-2").await;
    run.signal("TERM");
    run.end().await;
    assert_eq!(site.key().await, "blue");
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_while_the_way_back_waits_for_the_store_it_says_what_stands() {
    let mut site = Site::start().await;
    let run = site.flip(&["--bake", "10m", "--timeout", "10m"]).code(6);
    let run = run
        .stderr("not rolled back to blue, because the store can't be reached")
        .start();
    run.says("watching production").await;
    site.redis.kill();
    run.says("what Traefik serves stands").await;
    site.services[0].set_status_in_public("green", 500);
    run.says("going back to blue").await;
    // Else it would try for as long as `--timeout` says.
    run.signal("INT");
    run.end().await;
}
