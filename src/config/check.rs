//! The smoke tests of a stack, resolved, and the commands of `deploy`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Service;
use super::path::Path;
use super::raw::{RawCheck, RawCommand, RawDuration, RawStep, RawTarget};
use super::request::Known;
use super::resolve::Resolver;
use super::step::step;
use crate::check::{Action, Check, CommandLine, GIVEN, Step};
use crate::duration;

/// What a check can refer to.
pub(super) struct Around<'a> {
    /// The services of the stack.
    pub(super) services: &'a BTreeMap<String, Service>,
    /// Whether it says where production is.
    pub(super) production: bool,
}

/// Resolves the checks of a stack.
pub(super) fn checks(
    raw: Vec<RawCheck>,
    path: &Path,
    around: &Around<'_>,
    resolver: &mut Resolver<'_>,
) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for (i, raw) in raw.into_iter().enumerate() {
        let path = path.index(i);
        let name = path.key("name");
        if !resolver.findings.broken(&name) {
            if raw.name.trim().is_empty() || raw.name.contains(char::is_control) {
                resolver
                    .error_at_value(&name, "this can't be the name of a check")
                    .hint("say in a few words what it shows, such as `approval life cycle`");
            } else if checks.iter().any(|check| check.name == raw.name) {
                let shown = resolver.shown(&name, &raw.name);
                let message = format!("another check is named `{shown}` too");
                resolver
                    .error_at_value(&name, message)
                    .hint("give it a name of its own: by it you will know which one failed");
            }
        }
        checks.push(check(raw, &path, around, resolver));
    }
    checks
}

fn check(raw: RawCheck, path: &Path, around: &Around<'_>, resolver: &mut Resolver<'_>) -> Check {
    let RawCheck {
        name,
        on,
        timeout,
        steps: raw_steps,
        cleanup: raw_cleanup,
        command: raw_command,
    } = raw;
    let on_production = on.contains(&RawTarget::Production);
    if on_production && !around.production {
        resolver
            .error(&path.key("on"), "the stack does not say where production is")
            .hint("add `production: http://127.0.0.1:80` to the stack: where this host reaches Traefik's entrypoint");
    }
    let timeout = time(timeout, &path.key("timeout"), resolver);
    let intact = !resolver.findings.broken(&path.key("steps"))
        && !resolver.findings.broken(&path.key("command"));
    if intact && raw_steps.is_empty() == raw_command.is_none() {
        let (at, message) = match raw_command {
            Some(_) => (
                path.key("command"),
                "a check has steps or a command, not both",
            ),
            None => (path.clone(), "the check does nothing"),
        };
        resolver
            .error(&at, message)
            .hint("give it `steps`, a list of requests, or a `command`");
    }
    if raw_command.is_some() && !raw_cleanup.is_empty() {
        resolver
            .error(
                &path.key("cleanup"),
                "a command has no steps to clean up after",
            )
            .hint("have the command clean up itself");
    }
    let mut known = Known::and_saved(&GIVEN);
    let mut steps = |raw, at: &str, resolver: &mut Resolver<'_>| {
        steps(raw, &path.key(at), &mut known, around, resolver)
    };
    let in_order = steps(raw_steps, "steps", resolver);
    let cleanup = steps(raw_cleanup, "cleanup", resolver);
    let action = match raw_command {
        Some(raw) => Action::Command(command(raw, &path.key("command"), resolver)),
        None => Action::Steps(in_order),
    };
    Check {
        name,
        on_color: on.contains(&RawTarget::Color),
        on_production,
        timeout,
        action,
        cleanup,
    }
}

/// Resolves a command.
pub(super) fn command(raw: RawCommand, path: &Path, resolver: &mut Resolver<'_>) -> CommandLine {
    let (command, at, program) = match raw {
        RawCommand::Shell(line) => (CommandLine::Shell(line.clone()), path.clone(), Some(line)),
        RawCommand::Program(words) => {
            let first = words.first().cloned();
            (CommandLine::Program(words), path.index(0), first)
        }
    };
    if program.is_some_and(|program| program.trim().is_empty()) {
        resolver
            .error_at_value(&at, "the command is empty")
            .hint("name a program, or remove the key");
    }
    command
}

fn steps(
    raw: Vec<RawStep>,
    path: &Path,
    known: &mut Known,
    around: &Around<'_>,
    resolver: &mut Resolver<'_>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (i, raw) in raw.into_iter().enumerate() {
        steps.extend(step(raw, &path.index(i), known, around, resolver));
    }
    steps
}

/// A time limit, which is above zero.
pub(super) fn time(raw: RawDuration, path: &Path, resolver: &mut Resolver<'_>) -> Duration {
    let parsed = match raw {
        RawDuration::Seconds(seconds) => duration::of_seconds(seconds),
        RawDuration::Text(text) => duration::parse(&text),
    };
    match parsed {
        Ok(time) if !time.is_zero() => time,
        parsed => {
            // A parser quotes what it was given, which may be a variable's value.
            let why = parsed.err().filter(|_| !resolver.is_replaced(path));
            let why = why.map(|error| format!(": {error}")).unwrap_or_default();
            resolver
                .error_at_value(path, format!("this is no time limit{why}"))
                .hint("write one, such as `10s` or `2m`");
            Duration::ZERO
        }
    }
}
