//! The ledger: which color was explicitly allowed when, and what is said of each answer by that.

use std::time::Instant;

use crate::support::load::Sample;

/// A color that somebody has set.
struct Entry {
    color: String,
    /// When it was about to be set.
    from: Instant,
    /// When everything had confirmed the one after it.
    until: Option<Instant>,
}

/// What was allowed.
pub(super) struct Ledger(Vec<Entry>);

impl Ledger {
    /// With the color that has the traffic.
    pub(super) fn new(color: &str) -> Self {
        let mut ledger = Self(Vec::new());
        ledger.allow(color);
        ledger
    }

    /// Somebody is about to set this color.
    pub(super) fn allow(&mut self, color: &str) {
        self.0.push(Entry {
            color: color.to_owned(),
            from: Instant::now(),
            until: None,
        });
    }

    /// Everything has confirmed this color: requests that begin from now on get no other.
    pub(super) fn settle(&mut self, color: &str) {
        let now = Instant::now();
        for entry in &mut self.0 {
            if entry.color != color {
                entry.until.get_or_insert(now);
            }
        }
    }

    /// Whether the color of an answer was allowed while the request was under way.
    pub(super) fn allows(&self, sample: &Sample) -> bool {
        let Some(color) = sample.color() else {
            return true;
        };
        self.0.iter().any(|entry| {
            entry.color == color
                && entry.from <= sample.end
                && entry.until.is_none_or(|until| sample.start <= until)
        })
    }
}
