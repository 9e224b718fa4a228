//! Smoke tests that are commands.

use std::path::Path;
use std::time::Duration;

use super::{Verify, service};
use crate::support::backend::Backend;
use crate::support::eventually;

async fn of_command(command: &str) -> (Backend, Verify) {
    let api = Backend::start("api", &["green"]).await;
    let services = service("api", &api.url("green"));
    let stack = format!("    services:\n{services}    checks: [{{ name: try, {command} }}]\n");
    (api, Verify::of(&stack))
}

#[tokio::test]
async fn a_command_gets_the_color_and_the_urls_and_runs_in_the_folder_of_the_config() {
    let line = "test \"$COLOR $STACK $TARGET\" = \"green s green\" && curl -fsS $API_URL/health && test -f bluegreen.yml";
    let (_api, verify) = of_command(&format!("command: '{line}'")).await;
    verify
        .green(&[])
        .stdout("passed      check       try")
        .run()
        .await;
    let (_api, verify) = of_command("command: [test, -f, bluegreen.yml]").await;
    verify
        .green(&[])
        .stdout("passed      check       try")
        .run()
        .await;
}

#[tokio::test]
async fn a_command_that_fails_shows_the_end_of_what_it_printed() {
    let line = "seq 5000; echo no such deal >&2; exit 7";
    let (_api, verify) = of_command(&format!("command: {line}")).await;
    let run = verify.green(&["--timeout", "0.5s"]).code(3).any_stdout();
    let output = run.run().await;
    assert!(output.stdout.contains("exit status: 7"), "{output:?}");
    assert!(output.stdout.contains("no such deal"), "{output:?}");
    assert!(!output.stdout.contains("\n            99\n"), "{output:?}");

    let (_api, verify) = of_command("command: [./no-such-program]").await;
    let run = verify.green(&["--timeout", "0.5s"]).code(1).any_stdout();
    let output = run.run().await;
    assert!(
        output.stdout.contains("unmeasured  check       try"),
        "{output:?}"
    );
}

/// A command that starts another process and waits; both must be gone.
const LINGERS: &str = "sleep 600 & echo $! > pid; wait";

async fn the_process_is_gone(verify: &Verify) {
    let pid = std::fs::read_to_string(verify.dir.path().join("pid")).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    eventually(
        "what it started is gone",
        Duration::from_secs(5),
        async || {
            // A zombie is as gone, and somebody else's to reap.
            match std::fs::read_to_string(process.join("stat")) {
                Ok(stat) if !stat.contains(") Z ") => Err(stat),
                _ => Ok(()),
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_command_that_takes_too_long_ends_with_everything_that_it_started() {
    let (_api, verify) = of_command(&format!("timeout: 1s, command: '{LINGERS}'")).await;
    let run = verify.green(&["--timeout", "1.5s"]).code(3).any_stdout();
    let output = run.run().await;
    assert!(output.stdout.contains("not done within 1s"), "{output:?}");
    the_process_is_gone(&verify).await;
}

#[tokio::test]
async fn a_command_ends_with_the_verify_that_is_interrupted() {
    for signal in ["INT", "TERM"] {
        let (_api, verify) = of_command(&format!("timeout: 1h, command: '{LINGERS}'")).await;
        let run = verify.green(&[]).code(1).start();
        let pid = verify.dir.path().join("pid");
        eventually("the command runs", Duration::from_secs(10), async || {
            let written = std::fs::read_to_string(&pid).unwrap_or_default();
            if written.ends_with('\n') {
                Ok(())
            } else {
                Err(written)
            }
        })
        .await;
        run.signal(signal);
        run.end().await;
        the_process_is_gone(&verify).await;
    }
}
