//! What is shown while something is verified: a line for each outcome, and what is waited for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::progress::Progress;
use super::{Common, print, talk};
use crate::printable::beginning;
use crate::verify::measure::Told;
use crate::verify::report::Line;

/// How much is shown of what is wrong with a check that is tried again, in characters.
const LONGEST: usize = 120;

/// Where the outcomes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// To stdout: they are what was asked for.
    Print,
    /// To stderr.
    Talk,
    /// Only those that went wrong, to stderr.
    Wrong,
    /// Nowhere: they are in the JSON object.
    Keep,
}

/// The board.
pub struct Board {
    lines: Lines,
    state: RefCell<State>,
}

struct State {
    progress: Progress,
    /// What fails so far, by check.
    again: BTreeMap<String, String>,
}

impl Board {
    /// A board for outcomes that go there, unless the flags say otherwise.
    pub fn new(common: &Common, lines: Lines) -> Self {
        Self {
            lines: match common {
                Common { json: true, .. } => Lines::Keep,
                Common { quiet: true, .. } => Lines::Wrong,
                _ => lines,
            },
            state: RefCell::new(State {
                progress: Progress::new(common.quiet || common.json),
                again: BTreeMap::new(),
            }),
        }
    }

    /// Shows what there is to tell.
    pub fn tell(&self, told: Told<'_>) {
        let mut state = self.state.borrow_mut();
        match told {
            Told::Again { kind, name, detail } => {
                let first = detail.lines().next().unwrap_or_default();
                let short = beginning(first, LONGEST);
                state.again.insert(format!("{kind} {name}"), short);
            }
            Told::Line(line) => {
                state.again.remove(&format!("{} {}", line.kind, line.name));
                state.progress.clear();
                self.show(line);
            }
        }
        let mut again = state.again.iter();
        let Some((check, detail)) = again.next() else {
            return;
        };
        let others = match again.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let text = format!("waiting for {check} ({detail}){others}");
        state.progress.show(&text);
    }

    /// Whether an outcome is worth a line here.
    pub fn shows(&self, line: &Line) -> bool {
        match self.lines {
            Lines::Print | Lines::Talk => true,
            Lines::Wrong => !line.outcome.is_good(),
            Lines::Keep => false,
        }
    }

    fn show(&self, line: &Line) {
        let put: fn(&str) = match self.lines {
            Lines::Print => print,
            Lines::Talk | Lines::Wrong | Lines::Keep => talk,
        };
        if self.shows(line) {
            line.rows().iter().for_each(|row| put(row));
        }
    }
}
