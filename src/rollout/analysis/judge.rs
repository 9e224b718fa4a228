//! Judging: from figures to verdicts, and how often in a row they were bad.
//!
//! All of it is pure: a look gives what was seen, and the judge keeps the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use super::figures::Figures;
use super::quantile::{Quantile, quantile};
use crate::color::Color;
use crate::config::{Errors, Latency, Query};

/// What is judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    /// By which of its figures.
    pub(super) figure: Figure,
    /// The service; none where a query is about no single one.
    pub(super) service: Option<String>,
    /// The color.
    pub(super) color: Color,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Figure {
    /// The share of 5xx.
    Errors,
    /// The latency at the quantile of the config.
    Latency,
    /// The operator's own, by its name.
    Query(String),
}

/// The value of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// A share, from 0 to 1.
    Share(f64),
    /// A time.
    Time(Duration),
    /// A time that is longer than this, the last of the histogram's bounds.
    Above(Duration),
    /// Any number.
    Number(f64),
}

/// A limit that was not kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    /// The most.
    AtMost(Value),
    /// The least.
    AtLeast(Value),
    /// The most, beside the other color.
    Beside {
        /// The other color's value.
        other: Value,
        /// The most that it allows.
        most: Value,
    },
}

/// What is to be said of a subject.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It keeps its limits.
    Passed(Value),
    /// It does not.
    Failed(Value, Limit),
    /// So few requests say nothing.
    NotEnough(u64),
    /// The other color has so few requests that it can't be compared.
    NobodyBeside(u64),
    /// It could not be found out.
    Unmeasured(Unmeasured),
}

/// Why something could not be found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unmeasured {
    /// The source told nothing at all, and what there is to say of that.
    Blind(String),
    /// It takes longer than the last of the histogram's bounds, and so does what is allowed.
    Beyond(Duration),
    /// A query has no answer that could be judged, and why.
    NoNumber(String),
}

/// Judges the share of 5xx.
pub(super) fn errors(
    limits: &Errors,
    least: u64,
    own: &Figures,
    other: Option<&Figures>,
) -> Verdict {
    let Errors { limit, more } = *limits;
    let Some(share) = own.share().filter(|_| own.requests >= least) else {
        return Verdict::NotEnough(own.requests);
    };
    let value = Value::Share(share);
    if let Some(most) = limit.filter(|most| share > *most) {
        return Verdict::Failed(value, Limit::AtMost(Value::Share(most)));
    }
    let Some(more) = more else {
        return Verdict::Passed(value);
    };
    let requests = other.map_or(0, |other| other.requests);
    match other.and_then(Figures::share).filter(|_| requests >= least) {
        Some(other) if share > other + more => {
            let (other, most) = (Value::Share(other), Value::Share(other + more));
            Verdict::Failed(value, Limit::Beside { other, most })
        }
        None if limit.is_none() => Verdict::NobodyBeside(requests),
        _ => Verdict::Passed(value),
    }
}

/// Judges the latency.
pub(super) fn latency(
    limits: &Latency,
    least: u64,
    own: &Figures,
    other: Option<&Figures>,
) -> Verdict {
    let Latency {
        quantile: at,
        limit,
        times,
    } = *limits;
    let of =
        |figures: &Figures| quantile(&figures.buckets, at).filter(|_| figures.timed() >= least);
    let Some(own) = of(own) else {
        return Verdict::NotEnough(own.timed());
    };
    // What is known of it: at least this.
    let (value, known) = match own {
        Quantile::At(time) => (Value::Time(time), time),
        Quantile::Above(bound) => (Value::Above(bound), bound),
    };
    let exceeds = |most: Duration| match own {
        Quantile::At(time) => Some(time > most),
        Quantile::Above(bound) => (bound >= most).then_some(true),
    };
    let mut is_known = true;
    if let Some(most) = limit {
        match exceeds(most) {
            Some(true) => return Verdict::Failed(value, Limit::AtMost(Value::Time(most))),
            known => is_known &= known.is_some(),
        }
    }
    if let Some(times) = times {
        let timed = other.map_or(0, Figures::timed);
        match other.and_then(of) {
            Some(Quantile::At(other)) => {
                let most = Duration::try_from_secs_f64(other.as_secs_f64() * times)
                    .unwrap_or(Duration::MAX);
                match exceeds(most) {
                    Some(true) => {
                        let (other, most) = (Value::Time(other), Value::Time(most));
                        return Verdict::Failed(value, Limit::Beside { other, most });
                    }
                    known => is_known &= known.is_some(),
                }
            }
            // The other one is beyond the bounds: whoever is not is faster.
            Some(Quantile::Above(_)) => is_known &= matches!(own, Quantile::At(_)),
            None if limit.is_none() => return Verdict::NobodyBeside(timed),
            None => {}
        }
    }
    match is_known {
        true => Verdict::Passed(value),
        false => Verdict::Unmeasured(Unmeasured::Beyond(known)),
    }
}

/// Judges the number that a query gave.
pub(super) fn query(limits: &Query, number: f64) -> Verdict {
    let value = Value::Number(number);
    let over = limits.at_most.filter(|most| number > *most);
    let under = limits.at_least.filter(|least| number < *least);
    match (over, under) {
        _ if number.is_nan() => Verdict::Unmeasured(Unmeasured::NoNumber("it is NaN".to_owned())),
        (Some(most), _) => Verdict::Failed(value, Limit::AtMost(Value::Number(most))),
        (_, Some(least)) => Verdict::Failed(value, Limit::AtLeast(Value::Number(least))),
        (None, None) => Verdict::Passed(value),
    }
}

/// A verdict, and for how long it has been like that.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    /// What was judged.
    pub(super) subject: Subject,
    /// What there is to say of it.
    pub(super) verdict: Verdict,
    /// Of how many requests it is said; none of a query.
    pub(super) requests: Option<u64>,
    /// How many looks in a row have failed, or have told nothing at all.
    pub(super) failures: u32,
}

/// How it stands, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Every figure keeps its limits.
    Passed,
    /// So does every figure that could be judged; of others there were not enough requests.
    NotEnough,
    /// A figure could not be measured.
    Unknown,
    /// A figure has failed, or nothing at all could be read, but not often enough to count.
    Failing,
    /// A figure has failed as often in a row as counts, or nothing at all could be read so often.
    Failed,
}

impl Judged {
    /// How it stands, where so many failures in a row count.
    pub(super) fn standing(&self, failures: u32) -> Standing {
        let counts = self.failures >= failures;
        match &self.verdict {
            Verdict::Passed(_) => Standing::Passed,
            Verdict::NotEnough(_) | Verdict::NobodyBeside(_) => Standing::NotEnough,
            Verdict::Failed(..) | Verdict::Unmeasured(Unmeasured::Blind(_)) if counts => {
                Standing::Failed
            }
            Verdict::Failed(..) | Verdict::Unmeasured(Unmeasured::Blind(_)) => Standing::Failing,
            Verdict::Unmeasured(_) => Standing::Unknown,
        }
    }
}

/// How often in a row each subject has failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Streaks {
    of: BTreeMap<Subject, Streak>,
}

/// Of one subject.
#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    failures: u32,
    /// Of how many requests the last failure was said.
    requests: Option<u64>,
}

impl Streaks {
    /// Adds a verdict.
    ///
    /// A failure counts once for the same requests: without a new one, a second look sees nothing new. A look that told
    /// nothing at all counts as a failure, so that nobody goes on blindly. What is not known otherwise changes nothing.
    pub(super) fn judged(
        &mut self,
        subject: Subject,
        verdict: Verdict,
        requests: Option<u64>,
    ) -> Judged {
        let streak = self.of.entry(subject.clone()).or_default();
        let is_seen = requests.is_some() && requests == streak.requests;
        match verdict {
            Verdict::Passed(_) => *streak = Streak::default(),
            Verdict::Failed(..) if is_seen => {}
            Verdict::Failed(..) => {
                streak.failures = streak.failures.saturating_add(1);
                streak.requests = requests;
            }
            Verdict::Unmeasured(Unmeasured::Blind(_)) => {
                streak.failures = streak.failures.saturating_add(1);
            }
            Verdict::NotEnough(_) | Verdict::NobodyBeside(_) | Verdict::Unmeasured(_) => {}
        }
        Judged {
            subject,
            verdict,
            requests,
            failures: streak.failures,
        }
    }
}

#[cfg(test)]
mod tests;
