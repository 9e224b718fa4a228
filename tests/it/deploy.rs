//! `deploy`: its stages, and what is left where one of them fails.

use std::time::Instant;

use crate::care::Site;
use crate::support::cli::Cli;
use crate::support::stack::HOSTS;

/// Gives the stack these commands.
fn commands(site: &Site, up: &str, down: &str) {
    let keys = format!("    up: '{up}'\n    down: '{down}'\n    services:\n");
    site.reconfigure("    services:\n", &keys);
}

fn deploy(site: &Site, flags: &[&str]) -> Cli {
    site.command(&[&["deploy"], flags].concat())
}

/// What the commands have written into the folder of the config.
fn written(site: &Site, name: &str) -> String {
    let file = site.provider.config().with_file_name(name);
    std::fs::read_to_string(file).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_brings_the_idle_color_up_flips_and_stops_the_old_one_without_a_failed_request() {
    let mut site = Site::start().await;
    for service in &mut site.services {
        service.stop("green").await;
    }
    commands(
        &site,
        "echo up {color} $COLOR $STACK | tee -a done",
        "echo down {color} >> done",
    );
    let load = site.load().await;
    let run = deploy(&site, &["--stop-old", "--grace", "0s", "--why", "v2"]);
    let run = run
        .stdout("deals: blue → green, applied by 1 instance")
        .start();
    // It starts as `up` would have it start: a little later.
    run.says("up green: done in").await;
    run.says("verifying green").await;
    for service in &mut site.services {
        service.restart("green").await;
    }
    let said = run.end().await;
    let stages = [
        "up green: echo up green $COLOR $STACK | tee -a done",
        "up green green deals",
        "up green: done in",
        "verifying green",
        "green is ready, after",
        "verifying production",
        "blue is stopped in",
        "down blue: done in",
    ];
    let mut from = 0;
    for stage in stages {
        let at = said[from..].find(stage);
        from += at.unwrap_or_else(|| panic!("`{stage}` is missing, or too late:\n{said}"));
    }
    assert_eq!(written(&site, "done"), "up green green deals\ndown blue\n");
    assert_eq!(site.history().await[0]["why"], "v2");
    let deployed = Instant::now();
    load.goes_on(deployed, HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(deployed, "green");
    site.is_free().await;

    let run = deploy(&site, &["--json", "--bake", "1s"]).any_stdout();
    let json = run.run().await.json();
    assert_eq!((&json["exit"], &json["to"]), (&0.into(), &"blue".into()));
    assert!(json["stages"]["up"].is_f64(), "{json}");
    assert_eq!(json["stages"]["down"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_fails_leaves_production_where_it_was() {
    let site = Site::start().await;
    let load = site.load().await;
    commands(&site, "echo no such image >&2; exit 3", "touch stopped");
    let run = deploy(&site, &["--stop-old"]).code(1);
    run.stderr("no such image")
        .stderr("`up` of green failed: echo no such image >&2; exit 3: exit status: 3; production is as it was: blue has the traffic")
        .stderr("deploy again")
        .run()
        .await;
    site.reconfigure("up: 'echo no such image >&2; exit 3'", "up: 'true'");
    site.services[2].set_healthy("green", false);
    let run = deploy(&site, &["--stop-old", "--timeout", "1"]).code(3);
    run.stderr("green is not ready: health dashboard")
        .stderr("nothing was changed")
        .stderr("green is left running")
        .run()
        .await;
    assert_eq!(written(&site, "stopped"), "");
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_with_traffic_is_neither_brought_up_nor_stopped() {
    let site = Site::start().await;
    commands(&site, "echo {color} >> up", "echo {color} >> down");
    let busy = || deploy(&site, &["blue"]).code(3);
    busy()
        .stderr("refused: blue has traffic (blue)")
        .run()
        .await;
    site.redis.cli(&["SET", "active", "blue:1,green:9"]).await;
    busy()
        .stderr("blue has traffic (blue:1,green:9)")
        .run()
        .await;
    let other = deploy(&site, &[]).code(2);
    other.stderr("it is not clear which color").run().await;
    assert_eq!(written(&site, "up"), "");

    // Somebody goes back while the old color is in its grace.
    site.redis.cli(&["SET", "active", "blue"]).await;
    site.has_instances(1).await;
    let run = deploy(&site, &["--stop-old", "--grace", "3s"]).code(7);
    let run = run.stderr("blue is not stopped").start();
    run.says("blue is stopped in 3s").await;
    site.command(&["rollback"]).any_stdout().run().await;
    run.end().await;
    assert_eq!(
        (
            written(&site, "up").as_str(),
            written(&site, "down").as_str()
        ),
        ("green\n", "")
    );
    assert_eq!(site.key().await, "blue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_change_during_up_is_not_overwritten() {
    let site = Site::start().await;
    let go = site.provider.config().with_file_name("go");
    commands(
        &site,
        "echo started; until test -e go; do sleep 0.05; done",
        "true",
    );
    let run = deploy(&site, &[])
        .code(7)
        .stderr("nothing was changed")
        .start();
    run.says("started").await;
    // A second one is refused while the first is at it.
    let second = deploy(&site, &[]).code(7);
    second.stderr("(deploy green, process").run().await;
    site.redis.cli(&["SET", "active", "green"]).await;
    site.redis.cli(&["SET", "active", "blue:1,green:1"]).await;
    std::fs::write(go, "").unwrap();
    run.end().await;
    assert_eq!(site.key().await, "blue:1,green:1");
}

/// A command that starts another process, says that it has, and waits for it.
const LINGERS: &str = "sleep 600 & echo $! > pid; echo it has $((1 + 1)); wait";

/// The process that a command has started, where it runs. A zombie has ended, and is somebody else's to reap.
fn lingering(site: &Site) -> Option<String> {
    let pid = written(site, "pid").trim().to_owned();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    (stat.contains(") ") && !stat.contains(") Z ")).then_some(pid)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_up_ends_with_all_that_it_started_and_changes_nothing() {
    for signal in ["INT", "TERM"] {
        let site = Site::start().await;
        let load = site.load().await;
        commands(&site, LINGERS, "true");
        let run = deploy(&site, &[]).code(1);
        let run = run
            .stderr("interrupted in `up` of green; ending it")
            .stderr("it was ended, with all that it had started; production is as it was")
            .start();
        run.says("it has 2").await;
        assert!(lingering(&site).is_some());
        run.signal(signal);
        run.end().await;
        assert_eq!(lingering(&site), None);
        site.is_untouched(load).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_takes_too_long_ends_with_all_that_it_started() {
    let site = Site::start().await;
    let load = site.load().await;
    commands(&site, LINGERS, LINGERS);
    let run = deploy(&site, &["--timeout", "1s"]).code(1);
    run.stderr("`up` of green is not done after 1s")
        .stderr("production is as it was: blue has the traffic")
        .stderr("`upTimeout: 15m`")
        .run()
        .await;
    assert_eq!(lingering(&site), None);
    // What the config says goes before it, both ways.
    site.reconfigure("    up:", "    upTimeout: 0.5s\n    up:");
    let run = deploy(&site, &[]).code(1);
    run.stderr("is not done after 500ms").run().await;
    assert_eq!(lingering(&site), None);
    site.is_untouched(load).await;

    site.reconfigure(LINGERS, "sleep 1.5");
    site.reconfigure("upTimeout: 0.5s", "upTimeout: 1m");
    let flags = ["--stop-old", "--grace", "0s", "--timeout", "1s"];
    let run = deploy(&site, &flags).code(1);
    run.stderr("up green: done in")
        .stderr("`down` of blue is not done after 1s")
        .stderr("green has the traffic, but blue may still run")
        .run()
        .await;
    assert_eq!(lingering(&site), None);
    assert_eq!(site.key().await, "green");
}

/// Such as a server that is started by hand: it goes on, and whoever reads what `deploy` says comes to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_up_has_left_running_holds_nobody_up() {
    let site = Site::start().await;
    commands(&site, "sleep 600 & echo $! > pid", "true");
    let run = deploy(&site, &[]).stdout("blue → green");
    run.stderr("note: what `up` has left running can't print to here any more")
        .run()
        .await;
    let pid = lingering(&site).expect("it runs");
    let kill = std::process::Command::new("sh")
        .args(["-c", &format!("kill {pid}")])
        .status();
    assert!(kill.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_lacks_is_told_before_anything_is_done_and_a_dry_run_does_nothing() {
    let site = Site::start().await;
    let load = site.load().await;
    deploy(&site, &[])
        .code(2)
        .stderr("add `up: docker compose")
        .run()
        .await;
    site.reconfigure("    services:\n", "    up: touch upped\n    services:\n");
    let run = deploy(&site, &["--stop-old"]).code(2);
    run.stderr("add `down: docker compose").run().await;
    let run = deploy(&site, &["--bake", "1s", "--no-wait"]).code(2);
    run.stderr("--bake").run().await;
    site.reconfigure(
        "    services:\n",
        "    down: touch stopped {color}\n    services:\n",
    );
    let run = deploy(&site, &["--stop-old", "--no-wait"]).code(2);
    run.stderr("--no-wait").run().await;
    let run = deploy(&site, &["--stop-old", "--dry-run", "--bake", "60s"]);
    run.stdout("would run touch upped")
        .stdout("would verify green before")
        .stdout("would change blue to green")
        .stdout("and watch it for 60s")
        .stdout("would run touch stopped blue after 30s")
        .run()
        .await;
    assert!(!site.provider.config().with_file_name("upped").exists());
    site.is_untouched(load).await;
}

/// `up` takes longer than a lease lasts: that is renewed all the same, though somebody else has written the record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_while_a_color_is_brought_up_is_heeded_once_that_is_done() {
    let site = Site::start().await;
    let load = site.load().await;
    commands(
        &site,
        "touch begun; while test ! -e done; do sleep 0.02; done; sleep 6",
        "true",
    );
    let run = deploy(&site, &[]).code(1);
    let run = run.stderr("aborted by ann; nothing was changed").start();
    run.says("up green: touch begun").await;
    let says = |what| site.command(&["rollout", what, "--by", "ann", "--detach"]);
    says("pause").any_stdout().run().await;
    run.says("paused by ann").await;
    let folder = site.provider.config();
    std::fs::write(folder.with_file_name("done"), "").unwrap();
    run.says("up green: done").await;
    says("abort").any_stdout().run().await;
    run.end().await;
    site.is_untouched(load).await;
}
