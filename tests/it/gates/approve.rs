//! A rollout that a person has to approve.

use super::{all_is_well, configure, shows};
use crate::care::Site;

const GATE: &str = "    gates: { approve: true }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_in_the_terminal_until_somebody_approves_it_in_another() {
    let site = Site::start().await;
    configure(&site, GATE).await;
    let load = site.load().await;
    let flip = site.flip(&["--why", "v2"]).stdout("blue → green");
    let flip = flip.stderr("approved by bob").start();
    flip.says("waiting for a person to approve it: `bluegreen rollout resume`")
        .await;
    assert_eq!(site.key().await, "");
    let shown = site.command(&["rollout"]);
    shown
        .stdout("`bluegreen rollout resume` approves it")
        .run()
        .await;
    let approves = site.command(&["rollout", "resume", "--by", "bob"]);
    approves.stdout("blue → green").run().await;
    flip.end().await;
    let history = site.history().await;
    assert_eq!(history[0]["why"], "v2; approved by bob");
    let record = site.rollout_ends().await;
    assert_eq!(record["approved"]["by"], "bob", "{record}");
    // Going back waits for nobody.
    let back = site.command(&["rollback"]).stdout("green → blue");
    back.run().await;
    all_is_well(load, "blue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_approves_changes_nothing() {
    let site = Site::start().await;
    configure(&site, GATE).await;
    let load = site.load().await;
    let flip = site.flip(&[]).code(1);
    let flip = flip.stderr("interrupted before the key was set; nothing was changed");
    let flip = flip.start();
    flip.says("waiting for a person to approve it").await;
    flip.signal("INT");
    flip.end().await;
    let flip = site.flip(&[]).code(1);
    let flip = flip.stderr("aborted by bob; nothing was changed").start();
    flip.says("waiting for a person to approve it").await;
    let abort = site.command(&["rollout", "abort", "--by", "bob"]);
    abort.stdout("aborted by bob").run().await;
    flip.end().await;
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_handed_over_waits_in_the_provider() {
    let site = Site::start().await;
    configure(&site, GATE).await;
    let load = site.load().await;
    let flip = site.flip(&["--detach"]).any_stdout();
    flip.run().await;
    shows(&site, "waiting for approval").await;
    assert_eq!(site.key().await, "");
    let approves = site.command(&["rollout", "resume", "--by", "bob"]);
    approves.stdout("blue → green").run().await;
    let record = site.rollout_ends().await;
    assert_eq!(record["approved"]["by"], "bob", "{record}");
    all_is_well(load, "green").await;
}
