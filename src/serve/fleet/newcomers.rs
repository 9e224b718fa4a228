//! Newcomers: who has polled once, and may yet come back as Traefik does.
//!
//! A Traefik that has just started has the document of its first poll until it polls again. So it is told of at once, and
//! waited for until then, but no longer than that takes with Traefik's default settings: any name can be made up. Few of
//! them are told of at a time.

use std::collections::VecDeque;
use std::time::Instant;

use crate::registry::NEWCOMER;

/// The most that are told of at a time.
const MOST: usize = 64;

/// The newcomers that are told of, the eldest first.
#[derive(Debug, Default)]
pub(super) struct Newcomers(VecDeque<(String, Instant)>);

impl Newcomers {
    /// Somebody polls for the first time.
    pub(super) fn comes(&mut self, id: &str, now: Instant) {
        if self.0.len() < MOST {
            self.0.push_back((id.to_owned(), now));
        }
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|(newcomer, _)| newcomer == id)
    }

    /// This one has left, or has come back. Gives whether it was one of them.
    pub(super) fn leaves(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(newcomer, _)| newcomer != id);
        self.0.len() < before
    }

    /// Strikes out those that have been waited for. Gives whether there were any.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        let before = self.0.len();
        self.0
            .retain(|(_, came)| now.duration_since(*came) <= NEWCOMER);
        self.0.len() < before
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn few_are_told_of_and_none_for_long() {
        let now = Instant::now();
        let mut newcomers = Newcomers::default();
        for i in 0..1000 {
            newcomers.comes(&format!("made-up-{i}"), now);
        }
        assert!(newcomers.has("made-up-63") && !newcomers.has("made-up-64"));
        assert!(newcomers.leaves("made-up-63") && !newcomers.leaves("made-up-63"));
        assert!(!newcomers.look(now + NEWCOMER));
        assert!(newcomers.look(now + NEWCOMER + Duration::from_millis(1)));
        assert!(!newcomers.has("made-up-0"));
    }
}
