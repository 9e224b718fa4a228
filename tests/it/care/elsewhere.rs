//! A rollout that a provider runs: handed over, looked at, and acted on from a terminal.

use std::time::Duration;

use serde_json::Value;

use super::site::Site;
use crate::support::eventually;
use crate::support::stack::HOSTS;

/// Waits until the provider tells of a rollout at this stage.
async fn is_at(site: &Site, stage: &str) -> Value {
    tells(site, "/stage", stage).await
}

/// Waits until the provider tells this of the rollout.
async fn tells(site: &Site, of: &str, value: &str) -> Value {
    let what = format!("{of} of the rollout is `{value}`");
    eventually(&what, Duration::from_secs(20), async || {
        let status = site.provider.status().await;
        let rollout = status["stacks"]["deals"]["rollout"].clone();
        if rollout.pointer(of).is_some_and(|is| is == value) {
            Ok(rollout)
        } else {
            Err(rollout.to_string())
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_that_is_handed_over_is_run_by_a_provider_and_seen_everywhere() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = site.flip(&["--bake", "10m", "--detach"]).any_stdout();
    let id = run.run().await.stdout.trim().to_owned();
    let rollout = is_at(&site, "production").await;
    assert_eq!(rollout["id"], *id);
    assert_eq!(rollout["abandoned"], false);
    assert_eq!(site.key().await, "green");

    let status = site.command(&["status"]).stdout("rollout flip to green by");
    status.stdout("watching production").run().await;
    let json = site
        .command(&["status", "--json"])
        .any_stdout()
        .run()
        .await
        .json();
    assert_eq!(json["stacks"]["deals"]["rollout"]["id"], *id);
    let shown = site.command(&["rollout"]).stdout("deals: flip to green by");
    shown.stdout("run by").run().await;

    let abort = site.command(&["rollout", "abort"]).stdout("aborted by");
    abort.stdout("rolled back to blue").run().await;
    assert_eq!(site.key().await, "blue");
    site.is_free().await;
    site.traefik.wait_for(HOSTS[0], "blue").await;
    let none = site.command(&["rollout", "pause"]).code(1);
    none.stderr("no rollout of `deals` runs").run().await;
    load.stop().await.assert_no_failures();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_the_traffic_where_it_is_until_somebody_resumes() {
    let site = Site::start().await;
    let run = site.flip(&["--bake", "3s"]).stdout("blue → green").start();
    run.says("watching production").await;
    site.command(&["rollout", "pause", "--by", "bob"])
        .any_stdout()
        .run()
        .await;
    run.says("paused by bob").await;
    let paused = tells(&site, "/paused/by", "bob").await;
    assert_eq!(paused["stage"], "production");
    let status = site.command(&["rollout"]).stdout("paused by bob");
    status.run().await;
    let resume = site.command(&["rollout", "resume", "--detach"]);
    resume.any_stdout().run().await;
    run.end().await;
    assert_eq!(site.key().await, "green");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_from_elsewhere_ends_a_flip_before_it_has_changed_anything() {
    let mut site = Site::start().await;
    let load = site.load().await;
    site.services[0].stop("green").await;
    let run = site
        .flip(&[])
        .code(1)
        .stderr("aborted by ann; nothing was changed");
    let run = run.start();
    run.says("waiting for health api").await;
    let abort = site.command(&["rollout", "abort", "--by", "ann"]);
    abort.stdout("aborted by ann").run().await;
    run.end().await;
    site.services[0].restart("green").await;
    site.is_untouched(load).await;
}
