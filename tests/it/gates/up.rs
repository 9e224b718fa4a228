//! What begins with `up`: a rollback to a color that was stopped, and a deployment that a provider finishes.

use super::{all_is_well, configure, shows, touch, written};
use crate::care::Site;

const COMMANDS: &str = "    up: 'echo up {color} >> ran; until test -e go; do sleep 0.05; done'
    down: 'echo down {color} >> ran'
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_with_up_starts_the_color_again_that_was_stopped() {
    let mut site = Site::start().await;
    configure(&site, COMMANDS).await;
    touch(&site, "go");
    let load = site.load().await;
    let deploy = site.command(&["deploy", "--stop-old", "--grace", "0s"]);
    deploy.stdout("blue → green").run().await;
    for service in &mut site.services {
        service.stop("blue").await;
    }
    let back = site.command(&["rollback"]).code(3);
    back.stderr("nobody is there")
        .stderr("rollback --up")
        .run()
        .await;
    let back = site.command(&["rollback", "--up"]).stdout("green → blue");
    let back = back.start();
    back.says("verifying blue").await;
    // While it is at it nobody else is.
    let other = site.command(&["flip", "blue"]).code(7);
    other.stderr("rollback to blue").run().await;
    assert_eq!(site.key().await, "green");
    for service in &mut site.services {
        service.restart("blue").await;
    }
    back.end().await;
    assert_eq!(written(&site, "ran"), "up green\ndown blue\nup blue\n");
    site.is_free().await;
    all_is_well(load, "blue").await;

    // What runs is not started again.
    let again = site.command(&["rollback", "--up"]).stdout("blue → green");
    again.run().await;
    assert_eq!(written(&site, "ran").lines().count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_whose_color_does_not_come_up_changes_nothing() {
    let mut site = Site::start().await;
    configure(&site, "    up: 'exit 3'\n").await;
    site.flip(&[]).any_stdout().run().await;
    for service in &mut site.services {
        service.stop("blue").await;
    }
    let back = site.command(&["rollback", "--up"]).code(1);
    back.stderr("`up` of blue failed").run().await;
    site.reconfigure("exit 3", "true");
    let back = site
        .command(&["rollback", "--up", "--timeout", "1"])
        .code(3);
    back.stderr("blue is not ready").run().await;
    assert_eq!(site.moves().await, ["green"]);
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_is_handed_over_goes_on_in_the_provider_once_the_color_is_up() {
    let site = Site::start().await;
    configure(&site, COMMANDS).await;
    let load = site.load().await;
    let both = site.command(&["deploy", "--detach", "--stop-old"]).code(2);
    both.stderr("--detach").run().await;
    let deploy = site.command(&["deploy", "--detach"]);
    let deploy = deploy.any_stdout().start();
    deploy.says("up green").await;
    assert!(site.is_leased().await);
    touch(&site, "go");
    deploy.end().await;
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "done", "{record}");
    let runner = record["runner"]["name"].as_str().unwrap_or_default();
    assert!(!runner.contains('@'), "a provider ended it: {record}");
    assert_eq!(site.moves().await, ["green"]);
    all_is_well(load, "green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_color_is_brought_up_the_rollout_can_be_paused_and_aborted() {
    let site = Site::start().await;
    configure(&site, COMMANDS).await;
    let load = site.load().await;
    let deploy = site.command(&["deploy"]).code(1);
    let deploy = deploy.stderr("aborted by bob in `up` of green; it was ended");
    let deploy = deploy.stderr("blue has the traffic").start();
    deploy.says("up green").await;
    shows(&site, "bringing the color up").await;
    let abort = site.command(&["rollout", "abort", "--by", "bob"]);
    abort.stdout("aborted by bob").run().await;
    deploy.end().await;
    site.is_untouched(load).await;

    let load = site.load().await;
    let deploy = site.command(&["deploy"]).stdout("blue → green").start();
    deploy.says("up green").await;
    let pause = site.command(&["rollout", "pause", "--by", "bob"]);
    pause.any_stdout().run().await;
    deploy.says("paused by bob").await;
    touch(&site, "go");
    deploy.says("up green: done").await;
    shows(&site, "paused by bob").await;
    assert_eq!(site.key().await, "");
    let resume = site.command(&["rollout", "resume"]);
    resume.stdout("blue → green").run().await;
    deploy.end().await;
    all_is_well(load, "green").await;
}
