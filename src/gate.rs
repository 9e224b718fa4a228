//! Gates: what holds up a rollout before it moves traffic. The config says them, [`crate::rollout`] keeps to them.

use jiff::tz::TimeZone;

use crate::cron::Cron;

/// The gates of a stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gates {
    /// Whether a person has to approve each rollout.
    pub approve: bool,
    /// When no traffic is moved.
    pub freeze: Vec<Freeze>,
}

/// A time in which no traffic is moved, again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Freeze {
    /// When it begins.
    pub from: Cron,
    /// When it ends.
    pub to: Cron,
    /// Where the clocks are by which that is meant.
    pub zone: TimeZone,
    /// Why, in the operator's words; empty where they said nothing.
    pub why: String,
}
