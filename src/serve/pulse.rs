//! The pulse of a server: whether it is dead, by the looks at it so far.
//!
//! Each time that a server goes or comes back, every Traefik builds its load balancers anew. So no single look decides,
//! and one that comes and goes has to stay out for longer and longer.

use std::time::{Duration, Instant};

/// It is dead after so many failed looks in a row.
const FAILED: u32 = 2;

/// It is alive again after so many good ones.
const GOOD: u32 = 2;

/// It stays out at least this long.
const LEAST_OUT: Duration = Duration::from_secs(5);

/// The longest that it has to stay out, however often it comes and goes.
const MOST_OUT: Duration = Duration::from_secs(300);

/// One that has lived this long since it came back has mended.
const MENDED: Duration = Duration::from_secs(60);

/// What is known of one server.
#[derive(Clone, Debug)]
pub struct Pulse {
    state: State,
    /// Looks in a row with the same outcome, and that.
    well: bool,
    row: u32,
    /// How long it has to stay out.
    out: Duration,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Unknown,
    /// Since when, where it was dead before.
    Alive(Option<Instant>),
    Dead(Instant),
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            state: State::Unknown,
            well: true,
            row: 0,
            out: LEAST_OUT,
        }
    }
}

impl Pulse {
    /// Takes a look that was had at this moment.
    pub fn look(&mut self, well: bool, now: Instant) {
        self.row = if well == self.well {
            self.row.saturating_add(1)
        } else {
            1
        };
        self.well = well;
        match self.state {
            State::Unknown if well => self.state = State::Alive(None),
            State::Unknown | State::Alive(_) if !well && self.row >= FAILED => self.die(now),
            State::Dead(since) if well && self.row >= GOOD && now - since >= self.out => {
                self.state = State::Alive(Some(now));
            }
            _ => {}
        }
    }

    /// Whether it is dead; none while that is not known.
    pub fn is_dead(&self) -> Option<bool> {
        match self.state {
            State::Unknown => None,
            State::Alive(_) => Some(false),
            State::Dead(_) => Some(true),
        }
    }

    fn die(&mut self, now: Instant) {
        let again = matches!(self.state, State::Alive(Some(since)) if now - since < MENDED);
        self.out = if again {
            (self.out * 2).min(MOST_OUT)
        } else {
            LEAST_OUT
        };
        self.state = State::Dead(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look a second; gives when it died and when it came back, in seconds.
    fn changes(looks: impl IntoIterator<Item = bool>) -> Vec<(u64, bool)> {
        let began = Instant::now();
        let mut pulse = Pulse::default();
        let mut changes = Vec::new();
        let mut before = None;
        for (second, well) in (0..).zip(looks) {
            pulse.look(well, began + Duration::from_secs(second));
            let dead = pulse.is_dead();
            if let (true, Some(dead)) = (dead != before, dead) {
                changes.push((second, dead));
            }
            before = dead;
        }
        changes
    }

    /// `+` is a good look.
    fn of(looks: &str) -> Vec<(u64, bool)> {
        changes(looks.chars().map(|look| look == '+'))
    }

    #[test]
    fn no_single_look_decides() {
        assert_eq!(of("+-+-+-+-+"), [(0, false)]);
        assert_eq!(of("--"), [(1, true)]);
        assert_eq!(of("-+"), [(1, false)]);
        assert_eq!(of("++--"), [(0, false), (3, true)]);
        assert_eq!(of("--+-+-+-+-+-+-"), [(1, true)]);
    }

    #[test]
    fn it_stays_out_for_a_while() {
        assert_eq!(of("+--++++++"), [(0, false), (2, true), (7, false)]);
        assert_eq!(of("+--------++"), [(0, false), (2, true), (10, false)]);
    }

    #[test]
    fn one_that_comes_and_goes_changes_the_document_less_and_less() {
        let flapping = (0..3600).map(|second| second % 5 < 3);
        let changes = changes(flapping);
        assert!(changes.len() < 40, "{changes:?}");
        let out: Vec<_> = changes[1..]
            .chunks_exact(2)
            .map(|pair| pair[1].0 - pair[0].0)
            .collect();
        assert!(out.is_sorted(), "{out:?}");
        assert!(out.last().is_some_and(|out| *out >= 300), "{out:?}");
    }

    #[test]
    fn one_that_has_mended_comes_back_as_soon_as_the_first_time() {
        let mended = format!("+--{}--{}", "+".repeat(80), "+".repeat(10));
        assert_eq!(
            of(&mended),
            [(0, false), (2, true), (7, false), (84, true), (89, false)]
        );
    }
}
