//! The guard: what it holds back, and what it has seen.
//!
//! A plain `SET` of the key gives a color traffic that nobody has verified. Where a stack has a guard, the provider
//! follows it only once it has seen the servers of that color to be well. A change that the history names is somebody's
//! who has verified it, or of a provider that has seen just that; it is not held up.

use std::fmt;

use crate::color::Color;
use crate::traffic::Traffic;

/// A change that waits until the guard has seen its servers to be well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What the key says.
    pub traffic: Traffic,
    /// What stands meanwhile.
    pub stands: Traffic,
    /// The colors that would get a larger share than they have; at least one.
    pub colors: Vec<Color>,
}

impl Held {
    /// The change from what stands to another traffic; none where no color gets more by it.
    pub fn of(stands: &Traffic, traffic: Traffic) -> Option<Self> {
        let gains = |color: &&Color| {
            let share = |of: &Traffic, all: &Traffic| u64::from(of.weight(color)) * all.total();
            share(&traffic, stands) > share(stands, &traffic)
        };
        let colors: Vec<_> = traffic.colors().filter(gains).cloned().collect();
        (!colors.is_empty()).then(|| Self {
            stands: stands.clone(),
            colors,
            traffic,
        })
    }
}

/// What the guard has seen of the colors that a change would give more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The traffic that was looked at.
    pub traffic: Traffic,
    /// What was not well; none where all was.
    pub unwell: Option<Unwell>,
}

/// What is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwell {
    /// The first of it, such as a server with its service and color.
    pub what: String,
    /// What is wrong with it, in words.
    pub why: String,
    /// How much more is not well.
    pub more: usize,
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, why, more } = self;
        write!(f, "{what} is not well ({why})")?;
        match more {
            0 => Ok(()),
            1 => write!(f, ", and one more is not"),
            more => write!(f, ", and {more} more are not"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_is_what_gives_a_color_a_larger_share() {
        let colors: Vec<Color> = ["blue", "green", "red"].map(|c| c.parse().unwrap()).into();
        let traffic = |text: &str| Traffic::parse(text.as_bytes(), &colors).unwrap();
        for (stands, key, gain) in [
            ("blue", "green", &["green"][..]),
            ("blue", "blue:9,green:1", &["green"]),
            ("blue:9,green:1", "blue:90,green:10", &[]),
            ("blue:9,green:1", "blue:1,green:1", &["green"]),
            ("blue:9,green:1", "blue", &["blue"]),
            ("blue:1,green:1", "green:1,red:1", &["red"]),
            ("blue:100000,green:1", "blue:99999,green:1", &["green"]),
            ("blue:1,green:1", "blue:2,green:1,red:3", &["red"]),
        ] {
            let held = Held::of(&traffic(stands), traffic(key));
            let held: Vec<_> = held.into_iter().flat_map(|held| held.colors).collect();
            let held: Vec<_> = held.iter().map(Color::as_str).collect();
            assert_eq!(held, gain, "{stands} -> {key}");
        }
    }
}
