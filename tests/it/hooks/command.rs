//! Hooks that are commands.

use std::path::Path;
use std::time::Duration;

use bluegreen::hook::Stage;
use bluegreen::rollout::hook::{Cause, Told};

use super::{Site, flip, green};
use crate::support::eventually;

/// A site whose `before` is this line for the shell.
fn site(line: &str) -> Site {
    Site::of(&format!("      before: {{ command: {line:?} }}"))
}

#[tokio::test]
async fn a_command_is_told_what_the_rollout_is_and_runs_in_the_folder_of_the_config() {
    let line = "echo {color}; pwd -P; printenv STACK COLOR BLUEGREEN_STAGE BLUEGREEN_FROM BLUEGREEN_TO BLUEGREEN_ROLLOUT BLUEGREEN_BY BLUEGREEN_WHY";
    let site = site(line);
    site.run(Stage::Before).await.unwrap();
    let folder = site.dir.path().canonicalize().unwrap();
    let folder = folder.to_str().unwrap();
    let why = "release \"42\" & more";
    let told = [
        "green", folder, "s", "green", "before", "blue", "green", "r-1", "ann@web1", why,
    ];
    assert_eq!(site.told()[1..], told);
    let site = self::site("printenv BLUEGREEN_CONFIG BLUEGREEN_STACK BLUEGREEN_STORE");
    site.run(Stage::Before).await.unwrap();
    let config = site.dir.path().join("bluegreen.yml");
    let told = [config.to_str().unwrap(), "s", "file:/var/lib/store"];
    assert_eq!(site.told()[1..], told);

    // Where nobody knows, and with what no environment can hold.
    let green = green();
    let unknown = Told {
        from: None,
        why: "a\0b",
        ..flip(Stage::Before, &green)
    };
    let site = self::site("echo \"<$BLUEGREEN_FROM> $BLUEGREEN_WHY\"");
    site.run_for(&unknown).await.unwrap();
    assert_eq!(site.told()[1], "<> ab");
}

#[tokio::test]
async fn hooks_run_one_after_the_other_up_to_the_first_that_fails() {
    let hooks = "      after: [{ command: 'sleep 0.1; echo one' }, { command: [echo, two] }, { command: exit 3 }, { command: echo four }]\n      stop: { command: echo stop }";
    let site = Site::of(hooks);
    let failed = site.run(Stage::After).await.unwrap_err();
    let told = [
        "# sleep 0.1; echo one",
        "one",
        "# echo two",
        "two",
        "# exit 3",
    ];
    assert_eq!(site.told(), told);
    assert_eq!(
        failed.to_string(),
        "the hook `after[2]` failed: exit 3: exit status: 3"
    );
    assert!(matches!(failed.cause, Cause::Ended(status) if status.code() == Some(3)));
    // A stage without hooks is done.
    site.run(Stage::Back).await.unwrap();
    assert_eq!(site.told(), told);
}

#[tokio::test]
async fn each_line_is_told_when_it_is_printed() {
    let site = site(
        "printf on; echo; while ! test -f go; do sleep 0.01; done; printf '\\rhalf '; printf 'a line'",
    );
    let told = eventually(
        "the line is told",
        Duration::from_secs(10),
        async || match site.told().as_slice() {
            [_, on] if on == "on" => Ok(()),
            told => Err(format!("{told:?}")),
        },
    );
    let going_on = async {
        told.await;
        std::fs::write(site.dir.path().join("go"), "").unwrap();
    };
    let (done, ()) = tokio::join!(site.run(Stage::Before), going_on);
    done.unwrap();
    assert_eq!(site.told()[1..], ["on", "\rhalf a line"]);
}

#[tokio::test]
async fn what_a_failure_shows_is_bounded_and_safe_to_look_at() {
    let line = "seq 100; printf '\\033[2Jno such \\302\\205 table\\007\\n\\n'; head -c 100000 /dev/zero | tr '\\0' x; exit 1";
    let site = site(line);
    let failed = site.run(Stage::Before).await.unwrap_err();
    assert_eq!(failed.output.len(), 5);
    let line = "x".repeat(200);
    assert!(failed.output[4].starts_with(&line), "{:?}", failed.output);
    let shown = failed.to_string();
    assert!(shown.len() < 1000 && shown.ends_with(&format!("exit status: 1: {line}…")));
    // No line is longer than may be, whatever is printed.
    assert!(site.told().iter().all(|line| line.len() <= 3 * 4096));

    let line = "echo one; printf '\\033[2Jno such \\302\\205 table\\007\\n\\n'; exit 1";
    let failed = self::site(line).run(Stage::Before).await.unwrap_err();
    assert_eq!(
        failed.output,
        ["one", r"\u{1b}[2Jno such \u{85} table\u{7}"]
    );
    assert!(failed.to_string().ends_with(&failed.output[1]));
}

#[tokio::test]
async fn what_cannot_be_run_is_told() {
    let site = Site::of("      before: { command: [./no-such-program, x] }");
    let failed = site.run(Stage::Before).await.unwrap_err();
    assert_eq!(
        failed.to_string(),
        "the hook `before` failed: ./no-such-program x: it can't be run: No such file or directory (os error 2)"
    );
}

/// A command that starts another process, whose id it writes down, and waits.
const LINGERS: &str = "(trap '' TERM; echo on; sleep 600) & echo $! > pid; echo $$ > own; wait";

/// The processes of [`LINGERS`] are gone.
async fn the_processes_are_gone(folder: &Path) {
    for name in ["pid", "own"] {
        let id = std::fs::read_to_string(folder.join(name)).unwrap();
        let stat = Path::new("/proc").join(id.trim()).join("stat");
        eventually("it is gone", Duration::from_secs(20), async || {
            // A zombie is as gone, and somebody else's to reap.
            match std::fs::read_to_string(&stat) {
                Ok(stat) if !stat.contains(") Z ") => Err(stat),
                _ => Ok(()),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_command_that_takes_too_long_ends_with_all_that_it_has_started() {
    let hooks = format!("      before: {{ command: {LINGERS:?}, timeout: 500ms }}");
    let hooks = hooks.replace("trap '' TERM; ", "");
    let site = Site::of(&hooks);
    let failed = site.run(Stage::Before).await.unwrap_err();
    assert_eq!(failed.cause, Cause::Late(Duration::from_millis(500)));
    let shown = failed.to_string();
    let end = "not done within 500ms; it was ended, with all that it had started: on";
    assert!(shown.ends_with(end), "{shown}");
    the_processes_are_gone(site.dir.path()).await;
}

#[tokio::test]
async fn a_command_ends_with_all_that_it_has_started_when_nobody_waits_any_more() {
    let site = site(LINGERS);
    let mut run = Box::pin(site.run(Stage::Before));
    let on = eventually("it runs", Duration::from_secs(10), async || {
        match site.told().get(1) {
            Some(_) => Ok(()),
            None => Err("nothing"),
        }
    });
    tokio::select! {
        done = &mut run => panic!("{done:?}"),
        () = on => drop(run),
    }
    the_processes_are_gone(site.dir.path()).await;
}

#[tokio::test]
async fn what_a_command_leaves_running_ends_with_it() {
    let site = site(&LINGERS.replace("; wait", ""));
    site.run(Stage::Before).await.unwrap();
    the_processes_are_gone(site.dir.path()).await;
}

#[tokio::test]
async fn a_bluegreen_that_a_hook_calls_acts_for_whoever_asked_for_the_rollout() {
    let bluegreen = env!("CARGO_BIN_EXE_bluegreen");
    let flip = format!("{bluegreen} flip --no-verify --no-wait");
    let site = site(&format!(
        "export BLUEGREEN_STORE=file:$PWD/store; {flip} green && {flip} blue --by bob --why back && {bluegreen} history"
    ));
    let config = "stacks: { s: { services: { a: { rule: Host(`a`), servers: { blue: http://127.0.0.1:1, green: http://127.0.0.1:2 } } } } }";
    std::fs::write(site.dir.path().join("bluegreen.yml"), config).unwrap();
    site.run(Stage::Before).await.unwrap();
    let told = site.told().join("\n");
    for entry in [
        "→ green  by ann@web1: release \"42\" & more",
        "green → blue  by bob: back",
    ] {
        assert!(told.contains(entry), "{told}");
    }
}
