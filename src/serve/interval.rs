//! The interval: when the next poll of a connection is to be expected, and how long this one is best held therefore.
//!
//! Traefik polls at the ticks of its `pollInterval`. A poll that is still under way at a tick is followed by the next one
//! at once; after a shorter one Traefik waits for the tick, and in that gap a change can't be pushed. With Traefik's
//! defaults, 5 s for `pollInterval` and for `pollTimeout`, a poll can't outlast the interval: it is best held until just
//! before the next tick.

use std::time::{Duration, Instant};

/// The hold of a poll that asks for none, while its interval is not known: below Traefik's default `pollTimeout`, with
/// room for any network.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(4);

/// Traefik's default `pollTimeout`. A shorter one is found out where it is exceeded.
pub(super) const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// The hold ends so long before the next tick: for the way of the poll and of its answer, and for a busy host. With
/// Traefik's default interval, one change in twenty falls into this gap.
const MARGIN: Duration = Duration::from_millis(250);

/// Two polls tell an interval from a slow network where their answers came so differently late, at least.
const DIFFERENT: Duration = Duration::from_millis(100);

/// What the polls of one connection tell of the interval of its Traefik.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    arrived: Option<Instant>,
    answered: Option<Instant>,
    /// Of the poll before: until its answer, and until the poll after it.
    before: Option<(Duration, Duration)>,
    /// From the first poll to the second. Traefik's ticker starts once it has the first answer, so this is an interval
    /// and the time of the way there and back.
    first: Option<Duration>,
    /// The interval.
    length: Option<Duration>,
    /// By how much the polls lately came too early or too late.
    jitter: Duration,
}

impl Interval {
    /// A poll has arrived.
    pub fn arrived(&mut self, now: Instant) {
        let Some(arrived) = self.arrived.replace(now) else {
            return;
        };
        let between = now.duration_since(arrived);
        self.first.get_or_insert(between);
        // The one before failed where it was not answered.
        let Some(answered) = self.answered.take() else {
            self.before = None;
            return;
        };
        let until_answer = answered.duration_since(arrived);
        if let Some(length) = &mut self.length {
            self.jitter = between.abs_diff(*length).max(self.jitter.mul_f64(0.9));
            *length = length.mul_f64(0.875) + between.mul_f64(0.125);
        } else if let Some((before_until_answer, before_between)) = self.before {
            // The next poll came when it did whenever the answer came: at a tick.
            let difference = before_until_answer.abs_diff(until_answer);
            if difference >= DIFFERENT && before_between.abs_diff(between) <= difference / 4 {
                self.length = Some(between.min(before_between));
            }
        }
        self.before = Some((until_answer, between));
    }

    /// The poll is answered.
    pub fn answered(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    /// How long a poll is best held that asks for nothing: until just before the next tick, as far as Traefik's default
    /// `pollTimeout` allows.
    pub fn hold(&self) -> Duration {
        let Some(length) = self.length else {
            return DEFAULT_HOLD;
        };
        let way = self.first.unwrap_or_default().saturating_sub(length);
        let margin = MARGIN.max(way + MARGIN / 2) + self.jitter;
        let latest = length.min(POLL_TIMEOUT).saturating_sub(margin);
        latest.max(DEFAULT_HOLD)
    }

    /// Whether a connection that is closed now was closed at Traefik's default `pollTimeout`, because the answer to its
    /// last poll did not get there in time. One that is closed right after the answer belongs to a Traefik that stops.
    pub fn timed_out(&self, now: Instant) -> bool {
        self.answered.is_some()
            && self.arrived.is_some_and(|arrived| {
                POLL_TIMEOUT.abs_diff(now.duration_since(arrived)) <= MARGIN / 2
            })
    }
}

#[cfg(test)]
mod simulation;
