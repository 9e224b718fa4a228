//! A ramp that is left: paused, aborted, or killed, and carried on by whoever comes.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::care::Site;
use crate::support::cli::Started;
use crate::support::eventually;
use crate::support::load;
use crate::support::stack::HOSTS;

/// Long enough to act on a step, and soon over once it goes on.
const SHORT: &str = "6s";

/// Long enough that no test waits for its end.
const LONG: &str = "10m";

/// A ramp of two steps that is at its first one for so long.
async fn begun(site: &Site, interval: &str, code: Option<i32>) -> Started {
    let args = ["ramp", "green", "--steps", "50,100", "--interval", interval];
    let run = site.command(&args);
    let run = match code {
        Some(code) => run.code(code),
        None => run.any_code(),
    };
    let run = run.any_stdout().start();
    run.says("watching production").await;
    assert_eq!(site.key().await, "blue:50,green:50");
    run
}

/// Waits until `bluegreen rollout` shows this.
async fn is_shown(site: &Site, text: &str) {
    let what = format!("the rollout is shown as `{text}`");
    eventually(&what, Duration::from_secs(10), async || {
        let shown = site.command(&["rollout"]).any_stdout().run().await.stdout;
        if shown.contains(text) {
            Ok(())
        } else {
            Err(shown)
        }
    })
    .await;
}

/// One that is paused by Ctrl-C, and is said to be.
async fn paused(site: &Site, interval: &str) {
    let run = begun(site, interval, Some(5)).await;
    run.signal("INT");
    let said = run.end().await;
    for part in [
        "interrupted: the ramp to green is paused at step 1 of 2; blue:50,green:50 has the traffic",
        "`bluegreen rollout resume` goes on, `bluegreen rollout abort` goes back to blue",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    is_shown(site, "step 1 of 2 (blue:50,green:50), paused by").await;
    assert_eq!(site.key().await, "blue:50,green:50");
}

/// It has ended in this way, and this color has the traffic, with no request lost.
async fn ended(site: &Site, load: load::Running, end: &str, color: &str) -> Value {
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], end, "{record}");
    assert_eq!(site.key().await, color);
    assert_eq!(site.moves().await, [color, "blue:50,green:50"]);
    let returned = Instant::now();
    load.goes_on(returned, 2 * HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(returned, color);
    record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_pauses_it_and_ramp_resume_goes_on() {
    let site = Site::start().await;
    let load = site.load().await;
    paused(&site, SHORT).await;
    let resume = site.command(&["ramp", "--resume"]);
    resume.stdout("deals: blue → green").run().await;
    let record = ended(&site, load, "done", "green").await;
    assert_eq!(record["paused"], Value::Null, "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_paused_goes_back_where_it_is_aborted() {
    let site = Site::start().await;
    let load = site.load().await;
    paused(&site, LONG).await;
    let abort = site.command(&["rollout", "abort", "--by", "ann@desk"]);
    let said = abort.stdout("aborted by ann@desk").run().await.stdout;
    assert!(said.contains("rolled back to blue"), "{said}");
    ended(&site, load, "rolledBack", "blue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_terminal_pauses_it_and_has_it_go_on() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = begun(&site, SHORT, Some(0)).await;
    let pause = site.command(&["rollout", "pause", "--by", "ann@desk"]);
    pause.stdout("pause is noted").run().await;
    run.says("paused by ann@desk").await;
    is_shown(&site, "step 1 of 2 (blue:50,green:50), paused by ann@desk").await;
    let resume = site.command(&["rollout", "resume", "--by", "bob@desk"]);
    resume.stdout("deals: blue → green").run().await;
    let said = run.end().await;
    assert!(said.contains("resumed by bob@desk"), "{said}");
    ended(&site, load, "done", "green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_terminal_aborts_it() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = begun(&site, LONG, Some(4)).await;
    let abort = site.command(&["rollout", "abort", "--by", "ann@desk"]);
    abort.stdout("aborted by ann@desk").run().await;
    let said = run.end().await;
    for part in ["aborted by ann@desk", "rolled back to blue, which"] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    ended(&site, load, "rolledBack", "blue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_a_step_a_provider_takes_the_next_ones() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = begun(&site, SHORT, None).await;
    run.kill();
    let record = ended(&site, load, "done", "green").await;
    let done = record["done"].as_array().unwrap();
    let to: Vec<_> = done.iter().map(|step| &step["traffic"]).collect();
    assert_eq!(to, ["blue:50,green:50", "green"], "{record}");
    site.provider.log_contains("a rollout makes a step").await;
    site.provider.log_contains("a step has passed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_a_step_a_provider_goes_back_where_green_is_not_ready_for_the_next() {
    let site = Site::start().await;
    let load = site.load().await;
    let args = ["ramp", "green", "--steps", "50,100", "--interval", SHORT];
    let args = [&args[..], &["--timeout", "3s"]].concat();
    let run = site.command(&args).start();
    run.says("watching production").await;
    run.kill();
    site.services[1].set_healthy("green", false);
    let record = ended(&site, load, "rolledBack", "blue").await;
    assert_eq!(record["outcome"]["cause"]["what"], "notReady", "{record}");
}
