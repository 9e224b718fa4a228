//! A command of the config that is run for a color: `up`, which brings it up, or `down`, which stops it.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{Common, Exit, Failure, talk_unless_quiet};
use crate::check::CommandLine;
use crate::color::Color;
use crate::command::{END_WITHIN, Running};
use crate::rollout::place::Place;
use crate::verify::report::time;

/// The config does not have this command.
pub(super) fn missing(stack: &str, key: &str) -> Failure {
    let (what, arguments) = match key {
        "up" => ("bring a color up", "up -d --build"),
        _ => ("stop a color", "stop"),
    };
    let message = format!("the config does not say how to {what}");
    Failure::new(Exit::Usage, message).hint(format!(
        "add `{key}: docker compose -f compose.{{color}}.yml {arguments}` to the stack `{stack}`"
    ))
}

/// A command that is to be run for a color.
pub(super) struct Stage<'a> {
    /// Flags that all commands know.
    pub(super) common: &'a Common,
    /// The stack's name.
    pub(super) stack: &'a str,
    /// Where it runs.
    pub(super) place: &'a Place,
    /// Its key in the config: `up` or `down`.
    pub(super) key: &'static str,
    /// The color.
    pub(super) color: &'a Color,
    /// The command.
    pub(super) line: CommandLine,
    /// How long it may take.
    pub(super) within: Duration,
}

/// Why a stage did not do what it is for, in a sentence.
pub(super) enum Undone {
    /// It could not be started, or failed by itself.
    Failed(String),
    /// It took too long, and was ended.
    Late(String),
    /// The operator interrupted it, or somebody wants it to go back, and it was ended.
    Interrupted(String),
}

impl Stage<'_> {
    /// Runs it, until `stop` says why it is to be no more; what it prints goes to stderr. Where it is cut off, all that it
    /// has started ends with it.
    pub(super) async fn run(&self, stop: impl Future<Output = String>) -> Result<(), Undone> {
        let Self {
            common,
            key,
            color,
            line,
            within,
            ..
        } = self;
        talk_unless_quiet(common, &format!("{key} {color}: {line}"));
        let began = Instant::now();
        let failed = |why: &dyn std::fmt::Display| {
            Undone::Failed(format!("`{key}` of {color} failed: {line}: {why}"))
        };
        let mut command = line.command();
        command
            .current_dir(&self.place.folder)
            .env("COLOR", color.as_str())
            .env("STACK", self.stack);
        let mut running = Running::start(command).map_err(|error| failed(&error))?;
        let mut tell = |printed: &[u8]| {
            // Where nobody reads it, it runs on.
            std::io::stderr().lock().write_all(printed).ok();
        };
        let (why, undone): (_, fn(_) -> _) = tokio::select! {
            status = running.wait(&mut tell) => {
                let status = status.map_err(|error| failed(&error))?;
                if !status.success() {
                    return Err(failed(&status));
                }
                if running.let_go() {
                    talk_unless_quiet(common, &format!(
                        "note: what `{key}` has left running can't print to here any more: redirect its output"
                    ));
                }
                talk_unless_quiet(common, &format!("{key} {color}: done in {}", time(began.elapsed())));
                return Ok(());
            }
            () = tokio::time::sleep(*within) => (
                format!("`{key}` of {color} is not done after {within:?}: {line}"), Undone::Late as fn(_) -> _,
            ),
            why = stop => (format!("{why} in `{key}` of {color}"), Undone::Interrupted),
        };
        talk_unless_quiet(common, &format!("{why}; ending it"));
        running.end(END_WITHIN, &mut tell).await;
        Err(undone(format!(
            "{why}; it was ended, with all that it had started"
        )))
    }
}
