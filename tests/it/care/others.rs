//! Somebody else is at it too: what they do stands, and a second flip is refused.

use std::time::{Duration, Instant};

use super::site::Site;
use crate::support::cli::{Cli, PATIENCE};
use crate::support::eventually;
use crate::support::provider;
use crate::support::stack::HOSTS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_set_during_the_verification_stands_and_nothing_is_changed() {
    let mut site = Site::start().await;
    let load = site.load().await;
    site.services[0].stop("green").await;
    let run = site.flip(&[]).code(7);
    let run = run.stderr("somebody else changed `active` meanwhile: it is `blue`");
    let run = run.stderr("nothing was changed").start();
    run.says("waiting for health api").await;
    // It says what was in force, and is a decision all the same.
    site.redis.cli(&["SET", "active", "blue"]).await;
    site.services[0].restart("green").await;
    run.end().await;
    assert_eq!(site.key().await, "blue");
    assert!(!site.moves().await.contains(&"green".to_owned()));
    site.is_free().await;
    load.goes_on(Instant::now(), HOSTS.len()).await;
    load.stop().await.assert_no_failures();
    assert_eq!(site.services[0].requests_in_public("green"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_set_during_the_wait_stands() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    let load = site.load().await;
    second.stop();
    let run = site
        .flip(&[])
        .code(7)
        .stderr("somebody else has changed `active` to `blue`");
    let run = run.stderr("that stands").start();
    site.key_is("green").await;
    load.reaches(Instant::now(), "green").await;
    site.redis.cli(&["SET", "active", "blue"]).await;
    run.end().await;
    assert_eq!(site.key().await, "blue");
    site.is_free().await;
    load.reaches(Instant::now(), "blue").await;
    load.stop().await.assert_no_failures();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_set_during_the_bake_stands() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = site.flip(&["--bake", "10m"]).code(7);
    let run = run
        .stderr("somebody else has changed `active` to `blue`")
        .start();
    run.says("watching production").await;
    site.redis.cli(&["SET", "active", "blue"]).await;
    let said = run.end().await;
    assert!(!said.contains("rolled back"), "{said}");
    assert_eq!(site.key().await, "blue");
    let history = site.history().await;
    assert_eq!(site.moves().await, ["blue", "green"]);
    assert_eq!(history[0]["by"], "outside");
    site.is_free().await;
    load.reaches(Instant::now(), "blue").await;
    load.stop().await.assert_no_failures();
}

/// Traffic that green shares with blue is not what was asked for any more, though green is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_weights_during_the_bake_stand() {
    let site = Site::start().await;
    let run = site.flip(&["--bake", "10m"]).code(7);
    let run = run.stderr("to `blue:50,green:50` meanwhile").start();
    run.says("watching production").await;
    site.redis.cli(&["SET", "active", "blue:50,green:50"]).await;
    run.end().await;
    assert_eq!(site.key().await, "blue:50,green:50");
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_flip_is_refused_while_the_first_one_verifies_and_told_who_is_at_it() {
    let mut site = Site::start().await;
    site.services[0].stop("green").await;
    let load = site.load().await;
    let first = site.flip(&[]).stdout("blue → green").start();
    first.says("waiting for health api").await;
    for color in ["green", "blue"] {
        let second = site.command(&["flip", color]).code(7);
        let second = second.stderr("is changing `active` already; nothing was changed");
        let by = format!("(flip to green, process {}", first.pid());
        second
            .stderr(&by)
            .stderr("`bluegreen rollback`")
            .run()
            .await;
    }
    assert_eq!(site.key().await, "");
    site.services[0].restart("green").await;
    first.end().await;
    site.is_free().await;
    site.command(&["flip", "blue"])
        .stdout("green → blue")
        .run()
        .await;
    load.stop().await.assert_no_failures();
}

/// The lease lasts for 5 s: while its holder lives it is made to last longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_flip_is_refused_for_as_long_as_the_first_one_bakes() {
    let site = Site::start().await;
    let first = site.flip(&["--bake", "9s"]).stdout("blue → green").start();
    first.says("watching production").await;
    // It says so every 5 s: the lease would have run out by then.
    first.says_again("watching production").await;
    let second = site.command(&["flip", "blue", "--json"]).any_stdout();
    let refused = second.code(7).run().await.json();
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("flip to green"), "{error}");
    first.end().await;
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollback_during_a_bake_works_at_once_and_ends_the_bake() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = site.flip(&["--bake", "10m"]).code(7);
    let run = run
        .stderr("somebody else has changed `active` to `blue`")
        .start();
    run.says("watching production").await;
    let back = site.command(&["rollback"]).stdout("deals: green → blue");
    back.run().await;
    let returned = Instant::now();
    run.end().await;
    assert_eq!(site.key().await, "blue");
    assert_eq!(site.moves().await, ["blue", "green"]);
    site.is_free().await;
    load.goes_on(returned, HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(returned, "blue");
}

/// The one that verifies has changed nothing yet: what is gone back to is what was before the change before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollback_during_a_verification_works_at_once_and_ends_the_flip() {
    let mut site = Site::start().await;
    site.flip(&[]).stdout("blue → green").run().await;
    site.services[0].stop("blue").await;
    let run = site.command(&["flip", "blue"]).code(7);
    let run = run
        .stderr("somebody else changed `active` meanwhile")
        .start();
    run.says("waiting for health api").await;
    let back = site.command(&["rollback"]).stdout("green → blue");
    back.stderr("note: from here, no server of api in blue")
        .run()
        .await;
    site.services[0].restart("blue").await;
    run.end().await;
    assert_eq!(site.key().await, "blue");
    assert_eq!(site.moves().await, ["blue", "green"]);
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_as_the_store_refuses_a_second_flip_too() {
    let mut site = Site::start().await;
    let dir = tempfile::tempdir().unwrap();
    let store = format!("file:{}", dir.path().display());
    let config = std::fs::read_to_string(site.provider.config()).unwrap();
    // Nobody polls this one: what is asked is not production.
    let config: String = config
        .lines()
        .filter(|line| !line.contains("production:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let provider = provider::Options::new(&config, &store).start().await;
    let command = |args: &[&str]| Cli::new(args).of(&provider).any_stderr();
    site.services[0].stop("green").await;
    let first = command(&["flip", "green"]).stdout("blue → green").start();
    first.says("waiting for health api").await;
    let second = command(&["flip", "green"]).code(7);
    let by = format!("(flip to green, process {}", first.pid());
    second.stderr(&by).stderr("nothing was changed").run().await;
    site.services[0].restart("green").await;
    first.end().await;
    let back = command(&["flip", "blue"]).stdout("green → blue");
    back.run().await;

    // One that was killed blocks the next one only until its lease has run out.
    site.services[0].stop("green").await;
    let killed = command(&["flip", "green"]).start();
    killed.says("waiting for health api").await;
    killed.kill();
    site.services[0].restart("green").await;
    command(&["flip", "green"]).code(7).run().await;
    let lease = dir.path().join("{active}:lease");
    assert!(lease.exists(), "{}", lease.display());
    eventually("the next one succeeds", PATIENCE, async || {
        let next = command(&["flip", "green"]).any_stdout().any_code();
        let next = next.run().await;
        if next.code == 0 {
            return Ok(());
        }
        // Each look starts a process.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Err(next.stderr)
    })
    .await;
    let value = std::fs::read_to_string(dir.path().join("active")).unwrap();
    assert_eq!(value.trim(), "green");
}
