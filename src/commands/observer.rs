//! What happens in a rollout, as the terminal shows it: lines to stderr, and what is waited for.

use std::cell::RefCell;

use super::board::{Board, Lines};
use super::progress::Progress;
use super::told::proof;
use super::{Common, talk, talk_unless_quiet};
use crate::registry::first_few;
use crate::rollout::analysis::{Measured, of_measured};
use crate::rollout::event::Event;
use crate::verify::measure::Told;
use crate::verify::report::time;

/// The observer.
pub(super) struct Observer<'a> {
    common: &'a Common,
    /// The checks of the round that runs.
    board: RefCell<Board>,
    /// The wait that goes on.
    wait: RefCell<Progress>,
}

impl<'a> Observer<'a> {
    pub(super) fn new(common: &'a Common) -> Self {
        Self {
            common,
            board: RefCell::new(Board::new(common, Lines::Talk)),
            wait: RefCell::new(Progress::new(common.quiet || common.json)),
        }
    }

    /// Shows it.
    pub(super) fn tell(&self, event: Event<'_>) {
        match event {
            Event::Round { quietly } => {
                let lines = if quietly { Lines::Wrong } else { Lines::Talk };
                *self.board.borrow_mut() = Board::new(self.common, lines);
            }
            Event::Check(told) => {
                let board = self.board.borrow();
                // Both are lines of the same terminal.
                if matches!(&told, Told::Line(line) if board.shows(line)) {
                    self.wait.borrow_mut().clear();
                }
                board.tell(told);
            }
            Event::WaitingFor(late) => {
                self.wait(&format!("waiting for {}", first_few(late.iter())));
            }
            Event::WaitingForStore(error) => self.wait(&format!("waiting for the store: {error}")),
            Event::WaitingForWayBack(why) => self.wait(&format!(
                "waiting for the store to take the way back: {why}"
            )),
            Event::Watching { left, to_come } => {
                let left = format!("watching production for {:.0} s more", left.as_secs_f64());
                self.wait(&match to_come.as_secs() {
                    0 => left,
                    later => format!("{left}, and {later} s in the steps to come"),
                });
            }
            Event::StepPassed {
                step,
                of,
                to,
                measured,
            } => self.say(&format!(
                "step {step} of {of}: {to} passed{}",
                with_figures(measured)
            )),
            Event::Verifying(color) => self.say(&format!("verifying {color}")),
            Event::Ready { color, after } => {
                self.say(&format!("{color} is ready, after {}", time(after)));
            }
            Event::NothingOfColor(color) => self.say(&format!(
                "note: nothing of {color} was verified: give the services a `health` path, or the stack `checks`"
            )),
            Event::ProductionUnwell(why) => {
                self.say(&format!("note: production is not well now: {why}"));
            }
            Event::Step { step, of, to } => self.say(&format!("step {step} of {of}: {to}")),
            Event::Confirmed(confirmed) => {
                let proof = proof(confirmed).map(|proof| format!("{proof}; "));
                self.say(&format!(
                    "{}verifying production",
                    proof.unwrap_or_default()
                ));
            }
            Event::StoreAway(why) => self.say(&format!(
                "the store can't be reached: {why}; what Traefik serves stands"
            )),
            Event::NothingOfProduction => self.say("note: nothing of production was verified"),
            Event::KeptPassing { long, measured } => self.say(&format!(
                "production kept passing for {long:?}{}",
                with_figures(measured)
            )),
            Event::GoingBack(from) => self.say(&format!("going back to {from}")),
            Event::AwaitingApproval => {
                let stack = self.common.stack.as_ref();
                let stack = stack.map(|name| format!(" --stack {name}"));
                let stack = stack.unwrap_or_default();
                self.say(&format!(
                    "waiting for a person to approve it: `bluegreen rollout resume{stack}` in another terminal does, \
                     `bluegreen rollout abort{stack}` refuses"
                ));
            }
            Event::Approved(wish) => self.say(&format!("approved by {}", wish.by)),
            Event::Frozen(window) => self.say(&format!("{window}: waiting")),
            Event::Hook(what) => self.say(&format!("hook {what}")),
            Event::HookPrinted(text) => {
                let text = String::from_utf8_lossy(text);
                text.lines().for_each(|line| self.say(&format!("  {line}")));
            }
            Event::BackHookFailed(why) => talk(&format!("warning: {why}")),
            Event::Paused(wish) => self.say(&format!(
                "paused by {}: `bluegreen rollout resume` goes on, `bluegreen rollout abort` goes back",
                wish.by
            )),
            Event::Resumed(wish) => {
                self.say(&format!("{} by {}", wish.what.done(), wish.by));
            }
        }
    }

    /// Shows what is waited for.
    fn wait(&self, what: &str) {
        self.wait.borrow_mut().show(what);
    }

    /// A line; the wait before it is over.
    fn say(&self, line: &str) {
        *self.wait.borrow_mut() = Progress::new(self.common.quiet || self.common.json);
        talk_unless_quiet(self.common, line);
    }
}

/// What a step was measured at, behind what else is said of it; nothing where that is nothing.
fn with_figures(measured: &[Measured]) -> String {
    match &*of_measured(measured) {
        "" => String::new(),
        figures => format!(": {figures}"),
    }
}
