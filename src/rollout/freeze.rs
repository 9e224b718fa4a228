//! Whether traffic may be moved now, or a freeze is on.

use std::fmt;

use jiff::{Timestamp, Zoned};

use crate::gate::Freeze;

/// So many windows, each of which begins before the other ends, have no end in sight.
const MOST: usize = 100;

/// A window in which no traffic is moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// When it is over, by the clocks of the freeze that ends last; none where no end is in sight.
    pub until: Option<Zoned>,
    /// Why, as the freezes that make it up say; each once, in the order of their ends.
    pub why: Vec<String>,
}

/// The window that is open now. Freezes that overlap, or follow one upon the other, are one window.
pub fn window(freezes: &[Freeze], now: Timestamp) -> Option<Window> {
    let mut window: Option<Window> = None;
    let mut at = now;
    for _ in 0..MOST {
        let ends = freezes
            .iter()
            .filter_map(|freeze| Some((end(freeze, at)?, freeze)));
        let Some((end, freeze)) = ends.max_by_key(|(end, _)| *end) else {
            return window;
        };
        at = end;
        let window = window.get_or_insert(Window {
            until: None,
            why: Vec::new(),
        });
        window.until = Some(end.to_zoned(freeze.zone.clone()));
        if !freeze.why.is_empty() && !window.why.contains(&freeze.why) {
            window.why.push(freeze.why.clone());
        }
    }
    let why = window?.why;
    Some(Window { until: None, why })
}

/// When a freeze ends that is on at this moment.
fn end(freeze: &Freeze, at: Timestamp) -> Option<Timestamp> {
    let began = freeze.from.last(at, &freeze.zone)?;
    let end = freeze.to.after(began, &freeze.zone)?;
    (end > at).then_some(end)
}

/// As in `frozen until Mon 2026-11-30 08:00 Europe/Berlin (weekend)`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.until {
            Some(until) => write!(f, "frozen until {}", until.strftime("%a %F %H:%M %Q"))?,
            None => f.write_str("frozen, with no end in sight")?,
        }
        match self.why.as_slice() {
            [] => Ok(()),
            why => write!(f, " ({})", why.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;

    fn freeze(from: &str, to: &str, zone: &str, why: &str) -> Freeze {
        Freeze {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            zone: TimeZone::get(zone).unwrap(),
            why: why.to_owned(),
        }
    }

    fn weekend() -> Freeze {
        freeze("0 17 * * FRI", "0 8 * * MON", "Europe/Berlin", "weekend")
    }

    /// What an operator reads at this time in Berlin; nothing where traffic may be moved.
    fn shown(freezes: &[Freeze], now: &str) -> String {
        let now: Zoned = format!("{now}[Europe/Berlin]").parse().unwrap();
        let window = window(freezes, now.timestamp());
        window.map_or_else(String::new, |window| window.to_string())
    }

    #[test]
    fn a_freeze_is_on_from_its_first_moment_and_over_at_its_end() {
        let on = "frozen until Mon 2026-11-30 08:00 Europe/Berlin (weekend)";
        for (now, told) in [
            ("2026-11-25T12:00", ""),
            ("2026-11-27T16:59:59.999", ""),
            ("2026-11-27T17:00", on),
            ("2026-11-29T03:00", on),
            ("2026-11-30T07:59:59.999", on),
            ("2026-11-30T08:00", ""),
        ] {
            assert_eq!(shown(&[weekend()], now), told, "{now}");
            assert_eq!(shown(&[], now), "");
        }
    }

    #[test]
    fn it_is_meant_by_the_clocks_of_its_place() {
        let sydney = freeze("0 17 * * FRI", "0 8 * * MON", "Australia/Sydney", "");
        assert_eq!(shown(std::slice::from_ref(&sydney), "2026-11-27T06:59"), "");
        assert_eq!(
            shown(&[sydney], "2026-11-27T07:00"),
            "frozen until Mon 2026-11-30 08:00 Australia/Sydney"
        );
    }

    #[test]
    fn it_goes_on_over_the_turn_of_the_year() {
        let holidays = freeze("0 12 23 12 *", "0 8 2 1 *", "Europe/Berlin", "holidays");
        let on = "frozen until Sat 2027-01-02 08:00 Europe/Berlin (holidays)";
        for (now, told) in [
            ("2026-12-23T11:59", ""),
            ("2026-12-23T12:00", on),
            ("2026-12-31T23:59:59", on),
            ("2027-01-01T00:00", on),
            ("2027-01-02T08:00", ""),
        ] {
            assert_eq!(shown(std::slice::from_ref(&holidays), now), told, "{now}");
        }
    }

    #[test]
    fn a_clock_that_is_put_forward_or_back_neither_skips_nor_prolongs_it() {
        // From a time that there is not on this day, and up to one.
        let from = freeze("30 2 * * SUN", "0 6 * * SUN", "Europe/Berlin", "");
        assert_eq!(shown(std::slice::from_ref(&from), "2026-03-29T01:59"), "");
        let on = "frozen until Sun 2026-03-29 06:00 Europe/Berlin";
        assert_eq!(shown(&[from], "2026-03-29T03:00"), on);
        let to = freeze("0 22 * * SAT", "30 2 * * SUN", "Europe/Berlin", "");
        let on = "frozen until Sun 2026-03-29 03:00 Europe/Berlin";
        assert_eq!(shown(std::slice::from_ref(&to), "2026-03-29T01:59"), on);
        assert_eq!(shown(std::slice::from_ref(&to), "2026-03-29T03:00"), "");
        // To a time that there is twice: it ends at the first, and is not on again before the second.
        let on = "frozen until Sun 2026-10-25 02:30 Europe/Berlin";
        for (now, told) in [
            ("2026-10-25T02:29+02:00", on),
            ("2026-10-25T02:30+02:00", ""),
            ("2026-10-25T02:29+01:00", ""),
            ("2026-10-25T02:31+01:00", ""),
        ] {
            assert_eq!(shown(std::slice::from_ref(&to), now), told, "{now}");
        }
        // In the night in which clocks are put forward a window of two hours is one of one hour.
        let both = freeze("0 1 * * *", "0 3 * * *", "Europe/Berlin", "");
        let now: Zoned = "2026-03-29T01:00[Europe/Berlin]".parse().unwrap();
        let until = window(&[both], now.timestamp()).unwrap().until.unwrap();
        assert_eq!(until.duration_since(&now).as_mins(), 60);
    }

    #[test]
    fn freezes_that_overlap_or_follow_each_other_are_one_window() {
        let release = freeze("0 0 28 11 *", "0 12 2 12 *", "UTC", "release week");
        let on = "frozen until Wed 2026-12-02 12:00 UTC (weekend, release week)";
        assert_eq!(shown(&[weekend(), release.clone()], "2026-11-27T18:00"), on);
        assert_eq!(shown(&[release.clone(), weekend()], "2026-11-27T18:00"), on);
        // Of two that are on, the one that ends last says why.
        let on = "frozen until Wed 2026-12-02 12:00 UTC (release week)";
        assert_eq!(shown(&[weekend(), release], "2026-11-29T18:00"), on);
        let nights = [
            freeze("0 20 * * *", "0 0 * * *", "Europe/Berlin", "evening"),
            freeze("0 0 * * *", "0 6 * * *", "Europe/Berlin", "night"),
        ];
        let on = "frozen until Thu 2026-11-26 06:00 Europe/Berlin (evening, night)";
        assert_eq!(shown(&nights, "2026-11-25T21:00"), on);
    }

    #[test]
    fn a_beginning_that_comes_again_prolongs_nothing() {
        let week = freeze("0 17 * * MON-FRI", "0 8 * * MON", "Europe/Berlin", "");
        let on = "frozen until Mon 2026-11-30 08:00 Europe/Berlin";
        for now in ["2026-11-24T12:00", "2026-11-26T18:00", "2026-11-29T12:00"] {
            assert_eq!(shown(std::slice::from_ref(&week), now), on, "{now}");
        }
        assert_eq!(shown(&[week], "2026-11-30T12:00"), "");
    }

    #[test]
    fn one_that_begins_again_when_it_ends_has_no_end_in_sight() {
        let always = "frozen, with no end in sight (until further notice)";
        for both in ["0 0 * * *", "* * * * *", "0 0 1 1 *"] {
            let freeze = freeze(both, both, "Europe/Berlin", "until further notice");
            for now in ["2026-11-25T00:00", "2026-11-25T12:00"] {
                assert_eq!(shown(std::slice::from_ref(&freeze), now), always, "{both}");
            }
        }
        let halves = [
            freeze("0 8 * * MON", "0 8 * * THU", "Europe/Berlin", ""),
            freeze("0 7 * * THU", "0 9 * * MON", "Europe/Berlin", ""),
        ];
        assert_eq!(
            shown(&halves, "2026-11-25T12:00"),
            "frozen, with no end in sight"
        );
    }

    #[test]
    fn whatever_the_clock_says_there_is_an_answer() {
        for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            window(&[weekend()], now);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_window_is_open_up_to_its_end_and_closed_then(
            freezes in subsequence(vec![
                weekend(),
                freeze("30 2 * * *", "0 6 * * *", "Europe/Berlin", "a"),
                freeze("0 22 * * SAT", "30 2 * * SUN", "America/New_York", "b"),
                freeze("0 0 20 12 *", "0 0 6 1 *", "Asia/Kolkata", "c"),
            ], 0..=4),
            day in select(vec![80, 86, 87, 298, 299, 304, 305, 354, 364]),
            minutes in 0..3000i64,
        ) {
            let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            let now = start + jiff::SignedDuration::from_mins(day * 24 * 60 + minutes);
            let on = |at| freezes.iter().any(|freeze| end(freeze, at).is_some());
            match window(&freezes, now) {
                None => prop_assert!(!on(now)),
                Some(Window { until, .. }) => {
                    let until = until.unwrap().timestamp();
                    let mut at = now;
                    while at < until {
                        prop_assert!(on(at), "{at}");
                        at += jiff::SignedDuration::from_mins(17);
                    }
                    prop_assert!(!on(until));
                }
            }
        }
    }
}
