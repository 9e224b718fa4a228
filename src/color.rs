//! The color: the name of one of a stack's parallel deployments.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most characters that a color's name may have: it becomes part of the names of Traefik's services.
const MAX_LENGTH: usize = 32;

/// The name of one of a stack's parallel deployments, such as `blue`.
///
/// Letters, digits, `-` and `_`, beginning with a letter or digit, at most 32 characters. Case counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Color(Arc<str>);

impl Color {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that can't be the name of a color.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` can't be a color: up to 32 letters, digits, `-` and `_`, beginning with a letter or digit"
)]
pub struct InvalidColor(String);

impl FromStr for Color {
    type Err = InvalidColor;

    fn from_str(text: &str) -> Result<Self, InvalidColor> {
        let valid = text.len() <= MAX_LENGTH
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidColor(text.chars().take(64).collect()))
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
