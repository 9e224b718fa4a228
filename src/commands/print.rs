//! Printing: data to stdout, talk to stderr. What is printed as text is one printable line, whatever is in it.

use std::io::{IsTerminal, Write, stderr, stdout};

use serde::Serialize;

use super::Exit;
use crate::config::Report;
use crate::printable::{self, Printable};

/// Prints a line of data to stdout.
pub(super) fn print(line: &str) {
    print_as_it_is(&Printable(line).to_string());
}

/// Prints lines of data to stdout, all at once, after what is `before` them as it is.
pub(super) fn print_lines(before: &str, lines: impl IntoIterator<Item = String>) {
    let lines = lines.into_iter();
    let lines: Vec<_> = lines.map(|line| Printable(&line).to_string()).collect();
    print_as_it_is(&format!("{before}{}", lines.join("\n")));
}

/// Prints one JSON object to stdout.
pub(super) fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print_as_it_is(&printable::json(&text)),
        Err(error) => talk(&format!("error: {error}")),
    }
}

/// Prints one JSON object as one line to stdout.
pub(super) fn print_json_line(value: &serde_json::Value) {
    print_as_it_is(&printable::json(&value.to_string()));
}

/// Prints data to stdout that is ours, or is to be handed on byte by byte. Data that is lost is a failure.
pub(super) fn print_as_it_is(text: &str) {
    if let Err(error) = write_out(text) {
        talk(&format!("error: stdout can't be written: {error}"));
        std::process::exit(Exit::Failed as i32);
    }
}

/// Prints to stdout what came of a command, printable already. Where that can't be written it goes to stderr: what was
/// done stands, and so does the exit code.
pub(super) fn print_outcome(text: &str) {
    if let Err(error) = write_out(text) {
        talk(&format!(
            "stdout can't be written ({error}); what it was to say:"
        ));
        text.lines().for_each(talk);
    }
}

/// Writes text to stdout as it is. A reader that has gone, such as `head`, is no error.
fn write_out(text: &str) -> std::io::Result<()> {
    let mut stdout = stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a line of talk to stderr.
pub(super) fn talk(line: &str) {
    writeln!(stderr().lock(), "{}", Printable(line)).ok();
}

/// Prints what is wrong with a config to stderr, on a terminal with colors.
pub(super) fn talk_report(report: &Report) {
    let text = report.render(stderr().is_terminal());
    writeln!(stderr().lock(), "{}", text.trim_end()).ok();
}
