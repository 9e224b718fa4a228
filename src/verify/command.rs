//! A smoke test that is a command, which passes with exit code 0.

use std::io;
use std::process::ExitStatus;

use super::Verify;
use super::report::Outcome;
use super::smoke::Target;
use crate::check::CommandLine;
use crate::command::Running;

/// How much of its output is shown, in bytes: the end tells what went wrong.
const SHOWN: usize = 4096;

/// Runs the command once.
pub(super) async fn run(verify: &Verify<'_>, line: &CommandLine, target: &Target<'_>) -> Outcome {
    match output(verify, line, target).await {
        Err(error) => Outcome::Unmeasured(format!("{line} can't be run: {error}")),
        Ok((status, _)) if status.success() => Outcome::Passed(String::new()),
        Ok((status, output)) => {
            let output = String::from_utf8_lossy(&output);
            let lines: Vec<_> = output.trim_end().lines().collect();
            Outcome::Failed(
                format!("{line}: {status}\n{}", lines.join("\n"))
                    .trim_end()
                    .to_owned(),
            )
        }
    }
}

/// How it ended, and the end of what it printed. What it has started ends with it.
async fn output(
    verify: &Verify<'_>,
    line: &CommandLine,
    target: &Target<'_>,
) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut command = line.command();
    command
        .current_dir(verify.folder)
        .env("COLOR", &target.color)
        .env("STACK", verify.name)
        .env("TARGET", target.name);
    for (service, base) in &target.bases {
        let name: String = service
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        command.env(format!("{name}_URL"), &base.server);
        if let Some(host) = &base.host {
            command.env(format!("{name}_HOST"), host);
        }
    }
    let mut kept = Vec::new();
    let mut keep = |more: &[u8]| {
        kept.extend_from_slice(more);
        kept.drain(..kept.len().saturating_sub(SHOWN));
    };
    let status = Running::start(command)?.wait(&mut keep).await?;
    Ok((status, kept))
}
