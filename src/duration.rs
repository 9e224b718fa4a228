//! Durations, as the command line and the config write them.

use std::time::Duration;

/// A duration such as `1m 30s`; a bare number is seconds.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    span.try_into()
        .map_err(|_| "a duration can't be negative".to_owned())
}
