//! Figures: what has been counted of one service of Traefik's.

use std::collections::BTreeMap;
use std::time::Duration;

/// The upper bound of the bucket that has all answers, `+Inf`.
pub(super) const ALL: Duration = Duration::MAX;

/// Above this a float no longer counts one by one.
const MOST: f64 = 9_007_199_254_740_992.0;

/// What has been counted of one service of Traefik's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// The requests.
    pub(super) requests: u64,
    /// Those of them that were answered with 5xx.
    pub(super) errors: u64,
    /// How many answers took at most so long. The last has all of them, at [`Duration::MAX`].
    pub(super) buckets: BTreeMap<Duration, u64>,
}

/// One of Traefik's counters, as a source tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// The service of Traefik's, such as `deals-api-green@http`.
    pub(super) service: String,
    /// What it counts.
    pub(super) counted: Counted,
    /// Its value.
    pub(super) value: u64,
}

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// Requests, answered with 5xx or not.
    Requests {
        /// Whether with 5xx.
        errors: bool,
    },
    /// Answers that took at most so long.
    Within(Duration),
}

impl Counted {
    /// Of requests with this status.
    pub(super) fn of_status(code: &str) -> Self {
        let errors = code.len() == 3 && code.starts_with('5');
        Self::Requests { errors }
    }

    /// Of answers up to this bound, as the label `le` gives it in seconds; none where that is no bound.
    pub(super) fn of_bound(le: &str) -> Option<Self> {
        let bound = match le.parse::<f64>().ok()? {
            f64::INFINITY => ALL,
            seconds => Duration::try_from_secs_f64(seconds).ok()?,
        };
        Some(Self::Within(bound))
    }
}

/// The value of a counter; none where it can be no count.
pub(super) fn count(value: &str) -> Option<u64> {
    let value: f64 = value.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is in the range"
    )]
    (0.0..=MOST).contains(&value).then(|| value.round() as u64)
}

impl Figures {
    /// Counts a sample in.
    pub(super) fn count(&mut self, counted: Counted, value: u64) {
        let counter = match counted {
            Counted::Requests { errors } => {
                if errors {
                    self.errors = self.errors.saturating_add(value);
                }
                &mut self.requests
            }
            Counted::Within(bound) => self.buckets.entry(bound).or_default(),
        };
        *counter = counter.saturating_add(value);
    }

    /// What was counted since an earlier look at the same counters. Where one of them has fallen, or is gone, all of them
    /// began anew.
    pub(super) fn since(&self, before: &Self) -> Self {
        let bucket = |bound| self.buckets.get(bound).copied().unwrap_or_default();
        let answered = |figures: &Self| figures.requests.saturating_sub(figures.errors);
        let anew = answered(self) < answered(before)
            || self.errors < before.errors
            || before
                .buckets
                .iter()
                .any(|(bound, count)| bucket(bound) < *count);
        if anew {
            return self.clone();
        }
        let former = |bound| before.buckets.get(bound).copied().unwrap_or_default();
        let buckets = self.buckets.iter();
        Self {
            requests: self.requests.saturating_sub(before.requests),
            errors: self.errors - before.errors,
            buckets: buckets
                .map(|(bound, count)| (*bound, count - former(bound)))
                .collect(),
        }
    }

    /// Adds what was counted elsewhere, or later.
    pub(super) fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.errors = self.errors.saturating_add(more.errors);
        for (bound, count) in &more.buckets {
            self.count(Counted::Within(*bound), *count);
        }
    }

    /// The share of the requests that were answered with 5xx; none where there were no requests.
    pub(super) fn share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// How many answers were timed.
    pub(super) fn timed(&self) -> u64 {
        self.buckets.get(&ALL).copied().unwrap_or_default()
    }
}
