//! A color that is not ready gets nothing: refused, and nothing changes; one that takes its time is waited for.

use std::time::Instant;

use super::site::Site;
use crate::support::backend::Backend;
use crate::support::stack::HOSTS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_down_is_refused_and_nothing_changes() {
    let mut site = Site::start().await;
    let load = site.load().await;
    for service in &mut site.services {
        service.stop("green").await;
    }
    let run = site.flip(&["--timeout", "1"]).code(3);
    let run = run
        .stderr("green is not ready")
        .stderr("Connection refused");
    run.stderr("nothing was changed").run().await;
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_answers_503_is_refused_and_nothing_changes() {
    let site = Site::start().await;
    let load = site.load().await;
    for service in &site.services {
        service.set_healthy("green", false);
    }
    let run = site.flip(&["--timeout", "1"]).code(3);
    let run = run
        .stderr("green is not ready")
        .stderr("expected 2xx, got 503");
    run.stderr("nothing was changed").run().await;
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_half_up_is_refused_and_what_is_missing_is_named() {
    let mut site = Site::start().await;
    let load = site.load().await;
    site.services[1].stop("green").await;
    let run = site.flip(&["--timeout", "1"]).code(3);
    let said = run.stderr("green is not ready: health mcp").run().await;
    let sentence = said.stderr.lines().find(|line| line.starts_with("error"));
    assert!(!sentence.unwrap().contains("health api"), "{said:?}");
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_that_is_not_well_is_enough_to_refuse() {
    let site = Site::start().await;
    let other = Backend::start("api", &["green"]).await;
    let (one, another) = (site.services[0].url("green"), other.url("green"));
    let both = format!("['{one}', '{another}']");
    site.reconfigure(&format!("['{one}']"), &both);
    let load = site.load().await;
    other.set_healthy("green", false);
    let run = site.flip(&["--timeout", "1"]).code(3);
    let run = run.stderr(&format!("health api {another}"));
    run.stderr("nothing was changed").run().await;
    assert_eq!(other.requests_in_public("green"), 0);
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smoke_test_that_fails_is_enough_to_refuse() {
    let site = Site::start().await;
    site.add_check("items", "color", "/items");
    let load = site.load().await;
    site.services[0].set_status("green", "/items", 500);
    let run = site.flip(&["--timeout", "1"]).code(3);
    let run = run.stderr("green is not ready: check items (step 1");
    run.stderr("nothing was changed").run().await;
    site.is_untouched(load).await;
}

/// It would pass once green had the traffic: it must not be asked of blue in green's stead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smoke_test_is_made_of_the_target_and_not_of_production() {
    let site = Site::start().await;
    site.add_check("items", "color", "/items");
    site.services[0].set_status("blue", "/items", 500);
    let load = site.load().await;
    site.flip(&[]).stdout("blue → green").run().await;
    load.stop().await.assert_no_failures();
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_slow_to_start_is_waited_for_and_then_gets_the_traffic() {
    let mut site = Site::start().await;
    site.services[2].stop("green").await;
    let load = site.load().await;
    let run = site.flip(&[]).stdout("deals: blue → green").start();
    run.says("waiting for health dashboard").await;
    assert_eq!(site.key().await, "");
    site.services[2].restart("green").await;
    run.end().await;
    let returned = Instant::now();
    assert_eq!(site.key().await, "green");
    load.goes_on(returned, HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(returned, "green");
    site.is_free().await;
}
