//! Production breaks after the flip: it goes back, and says so; and it does so until the bake is over.

use std::time::Instant;

use super::site::{Site, only_green_failed};
use crate::support::load;
use crate::support::stack::HOSTS;

/// The key and the history say that green had the traffic and gave it back, and blue answers everything since.
async fn went_back(site: &Site, load: load::Running, why: &str) {
    let returned = Instant::now();
    assert_eq!(site.key().await, "blue");
    let history = site.history().await;
    assert_eq!(site.moves().await, ["blue", "green"]);
    let said = history[0]["why"].as_str().unwrap();
    assert!(said.contains(why), "`{why}` is not in `{said}`");
    load.goes_on(returned, 2 * HOSTS.len()).await;
    let report = load.stop().await;
    only_green_failed(&report);
    report.assert_all(returned, "blue");
    let late = report.samples.iter().filter(|one| one.start > returned);
    let late: Vec<_> = late.filter(|sample| sample.failed()).collect();
    assert!(late.is_empty(), "{late:?}");
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_breaks_under_traffic_is_rolled_back() {
    let site = Site::start().await;
    let load = site.load().await;
    // Whoever asks it itself finds it well.
    site.services[0].set_status_in_public("green", 500);
    let run = site.flip(&["--why", "release 42"]).code(4);
    let run = run.stderr("production fails on green: answer api");
    let run = run
        .stderr("expected 2xx, got 500")
        .stderr("rolled back to blue");
    run.stderr("which every instance has confirmed").run().await;
    assert_eq!(site.history().await[1]["why"], "release 42");
    went_back(&site, load, "production fails on green: answer api").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smoke_test_of_production_that_fails_is_rolled_back() {
    let site = Site::start().await;
    site.add_check("items", "production", "/items");
    let load = site.load().await;
    site.services[0].set_status("green", "/items", 500);
    let run = site.flip(&[]).code(4);
    let run = run.stderr("production fails on green: check items (step 1");
    run.stderr("rolled back to blue").run().await;
    went_back(&site, load, "check items").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_says_it_is_the_other_one_is_rolled_back() {
    let site = Site::start().await;
    let load = site.load().await;
    for service in &site.services {
        service.says("green", "blue");
    }
    let run = site.flip(&[]).code(4);
    let run = run.stderr("blue answered (X-Color), and has no traffic");
    run.stderr("rolled back to blue").run().await;
    went_back(&site, load, "blue answered (X-Color)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_breaks_keeps_the_traffic_where_no_rollback_says_so() {
    let site = Site::start().await;
    let load = site.load().await;
    site.services[1].set_status_in_public("green", 500);
    let run = site.flip(&["--no-rollback"]).code(4);
    let run = run.stderr("production fails on green: answer mcp");
    run.stderr("green keeps the traffic (--no-rollback)")
        .run()
        .await;
    let returned = Instant::now();
    assert_eq!(site.key().await, "green");
    assert_eq!(site.moves().await, ["green"]);
    load.goes_on(returned, HOSTS.len()).await;
    let report = load.stop().await;
    only_green_failed(&report);
    report.assert_all(returned, "green");
    site.is_free().await;
}

/// The bake is longer than a test may take: that it ends at all is that it was not waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_breaks_during_the_bake_is_rolled_back_long_before_its_end() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = site.flip(&["--bake", "10m"]).code(4).start();
    run.says("watching production").await;
    site.services[2].set_status_in_public("green", 500);
    let said = run.end().await;
    for part in [
        "answer dashboard",
        "going back to blue",
        "rolled back to blue",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("kept passing"), "{said}");
    went_back(&site, load, "answer dashboard").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_during_the_bake_is_rolled_back() {
    let mut site = Site::start().await;
    let load = site.load().await;
    let run = site.flip(&["--bake", "10m"]).code(4).start();
    run.says("watching production").await;
    site.services[0].stop("green").await;
    let said = run.end().await;
    assert!(said.contains("rolled back to blue"), "{said}");
    assert_eq!(site.key().await, "blue");
    let returned = Instant::now();
    load.goes_on(returned, HOSTS.len()).await;
    // Traefik answers with 502 meanwhile, in the server's stead.
    let report = load.stop().await;
    report.assert_all(returned, "blue");
    let elsewhere = report.failures().iter().any(|one| one.host != HOSTS[0]);
    assert!(!elsewhere, "{:?}", report.failures());
    site.is_free().await;
}

/// The check is longer than a test may take: that it ends at all is that the check was not waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_breaks_while_a_slow_check_runs_is_rolled_back_long_before_its_end() {
    let site = Site::start().await;
    let check = "    checks: [{ name: slow, on: [production], timeout: 15m, command: sleep 900 }]\n    services:\n";
    site.reconfigure("    services:\n", check);
    let load = site.load().await;
    let run = site.flip(&["--timeout", "15m"]).code(4);
    let run = run.stderr("rolled back to blue").start();
    run.says("passed      answer      api").await;
    site.services[0].set_status_in_public("green", 500);
    run.end().await;
    went_back(&site, load, "production fails on green: answer api").await;
}

/// One lost request is no reason to go back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_fault_during_the_bake_is_forgiven() {
    let site = Site::start().await;
    let run = site.flip(&["--bake", "4s"]).stdout("blue → green").start();
    run.says("watching production").await;
    let api = &site.services[0];
    let (before, asked) = (api.requests_in_public("green"), || {
        api.requests_in_public("green")
    });
    api.set_status_in_public("green", 500);
    crate::support::eventually(
        "the fault is seen",
        std::time::Duration::from_secs(5),
        async || {
            if asked() > before {
                Ok(())
            } else {
                Err("it is not")
            }
        },
    )
    .await;
    api.set_status_in_public("green", 200);
    let said = run.end().await;
    assert!(said.contains("production kept passing for 4s"), "{said}");
    assert_eq!(site.key().await, "green");
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bake_that_nothing_disturbs_ends_well() {
    let site = Site::start().await;
    site.add_check("items", "color, production", "/items");
    let load = site.load().await;
    let run = site.flip(&["--bake", "2s"]).stdout("deals: blue → green");
    let said = run.run().await.stderr;
    assert!(said.contains("production kept passing for 2s"), "{said}");
    let returned = Instant::now();
    load.goes_on(returned, HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(returned, "green");
    assert_eq!(site.moves().await, ["green"]);
    site.is_free().await;
}

/// The color that has the traffic already is verified too; there is nothing to go back to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_to_where_the_traffic_is_verifies_and_changes_nothing() {
    let site = Site::start().await;
    site.flip(&[]).stdout("blue → green").run().await;
    let again = site.flip(&[]).stdout("green already has the traffic");
    again.stderr("verifying production").run().await;
    site.services[0].set_status_in_public("green", 500);
    let run = site.flip(&[]).code(3).stderr("production fails on green");
    run.stderr("nothing was changed, green had the traffic before")
        .run()
        .await;
    assert_eq!(site.key().await, "green");
    assert_eq!(site.moves().await, ["green"]);
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bake_that_has_nothing_to_look_at_does_not_say_that_it_passed() {
    let site = Site::start().await;
    let production = format!("    production: http://{}\n", site.traefik.web());
    site.reconfigure(&production, "");
    let run = site.flip(&["--bake", "1s"]).any_stdout().any_code();
    let said = run.run().await.stderr;
    assert!(!said.contains("kept passing"), "{said}");
}
