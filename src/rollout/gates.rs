//! What stands in a rollout's way at a time, by the gates of its stack.

use jiff::{Timestamp, Zoned};

use super::freeze::window;
use crate::gate;

/// What stands in a rollout's way now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// Whether a person has to approve it.
    pub approve: bool,
    /// Until when a freeze window is open, and that in words; none while none is.
    pub frozen: Option<(Timestamp, String)>,
}

impl Gates {
    /// Those of a stack at this time, by the store's clock.
    pub fn at(gates: &gate::Gates, now: Timestamp) -> Self {
        let frozen = window(&gates.freeze, now).map(|window| {
            let until = window.until.as_ref();
            let until = until.map_or(Timestamp::MAX, Zoned::timestamp);
            (until, window.to_string())
        });
        Self {
            approve: gates.approve,
            frozen,
        }
    }
}
