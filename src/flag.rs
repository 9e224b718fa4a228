//! Flags that are on or off, as environment variables give them.

/// Whether a flag is on; empty is off, as where the variable is not set.
///
/// # Errors
///
/// Where the text is neither true nor false.
pub fn parse(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "y" | "t" => Ok(true),
        "false" | "no" | "off" | "0" | "n" | "f" | "" => Ok(false),
        _ => Err("its environment variable is neither `true` nor `false`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_neither_true_nor_false_is_a_mistake() {
        for (text, on) in [
            ("true", true),
            ("1", true),
            ("Yes", true),
            ("", false),
            ("0", false),
            ("OFF", false),
        ] {
            assert_eq!(parse(text), Ok(on), "{text}");
        }
        for text in ["maybe", "2", "truee", "null", "-"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
