//! What a long wait waits for: a live line on a terminal, else plain lines on stderr.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

use crate::printable::Printable;

/// A wait that is over sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(400);

/// Plain lines come at most so often: a log is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The width of a terminal that does not tell its own, in columns.
const USUAL_WIDTH: usize = 80;

/// The progress of one wait.
#[derive(Debug)]
pub struct Progress {
    since: Instant,
    quiet: bool,
    live: bool,
    shown: Option<(Instant, String)>,
}

impl Progress {
    /// A wait begins.
    pub fn new(quiet: bool) -> Self {
        Self {
            since: Instant::now(),
            quiet,
            live: std::io::stderr().is_terminal(),
            shown: None,
        }
    }

    /// Says what is waited for.
    pub fn show(&mut self, what: &str) {
        if self.quiet || self.since.elapsed() < PATIENCE {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        if self.live {
            let line = format!("{} s: {}", self.since.elapsed().as_secs(), Printable(what));
            // One that is broken in two could not be taken away again.
            let width = tcgetwinsize(&stderr).map_or(0, |size| usize::from(size.ws_col));
            let width = if width == 0 { USUAL_WIDTH } else { width };
            let line: String = line.chars().take(width.saturating_sub(1)).collect();
            // Over the former line: carriage return, erase to the end of the line (ECMA-48, EL).
            write!(stderr, "\r\x1b[2K{line}").ok();
            stderr.flush().ok();
            self.shown = Some((Instant::now(), String::new()));
            return;
        }
        let due = self
            .shown
            .as_ref()
            .is_none_or(|(at, text)| text != what && at.elapsed() >= LINE_EVERY);
        if due {
            writeln!(stderr, "{}", Printable(what)).ok();
            self.shown = Some((Instant::now(), what.to_owned()));
        }
    }
}

impl Progress {
    /// Takes the live line away: something else is to be written.
    pub fn clear(&mut self) {
        if self.live && self.shown.take().is_some() {
            let mut stderr = std::io::stderr().lock();
            write!(stderr, "\r\x1b[2K").ok();
            stderr.flush().ok();
        }
    }
}

/// The live line goes away.
impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
