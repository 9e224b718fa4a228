//! Times, and what is said of many of them.

use std::time::Duration;

/// Times that were measured one by one.
#[derive(Clone, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In milliseconds, the smallest that so large a part of all does not exceed.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut times = self.0.clone();
        times.sort_unstable();
        let rank = (times.len() as f64 * part).ceil() as usize;
        times[rank.max(1) - 1].as_secs_f64() * 1000.0
    }

    /// In milliseconds.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// In milliseconds.
    pub fn worst(&self) -> f64 {
        self.quantile(1.0)
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}
