//! The patterns of [`super::schema`], and a matcher for them that needs no regular expressions.

/// A whole number in a string: what Go's `strconv.ParseInt` takes, up to 18 digits.
///
/// Source: `setInt` in paerser's `parser/element_fill.go`.
pub const INT: &str = "^[+-]?[0-9]{1,18}$";

/// A duration in a string: a number of seconds, or what Go's `time.ParseDuration` takes.
///
/// Source: `setDuration` in paerser's `parser/element_fill.go`.
pub const DURATION: &str =
    r"^[+-]?([0-9]{1,18}|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$";

/// The units of a duration; a unit comes before one that is its beginning.
const UNITS: [&str; 8] = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];

/// Whether a text matches one of the patterns above; `None` for any other pattern.
pub fn matches(pattern: &str, text: &str) -> Option<bool> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match pattern {
        INT => Some(is_number(unsigned)),
        DURATION => Some(is_number(unsigned) || is_with_units(unsigned)),
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a text is one or more decimal numbers, each with its unit: `1h30m`, `1.5s`, `.5s`.
fn is_with_units(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let after_whole = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let after_point = after_whole.strip_prefix('.').unwrap_or(after_whole);
        let after_number = after_point.trim_start_matches(|c: char| c.is_ascii_digit());
        let has_digits = after_whole.len() < rest.len() || after_number.len() < after_point.len();
        let Some(next) = UNITS.iter().find_map(|u| after_number.strip_prefix(u)) else {
            return false;
        };
        if !has_digits {
            return false;
        }
        rest = next;
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_with_a_sign_before_them() {
        for text in ["0", "10", "+10", "-1", "007", "999999999999999999"] {
            assert_eq!(matches(INT, text), Some(true), "{text}");
        }
        for text in [
            "",
            "-",
            "+-1",
            "1.5",
            "1_000",
            " 1",
            "0x1",
            "9999999999999999999",
        ] {
            assert_eq!(matches(INT, text), Some(false), "{text}");
        }
    }

    #[test]
    fn a_duration_has_units_or_is_a_number_of_seconds() {
        for text in [
            "0", "10", "-10", "10s", "1h30m", "1.5s", "1.s", ".5s", "-3us", "3µs", "3μs",
        ] {
            assert_eq!(matches(DURATION, text), Some(true), "{text}");
        }
        for text in [
            "", "-", "1.5", "s", ".s", "10 s", "1d", "10S", "10s5", "1..s", "--1s",
        ] {
            assert_eq!(matches(DURATION, text), Some(false), "{text}");
        }
    }

    #[test]
    fn another_pattern_is_not_judged() {
        assert_eq!(matches("^a$", "a"), None);
    }
}
