//! A smoke test that is a command, which passes with exit code 0.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Command;

use super::Verify;
use super::report::Outcome;
use super::smoke::Target;
use crate::check::CommandLine;

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

async fn output(
    verify: &Verify<'_>,
    line: &CommandLine,
    target: &Target<'_>,
) -> std::io::Result<(std::process::ExitStatus, Vec<u8>)> {
    let (reader, writer) = std::io::pipe()?;
    let mut command: Command = line.command().into();
    command
        .current_dir(verify.folder)
        .env("COLOR", &target.color)
        .env("STACK", verify.name)
        .env("TARGET", target.name)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        // A group of its own, so that what it starts ends with it.
        .process_group(0);
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
    let mut child = command.spawn()?;
    // The command still has the ends for writing: what is read would never end.
    drop(command);
    let group = Group(
        child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
    );
    let mut reader = pipe::Receiver::from_owned_fd(reader.into())?;
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    let mut open = true;
    let status = loop {
        tokio::select! {
            read = reader.read(&mut buffer), if open => match read {
                Ok(0) | Err(_) => open = false,
                Ok(count) => keep(&mut kept, &buffer[..count]),
            },
            status = child.wait() => break status?,
        }
    };
    // What it left running could hold the pipe open for ever.
    drop(group);
    while let Ok(count @ 1..) = reader.try_read(&mut buffer) {
        keep(&mut kept, &buffer[..count]);
    }
    Ok((status, kept))
}

fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    kept.drain(..kept.len().saturating_sub(SHOWN));
}

/// A process group, which ends with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}
