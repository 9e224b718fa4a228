//! Cron expressions: moments that come again and again, by the clocks of a place.
//!
//! A clock that is put forward skips some of its times: what is meant for one of them comes at the moment at which the
//! clock is put forward. One that is put back shows some of its times twice: the first one counts.

use std::str::FromStr;

use cronexpr::{Crontab, FallbackTimezoneOption, ParseOptions, parse_crontab_with};
use jiff::civil::{DateTime, date};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// What the five fields are, each with what it may say.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of week", "0 to 7, or SUN to SAT"),
];

/// Any moment that comes at all has come within so much time: there is a leap year in it.
const FOUR_YEARS: SignedDuration = SignedDuration::from_hours(24 * (4 * 365 + 1));

/// Moments are whole minutes.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The last year that is looked at: the calendar ends some years later.
const LAST_YEAR: i16 = 9990;

/// A cron expression of five fields, as in crontab(5).
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    /// By a clock that is never put forward or back.
    times: Crontab,
}

/// What is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCron {
    /// It has not five fields.
    #[error("a cron expression has five fields, and this has {0}")]
    Fields(usize),
    /// A field of it can't be read.
    #[error("this can't be the {name} of a cron expression")]
    Field {
        /// The byte at which the field begins.
        at: usize,
        /// What the field is.
        name: &'static str,
        /// What it may say.
        range: &'static str,
    },
    /// The calendar has no such day.
    #[error("no day is ever like this")]
    Never,
}

impl Cron {
    /// The first moment after this one.
    pub fn after(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut time = zone.to_datetime(moment);
        loop {
            time = self.next(time)?;
            let at = moment_of(time, zone)?;
            // The clock has shown this time before.
            if at > moment {
                return Some(at);
            }
        }
    }

    /// The last moment up to this one, and this one as well.
    pub fn last(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let up_to = |from| self.after(from, zone).filter(|at| *at <= moment);
        let mut last = up_to(moment.checked_sub(FOUR_YEARS).ok()?)?;
        // None comes between this one and `moment`.
        let mut none_after = moment;
        while none_after.duration_since(last) >= MINUTE {
            let middle = last + none_after.duration_since(last) / 2;
            match up_to(middle) {
                Some(later) => last = later,
                None => none_after = middle,
            }
        }
        Some(last)
    }

    /// The next time that a clock shows after this one.
    fn next(&self, time: DateTime) -> Option<DateTime> {
        if time.year() > LAST_YEAR {
            return None;
        }
        let time = TimeZone::UTC.to_timestamp(time).ok()?;
        let next = self.times.find_next(time).ok()?;
        Some(next.datetime())
    }
}

/// The moment at which the clocks of a place show this time.
fn moment_of(time: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let shown = zone.to_ambiguous_timestamp(time);
    let is_skipped = matches!(shown.offset(), AmbiguousOffset::Gap { .. });
    let first = shown.earlier().ok()?;
    match is_skipped {
        true => zone.following(first).next().map(|put| put.timestamp()),
        false => Some(first),
    }
}

impl FromStr for Cron {
    type Err = NotCron;

    fn from_str(text: &str) -> Result<Self, NotCron> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(NotCron::Fields(fields.len()));
        }
        let read = |fields: &[&str]| {
            let mut options = ParseOptions::default();
            options.fallback_timezone_option = FallbackTimezoneOption::UTC;
            parse_crontab_with(&fields.join(" "), options).ok()
        };
        let mut rest = text.trim_ascii_start();
        for (i, ((name, range), field)) in FIELDS.into_iter().zip(&fields).enumerate() {
            let mut alone = ["*"; FIELDS.len()];
            alone[i] = field;
            if read(&alone).is_none() {
                let at = text.len() - rest.len();
                return Err(NotCron::Field { at, name, range });
            }
            rest = rest[field.len()..].trim_ascii_start();
        }
        let times = read(&fields).ok_or(NotCron::Fields(fields.len()))?;
        let cron = Self {
            text: fields.join(" "),
            times,
        };
        let leap_year = date(2024, 1, 1).at(0, 0, 0, 0);
        cron.next(leap_year).ok_or(NotCron::Never)?;
        Ok(cron)
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[cfg(test)]
mod tests {
    use jiff::Zoned;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn cron(text: &str) -> Cron {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    /// The moments from here on, by the clocks there.
    fn moments(text: &str, zone: &TimeZone, from: &str, many: usize) -> Vec<String> {
        let from: Zoned = format!("{from}[{}]", zone.iana_name().unwrap())
            .parse()
            .unwrap();
        let cron = cron(text);
        let next = |at: &Timestamp| cron.after(*at, zone);
        std::iter::successors(next(&from.timestamp()), next)
            .take(many)
            .map(|at| {
                at.to_zoned(zone.clone())
                    .strftime("%a %F %R %Z")
                    .to_string()
            })
            .collect()
    }

    #[test]
    fn moments_come_by_the_clocks_of_the_place() {
        let berlin = zone("Europe/Berlin");
        for (text, from, shown) in [
            (
                "0 17 * * FRI",
                "2026-11-25T12:00",
                "Fri 2026-11-27 17:00 CET",
            ),
            (
                "0 8 * * 1",
                "2026-07-27T07:59:59",
                "Mon 2026-07-27 08:00 CEST",
            ),
            ("0 8 * * 1", "2026-07-27T08:00", "Mon 2026-08-03 08:00 CEST"),
            ("0 0 29 2 *", "2026-01-01T00:00", "Tue 2028-02-29 00:00 CET"),
            (
                "30 22 24 DEC *",
                "2026-12-24T22:30",
                "Fri 2027-12-24 22:30 CET",
            ),
            ("0 0 L * *", "2027-02-01T00:00", "Sun 2027-02-28 00:00 CET"),
        ] {
            assert_eq!(moments(text, &berlin, from, 1), [shown], "{text}");
        }
    }

    #[test]
    fn a_time_that_the_clock_skips_comes_when_it_is_put_forward() {
        let shown = moments("30 2 * * *", &zone("Europe/Berlin"), "2026-03-28T00:00", 3);
        assert_eq!(
            shown,
            [
                "Sat 2026-03-28 02:30 CET",
                "Sun 2026-03-29 03:00 CEST",
                "Mon 2026-03-30 02:30 CEST"
            ]
        );
        // Of several times that are skipped, and the first after them, it is one moment.
        let shown = moments(
            "*/20 2,3 * * *",
            &zone("Europe/Berlin"),
            "2026-03-29T00:00",
            2,
        );
        assert_eq!(
            shown,
            ["Sun 2026-03-29 03:00 CEST", "Sun 2026-03-29 03:20 CEST"]
        );
        // A whole day.
        let shown = moments("0 12 30 * *", &zone("Pacific/Apia"), "2011-12-01T00:00", 2);
        assert_eq!(
            shown,
            ["Sat 2011-12-31 00:00 +14", "Mon 2012-01-30 12:00 +14"]
        );
        // Half an hour, and at midnight.
        let shown = moments(
            "10 2 * * *",
            &zone("Australia/Lord_Howe"),
            "2026-10-03T12:00",
            1,
        );
        assert_eq!(shown, ["Sun 2026-10-04 02:30 +11"]);
        let shown = moments("0 0 * * *", &zone("Africa/Cairo"), "2026-04-23T12:00", 1);
        assert_eq!(shown, ["Fri 2026-04-24 01:00 EEST"]);
    }

    #[test]
    fn a_time_that_the_clock_shows_twice_comes_once() {
        let shown = moments("30 2 * * *", &zone("Europe/Berlin"), "2026-10-25T00:00", 2);
        assert_eq!(
            shown,
            ["Sun 2026-10-25 02:30 CEST", "Mon 2026-10-26 02:30 CET"]
        );
        let cron = cron("30 2 * * *");
        // Half past two is over when the clock shows ten past two for the second time.
        let second: Timestamp = "2026-10-25T02:10:00+01:00".parse().unwrap();
        let first: Timestamp = "2026-10-25T02:30:00+02:00".parse().unwrap();
        assert_eq!(cron.last(second, &zone("Europe/Berlin")), Some(first));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let field = |text: &str| match text.parse::<Cron>() {
            Err(NotCron::Field { at, name, .. }) => (at, name),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(field("60 0 * * *"), (0, "minute"));
        assert_eq!(field("0 24 * * *"), (2, "hour"));
        assert_eq!(field("0  0 32 * *"), (5, "day of month"));
        assert_eq!(field(" 0 0 * foo *"), (7, "month"));
        assert_eq!(field("0 8 * * FRI-MON"), (8, "day of week"));
        assert_eq!(field("0 8 * * MON,"), (8, "day of week"));
        assert_eq!(field("H 8 * * *"), (0, "minute"));
        for (text, fields) in [
            ("", 0),
            ("@weekly", 1),
            ("0 8 * *", 4),
            ("0 8 * * MON Europe/Berlin", 6),
        ] {
            assert_eq!(text.parse::<Cron>(), Err(NotCron::Fields(fields)), "{text}");
        }
        for text in ["0 0 30 2 *", "0 0 31 4,6 *"] {
            assert_eq!(text.parse::<Cron>(), Err(NotCron::Never), "{text}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_trouble() {
        let cron = cron("0 0 * * *");
        for zone in [TimeZone::UTC, zone("Pacific/Apia")] {
            assert_eq!(cron.after(Timestamp::MAX, &zone), None);
            assert_eq!(cron.last(Timestamp::MAX, &zone), None);
            assert_eq!(cron.last(Timestamp::MIN, &zone), None);
            assert!(cron.after(Timestamp::MIN, &zone).is_some());
        }
    }

    const ZONES: [&str; 6] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Asia/Kolkata",
    ];

    fn crons() -> impl Strategy<Value = Cron> {
        (
            select(vec!["0", "30", "*/20", "59", "*"]),
            select(vec!["0", "1,2", "3", "23", "*"]),
            select(vec!["*", "1", "25-31", "29"]),
            select(vec!["*", "3,4,10,11", "12"]),
            select(vec!["*", "SUN", "1-5"]),
        )
            .prop_map(|(a, b, c, d, e)| cron(&format!("{a} {b} {c} {d} {e}")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Minute by minute through days at which many clocks are put forward or back.
        #[test]
        fn it_is_what_a_clock_that_is_watched_shows(
            cron in crons(), name in select(&ZONES[..]), month in select(vec![3, 4, 10, 11]), day in 1..29i8,
        ) {
            let zone = zone(name);
            let start = date(2026, month, day).to_zoned(TimeZone::UTC).unwrap().timestamp();
            let mut latest = zone.to_datetime(start);
            let mut watched = Vec::new();
            for minute in 1..=3 * 24 * 60 {
                let at = start + MINUTE * minute;
                let shown = zone.to_datetime(at);
                // All times since the latest that it has shown: none, one, or those that it skips.
                let is_due = shown > latest && cron.next(latest).is_some_and(|next| next <= shown);
                if is_due {
                    watched.push(at);
                }
                latest = latest.max(shown);
            }
            let end = start + MINUTE * (3 * 24 * 60);
            let next = |at: &Timestamp| cron.after(*at, &zone).filter(|at| *at <= end);
            let told: Vec<_> = std::iter::successors(next(&start), next).collect();
            prop_assert_eq!(&told, &watched, "{} {}", cron.text, name);
            let last = cron.last(end, &zone);
            prop_assert!(watched.is_empty() || last == watched.last().copied());
            if let Some(last) = last {
                prop_assert_eq!(cron.after(last - MINUTE, &zone), Some(last));
                prop_assert!(cron.after(last, &zone).is_none_or(|next| next > end));
            }
        }

        #[test]
        fn whatever_is_given_is_read_or_told(text in "[0-9A-Za-z*/,#é -]{0,20}") {
            if let Err(NotCron::Field { at, .. }) = text.parse::<Cron>() {
                prop_assert!(text.is_char_boundary(at));
            }
        }
    }
}
