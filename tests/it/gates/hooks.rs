//! Hooks of a rollout, at each of their moments.

use super::{SOON, all_is_well, configure, touch, writes, written};
use crate::care::Site;
use crate::support::eventually;

/// A hook for each moment, which writes down what it is told.
const ALL: &str = "    hooks:
      before: { command: 'echo $BLUEGREEN_STAGE $STACK $COLOR $BLUEGREEN_FROM $BLUEGREEN_TO $BLUEGREEN_WHY >> ran' }
      after: { command: 'echo $BLUEGREEN_STAGE $COLOR; echo $BLUEGREEN_STAGE $COLOR >> ran' }
      back: { command: 'echo $BLUEGREEN_STAGE $COLOR $BLUEGREEN_FROM $BLUEGREEN_TO >> ran' }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_runs_those_before_and_after_and_a_rollback_those_of_the_way_back() {
    let site = Site::start().await;
    configure(&site, ALL).await;
    let load = site.load().await;
    let flip = site.flip(&["--why", "v2"]).stdout("blue → green");
    let flip = flip
        .stderr("hook echo $BLUEGREEN_STAGE $COLOR")
        .stderr("  after green");
    flip.run().await;
    assert_eq!(
        written(&site, "ran"),
        "before deals green blue green v2\nafter green\n"
    );
    let back = site.command(&["rollback"]).stdout("green → blue");
    back.run().await;
    let ran = written(&site, "ran");
    assert_eq!(ran.lines().last(), Some("back blue green blue"));
    assert_eq!(ran.lines().count(), 3, "{ran}");
    site.is_free().await;
    all_is_well(load, "blue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_before_that_fails_refuses() {
    let site = Site::start().await;
    let hooks = "    hooks: { before: { command: 'echo no such table; exit 3' }, after: { command: touch after }, back: { command: touch back } }\n";
    configure(&site, hooks).await;
    let load = site.load().await;
    let flip = site.flip(&[]).code(3);
    flip.stderr("the hook `before` failed: echo no such table; exit 3: exit status: 3: no such table; nothing was changed")
        .run()
        .await;
    for hook in ["after", "back"] {
        let file = site.provider.config().with_file_name(hook);
        assert!(!file.exists(), "{hook}");
    }
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_after_that_fails_goes_back_and_one_of_the_way_back_that_fails_only_warns() {
    let site = Site::start().await;
    let hooks =
        "    hooks: { after: { command: exit 3 }, back: { command: 'touch back; exit 4' } }\n";
    configure(&site, hooks).await;
    let load = site.load().await;
    let flip = site.flip(&[]).code(4);
    flip.stderr("going back to blue")
        .stderr("warning: the hook `back` failed: touch back; exit 4: exit status: 4")
        .stderr("the hook `after` failed: exit 3: exit status: 3; rolled back to blue, which every instance has confirmed")
        .run()
        .await;
    assert!(site.provider.config().with_file_name("back").exists());
    assert_eq!(site.moves().await, ["blue", "green"]);
    let history = site.history().await;
    let why = history[0]["why"].as_str().unwrap();
    assert!(
        why.starts_with("went back: the hook `after` failed"),
        "{why}"
    );
    site.is_free().await;
    all_is_well(load, "blue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_before_a_stop_that_fails_leaves_the_color_running() {
    let site = Site::start().await;
    let keys = "    up: 'true'\n    down: touch stopped\n    hooks: { stop: { command: 'echo $BLUEGREEN_STAGE $COLOR \"<$BLUEGREEN_ROLLOUT>\" >> ran; test -e drained' } }\n";
    configure(&site, keys).await;
    let load = site.load().await;
    let deploy = site.command(&["deploy", "--stop-old", "--grace", "0s"]);
    deploy
        .code(1)
        .stderr("the hook `stop` failed")
        .stderr("blue is not stopped; green has the traffic, but blue still runs")
        .run()
        .await;
    let stopped = site.provider.config().with_file_name("stopped");
    assert!(!stopped.exists());
    let down = || site.command(&["down", "blue"]);
    down().code(1).stderr("blue is not stopped").run().await;
    assert!(!stopped.exists());
    touch(&site, "drained");
    down().stdout("blue is stopped").run().await;
    assert!(stopped.exists());
    let ran = written(&site, "ran");
    let ran: Vec<_> = ran.lines().collect();
    assert!(ran[0].starts_with("stop blue <") && ran[0] != "stop blue <>");
    assert_eq!(ran[1..], ["stop blue <>", "stop blue <>"]);
    site.is_free().await;
    all_is_well(load, "green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_a_hook_with_all_that_it_has_started() {
    let site = Site::start().await;
    let wait = "sleep 600 & echo $! > pid; echo started; wait";
    let hooks = format!("    hooks: {{ before: {{ command: '{wait}' }} }}\n");
    configure(&site, &hooks).await;
    let load = site.load().await;
    let flip = site.flip(&[]).code(1);
    let flip = flip.stderr("interrupted before the key was set; nothing was changed");
    let flip = flip.start();
    flip.says("  started").await;
    flip.signal("INT");
    flip.end().await;
    let pid = written(&site, "pid");
    let process = format!("/proc/{}/stat", pid.trim());
    eventually("it ends", SOON, async || {
        // One that nobody has asked for is a zombie.
        match std::fs::read_to_string(&process) {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        }
    })
    .await;
    site.is_untouched(load).await;

    site.reconfigure("before", "after");
    let flip = site.flip(&[]).code(5);
    let flip = flip.stderr("production has passed, but the hooks after that are not done");
    let flip = flip.start();
    flip.says("  started").await;
    flip.signal("INT");
    flip.end().await;
    assert_eq!(site.key().await, "green");

    site.reconfigure("after", "back");
    let back = site.command(&["rollback"]).stdout("green → blue");
    let back = back.stderr("warning: a hook was interrupted").start();
    back.says("  started").await;
    back.signal("INT");
    back.end().await;
    assert_eq!(site.key().await, "blue");
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_carries_a_rollout_on_runs_hooks_again_that_were_not_done() {
    let site = Site::start().await;
    let hooks = "    hooks: { before: { command: 'echo ran >> ran; until test -e go; do sleep 0.05; done' } }\n";
    configure(&site, hooks).await;
    let load = site.load().await;
    let flip = site.flip(&[]).start();
    writes(&site, "ran", "ran\n").await;
    flip.kill();
    writes(&site, "ran", "ran\nran\n").await;
    assert_eq!(site.key().await, "");
    touch(&site, "go");
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "done", "{record}");
    assert_eq!(site.moves().await, ["green"]);
    all_is_well(load, "green").await;
}
