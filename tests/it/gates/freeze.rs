//! Freeze windows: when no rollout moves traffic.

use super::{all_is_well, configure, shows};
use crate::care::Site;

/// One that is always open.
const FROZEN: &str = "    gates: { freeze: [{ from: '* * * * *', to: '* * * * *', timeZone: UTC, why: holidays }] }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_begins_in_a_freeze_is_refused_unless_somebody_says_why_it_can_not_wait() {
    let site = Site::start().await;
    configure(&site, FROZEN).await;
    let load = site.load().await;
    site.reconfigure("    services:\n", "    up: touch up\n    services:\n");
    let window = "refused: frozen, with no end in sight (holidays); nothing was changed";
    for command in [
        &["flip", "green"][..],
        &["flip", "green", "--detach"],
        &["deploy"],
        &["shift", "blue:90,green:10"],
        &["ramp", "green"],
    ] {
        let refused = site.command(command).code(3).stderr(window);
        refused.stderr("--override-freeze").run().await;
        let forced = [command, &["--override-freeze"]].concat();
        let forced = site.command(&forced).code(2);
        forced
            .stderr("--override-freeze needs a reason")
            .run()
            .await;
    }
    assert!(!site.provider.config().with_file_name("up").exists());
    let status = site.command(&["status"]);
    status
        .stdout("frozen, with no end in sight (holidays)")
        .run()
        .await;
    site.is_untouched(load).await;

    let load = site.load().await;
    let flip = site.flip(&["--override-freeze", "--why", "login is down"]);
    flip.stdout("blue → green").run().await;
    assert_eq!(site.history().await[0]["why"], "login is down");
    // Going back needs no leave.
    let back = site.command(&["rollback"]).stdout("green → blue");
    back.run().await;
    all_is_well(load, "blue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ramp_that_a_freeze_comes_upon_stays_where_it_is_and_can_go_back() {
    let site = Site::start().await;
    let load = site.load().await;
    let ramp = ["ramp", "green", "--steps", "50,100", "--interval", "10s"];
    let run = site.command(&ramp).start();
    run.says("watching production").await;
    // Whoever carries it on knows of the freeze.
    run.kill();
    configure(&site, FROZEN).await;
    shows(&site, "waiting for the end of a freeze").await;
    assert_eq!(site.key().await, "blue:50,green:50");
    let abort = site.command(&["rollout", "abort"]);
    abort.stdout("rolled back to blue").run().await;
    assert_eq!(site.moves().await, ["blue", "blue:50,green:50"]);
    all_is_well(load, "blue").await;
}
