//! What happens in a rollout, for whoever looks on: a terminal, a log, a page.

use std::time::Duration;

use super::analysis::Measured;
use super::hook::Said;
use super::outcome::{Confirmed, Late};
use super::record::Wish;
use crate::verify::measure::Told;

/// What happens.
pub enum Event<'a> {
    /// A color is verified from now on.
    Verifying(&'a str),
    /// A round of checks begins; `quietly`: only what goes wrong is worth a line.
    Round {
        /// Whether only what goes wrong is worth a line.
        quietly: bool,
    },
    /// A check of that round has an outcome, or is tried again.
    Check(Told<'a>),
    /// A color is ready.
    Ready {
        /// Which.
        color: &'a str,
        /// How long that took.
        after: Duration,
    },
    /// A color has nothing that could be verified.
    NothingOfColor(&'a str),
    /// Production is not well before the change, and why.
    ProductionUnwell(&'a str),
    /// A step of several is begun.
    Step {
        /// Which, from 1.
        step: usize,
        /// How many there are.
        of: usize,
        /// The traffic that it gives.
        to: &'a str,
    },
    /// These do not have the traffic yet.
    WaitingFor(&'a [Late]),
    /// The store can't be reached, and its answer is waited for.
    WaitingForStore(&'a str),
    /// Every instance has the traffic, and production is verified next.
    Confirmed(&'a Confirmed),
    /// Production is watched on.
    Watching {
        /// For how long still.
        left: Duration,
        /// For how long after the steps that are to come.
        to_come: Duration,
    },
    /// A step of several has passed.
    StepPassed {
        /// Which, from 1.
        step: usize,
        /// How many there are.
        of: usize,
        /// The traffic that it gave.
        to: &'a str,
        /// What was measured.
        measured: &'a [Measured],
    },
    /// The store can't be reached while production is watched.
    StoreAway(&'a str),
    /// Production has nothing that could be verified.
    NothingOfProduction,
    /// Production has kept passing.
    KeptPassing {
        /// For how long.
        long: Duration,
        /// What was measured.
        measured: &'a [Measured],
    },
    /// The key is set back to this.
    GoingBack(&'a str),
    /// The store does not take the way back yet.
    WaitingForWayBack(&'a str),
    /// A person has to approve it.
    AwaitingApproval,
    /// Somebody has.
    Approved(&'a Wish),
    /// A freeze window is open, in words; its end is waited for.
    Frozen(&'a str),
    /// A hook runs, in words.
    Hook(&'a str),
    /// A hook has printed this.
    HookPrinted(&'a [u8]),
    /// A hook after the way back has failed, and how: that changes nothing of it.
    BackHookFailed(&'a str),
    /// Somebody has paused it.
    Paused(&'a Wish),
    /// Somebody wants it to go on.
    Resumed(&'a Wish),
}

/// What there is to tell while hooks run.
impl<'a> From<Said<'a>> for Event<'a> {
    fn from(said: Said<'a>) -> Self {
        match said {
            Said::Began(what) => Self::Hook(what),
            Said::Line(line) => Self::HookPrinted(line),
        }
    }
}
