//! Durations, as the command line and the config write them.

use std::time::Duration;

/// The longest one: a moment that far away can still be reckoned with.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A duration such as `1m 30s`, of at most a year; a bare number is seconds.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return of_seconds(seconds);
    }
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    let span = Duration::try_from(span).map_err(|_| "a duration can't be negative".to_owned())?;
    bounded(span)
}

/// A duration of so many seconds, of at most a year.
///
/// # Errors
///
/// What is wrong with it.
pub fn of_seconds(seconds: f64) -> Result<Duration, String> {
    bounded(Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?)
}

fn bounded(duration: Duration) -> Result<Duration, String> {
    match duration > LONGEST {
        true => Err("a duration can't be longer than a year".to_owned()),
        false => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_taken_can_be_added_to_a_moment() {
        for (text, seconds) in [
            ("0", 0.0),
            ("1.5", 1.5),
            ("1m 30s", 90.0),
            ("8760h", 31_536_000.0),
        ] {
            assert_eq!(parse(text).unwrap().as_secs_f64(), seconds, "{text}");
        }
        for text in [
            "1e19", "1e300", "inf", "NaN", "-1", "-1s", "9999999h", "8785h", "soon", "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(of_seconds(1e19).is_err());
        let _ = std::time::Instant::now() + LONGEST * 4;
    }
}
