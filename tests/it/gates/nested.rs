//! `bluegreen` in a hook.

use super::{all_is_well, configure, written};
use crate::care::Site;

/// A hook for this moment that calls `bluegreen` like this.
async fn hook(site: &Site, moment: &str, calls: &str) {
    let program = env!("CARGO_BIN_EXE_bluegreen");
    let calls = calls.replace("bluegreen", program);
    let hooks = format!("    hooks: {{ {moment}: {{ command: '{calls}' }} }}\n");
    configure(site, &hooks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_may_look_at_everything() {
    let site = Site::start().await;
    let calls =
        "bluegreen status && bluegreen history && bluegreen rollout && bluegreen verify green";
    hook(&site, "before", calls).await;
    let flip = site.flip(&[]).stdout("blue → green");
    flip.stderr("  deals: blue")
        .stderr("hooks before, for")
        .run()
        .await;
}

/// Also where the flags alone say which config and which store: the hook is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_in_a_hook_before_moves_traffic_and_the_rollout_goes_on_from_there() {
    let site = Site::start().await;
    let calls = "bluegreen shift blue:50,green:50 && echo $BLUEGREEN_CONFIG >> ran";
    hook(&site, "before", calls).await;
    let load = site.load().await;
    let config = site.provider.config().display().to_string();
    let flags = [
        "flip",
        "green",
        "--why",
        "v2",
        "--config",
        &config,
        "--store",
        site.provider.store(),
    ];
    let flip = crate::support::cli::Cli::new(&flags).any_stderr();
    let flip = flip.stdout("deals: blue → green");
    let said = flip.run().await.stderr;
    assert!(said.contains("deals: blue → blue:50,green:50, "), "{said}");
    assert_eq!(written(&site, "ran").trim(), config);
    let moves: Vec<_> = site
        .history()
        .await
        .iter()
        .map(|entry| format!("{} {} {}", entry["from"], entry["to"], entry["why"]))
        .collect();
    assert_eq!(
        moves,
        [
            r#""blue:50,green:50" "green" "v2""#,
            r#""blue" "blue:50,green:50" "v2""#,
        ]
    );
    site.is_free().await;
    all_is_well(load, "green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hook_that_fails_has_moved_goes_back() {
    for care in ["", "--no-wait"] {
        let site = Site::start().await;
        hook(
            &site,
            "before",
            &format!("bluegreen shift blue:50,green:50 {care}; exit 3"),
        )
        .await;
        let load = site.load().await;
        let flip = site.flip(&[]).code(4);
        flip.stderr("the hook `before` failed")
            .stderr("rolled back to blue, which every instance has confirmed")
            .run()
            .await;
        assert_eq!(site.moves().await, ["blue", "blue:50,green:50"]);
        site.is_free().await;
        all_is_well(load, "blue").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_in_a_hook_after_is_where_the_rollout_ends() {
    let site = Site::start().await;
    hook(&site, "after", "bluegreen shift blue:10,green:90").await;
    let flip = site.flip(&[]).stdout("deals: blue → blue:10,green:90");
    flip.run().await;
    assert_eq!(site.key().await, "blue:10,green:90");
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "done", "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_wait_for_itself_is_refused() {
    let site = Site::start().await;
    let up = "    up: 'true'\n    services:\n";
    site.reconfigure("    services:\n", up);
    for command in ["flip green", "ramp green", "deploy", "rollback"] {
        hook(&site, "before", &format!("bluegreen {command}")).await;
        let flip = site.flip(&[]).code(3);
        let said = flip.stderr("the hook `before` failed").run().await.stderr;
        let history = "the history is empty";
        let refused = "which would wait for the end of that rollout, and so for itself";
        assert!(said.contains(refused) || said.contains(history), "{said}");
        let hooks = std::fs::read_to_string(site.provider.config()).unwrap();
        let line = hooks.lines().find(|line| line.contains("hooks:")).unwrap();
        site.reconfigure(&format!("{line}\n"), "");
    }
    assert_eq!(site.key().await, "");
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_of_the_way_back_moves_nothing() {
    let site = Site::start().await;
    hook(&site, "back", "bluegreen shift blue:50,green:50").await;
    site.flip(&[]).any_stdout().run().await;
    let back = site.command(&["rollback"]).stdout("green → blue");
    back.stderr("only `before` and `after` may").run().await;
    assert_eq!(site.key().await, "blue");
}
