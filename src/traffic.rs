//! The traffic value: which colors get the requests, and how many of them.
//!
//! `green` sends everything to green; `blue:90,green:10` nine of ten requests to blue. This text is what the key in
//! the store holds, what the command line takes and what the history keeps.

mod gaining;
mod ramp;

use std::fmt;

pub use self::ramp::ramp;
use crate::color::Color;
use crate::printable::beginning;

/// The largest weight of a color.
pub const MAX_WEIGHT: u32 = 100_000;

/// The longest traffic value that is read, in bytes. Anything longer is garbage, and is not looked into.
pub const MAX_LENGTH: usize = 4096;

/// The traffic of one stack: which colors get the requests, by weight.
///
/// Never empty; no color twice; at least one weight is above 0; in the order of the stack's colors. Two values that mean
/// the same are equal, and are shown as one: `green:5`, `blue:0,green:5` and `green` all give green everything, and
/// `green:10,blue:90` is `blue:90,green:10`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic(Vec<(Color, u32)>);

impl Traffic {
    /// All the traffic to one color.
    pub fn all_to(color: Color) -> Self {
        Self(vec![(color, 1)])
    }

    /// As much to each of several colors.
    pub(crate) fn evenly(colors: &[Color]) -> Self {
        Self(colors.iter().map(|color| (color.clone(), 1)).collect())
    }

    /// The color that has all the traffic, or `None` where it is shared.
    pub fn sole(&self) -> Option<&Color> {
        match self.0.as_slice() {
            [(color, _)] => Some(color),
            _ => None,
        }
    }

    /// The weight of a color; 0 for a color without traffic.
    pub fn weight(&self, color: &Color) -> u32 {
        self.0
            .iter()
            .find(|(c, _)| c == color)
            .map_or(0, |(_, weight)| *weight)
    }

    /// All weights together.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, weight)| u64::from(*weight)).sum()
    }

    /// The colors that have traffic, in the order of the stack's colors.
    pub fn colors(&self) -> impl Iterator<Item = &Color> {
        self.0.iter().map(|(color, _)| color)
    }

    /// Reads a traffic value for a stack that has these colors.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, in words for the operator.
    pub fn parse(text: &[u8], colors: &[Color]) -> Result<Self, InvalidTraffic> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidTraffic::TooLong(text.len() as u64));
        }
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(InvalidTraffic::NotText);
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidTraffic::Empty);
        }
        let known = |name: &str| match colors.iter().find(|c| c.as_str() == name) {
            Some(color) => Ok(color.clone()),
            None => Err(InvalidTraffic::UnknownColor {
                name: excerpt(name),
                known: colors
                    .iter()
                    .map(|c| format!("`{c}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        };
        if !text.contains([':', ',']) {
            return Ok(Self::all_to(known(text)?));
        }
        let mut shares: Vec<(Color, u32)> = Vec::new();
        for share in text.split(',') {
            let Some((name, weight)) = share.split_once(':') else {
                return Err(InvalidTraffic::NoWeight(excerpt(share)));
            };
            let color = known(name)?;
            if shares.iter().any(|(c, _)| *c == color) {
                return Err(InvalidTraffic::Twice(color));
            }
            shares.push((color, parse_weight(weight)?));
        }
        shares.retain(|(_, weight)| *weight > 0);
        match shares.as_mut_slice() {
            [] => return Err(InvalidTraffic::AllZero),
            // What a single share weighs makes no difference; equal traffic must be equal.
            [(_, weight)] => *weight = 1,
            _ => {}
        }
        Ok(Self(shares).sorted(colors))
    }

    /// The same traffic of a stack that has these colors now.
    ///
    /// # Errors
    ///
    /// A color that has traffic and is not one of them.
    pub fn among(&self, colors: &[Color]) -> Result<Self, Color> {
        match self.colors().find(|color| !colors.contains(color)) {
            Some(color) => Err(color.clone()),
            None => Ok(self.clone().sorted(colors)),
        }
    }

    fn sorted(mut self, colors: &[Color]) -> Self {
        let place = |color: &Color| colors.iter().position(|other| other == color);
        self.0.sort_by_key(|(color, _)| place(color));
        self
    }
}

/// Whether two traffic values of one stack mean the same, whatever the order in which they name its colors. They are as
/// [`Traffic`] shows them.
pub fn is_same(one: &str, other: &str) -> bool {
    let shares = |text| {
        let mut shares: Vec<_> = str::split(text, ',').map(str::trim).collect();
        shares.sort_unstable();
        shares
    };
    one == other || shares(one) == shares(other)
}

/// A whole number from 0 to [`MAX_WEIGHT`], digits only.
fn parse_weight(text: &str) -> Result<u32, InvalidTraffic> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(weight) if digits && weight <= MAX_WEIGHT => Ok(weight),
        _ => Err(InvalidTraffic::BadWeight(excerpt(text))),
    }
}

/// The beginning of a text from outside, for a message.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    beginning(text, SHOWN)
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(color) = self.sole() {
            return color.fmt(f);
        }
        for (i, (color, weight)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{color}:{weight}")?;
        }
        Ok(())
    }
}

/// Why a text is not a traffic value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTraffic {
    /// Nothing, or only white space.
    #[error("the value is empty")]
    Empty,
    /// More bytes than any traffic value has.
    #[error("the value has {0} bytes: no traffic value is that long")]
    TooLong(u64),
    /// Bytes that are not UTF-8.
    #[error("the value is not text")]
    NotText,
    /// A name that is none of the stack's colors.
    #[error("`{name}` is not a color of this stack (it has {known})")]
    UnknownColor {
        /// The name that was given.
        name: String,
        /// The stack's colors, for the message.
        known: String,
    },
    /// A share of several without a weight.
    #[error("`{0}` has no weight: give each color one, as in `blue:90,green:10`")]
    NoWeight(String),
    /// A weight that is not a whole number in range.
    #[error("`{0}` is not a weight: a whole number from 0 to {MAX_WEIGHT}")]
    BadWeight(String),
    /// One color named twice.
    #[error("`{0}` is named twice")]
    Twice(Color),
    /// Nobody would get any traffic.
    #[error("every weight is 0: at least one color needs traffic")]
    AllZero,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of the stack.
    pub(super) fn colors() -> [Color; 3] {
        ["blue", "green", "Blue2"].map(|c| c.parse().unwrap())
    }

    pub(super) fn parse(text: &str) -> Result<Traffic, InvalidTraffic> {
        Traffic::parse(text.as_bytes(), &colors())
    }

    #[test]
    fn a_color_gets_everything() {
        for text in [
            "green",
            " green\n",
            "green:7",
            "blue:0,green:5",
            "\tgreen:1\r\n",
        ] {
            let traffic = parse(text).unwrap();
            assert_eq!(traffic.to_string(), "green", "{text:?}");
            assert_eq!(traffic, parse("green").unwrap(), "{text:?}");
        }
    }

    #[test]
    fn weights_are_in_the_order_of_the_colors() {
        let traffic = parse("green:10,blue:90").unwrap();
        assert_eq!(traffic, parse("blue:90,green:10").unwrap());
        assert_eq!(traffic.to_string(), "blue:90,green:10");
        assert_eq!(traffic.weight(&"blue".parse().unwrap()), 90);
        assert_eq!(traffic.weight(&"Blue2".parse().unwrap()), 0);
        assert_eq!(traffic.sole(), None);
        assert_eq!(
            parse("blue:100000,green:1").unwrap().to_string(),
            "blue:100000,green:1"
        );
    }

    #[test]
    fn anything_else_is_no_traffic_value() {
        for text in [
            "",
            " ",
            "Green",
            "purple",
            "blue,green",
            "blue:1,blue:2",
            "blue:0",
            "blue:0,green:0",
            "blue:100001",
            "blue:-1",
            "blue:+1",
            "blue:1.5",
            "blue:",
            ":1",
            "blue:1,",
            ",blue:1",
            "blue: 1,green:2",
            "blue:1, green:2",
            "blue green",
            "blue:1:2",
            "blue\0",
            "blue:1,purple:2",
            "blue:99999999999999999999",
            "\"blue\"",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let colors = ["blue".parse().unwrap()];
        assert_eq!(
            Traffic::parse(b"\xff\xfe", &colors),
            Err(InvalidTraffic::NotText)
        );
        assert_eq!(
            Traffic::parse(&vec![b'x'; 1 << 20], &colors),
            Err(InvalidTraffic::TooLong(1 << 20))
        );
    }

    #[test]
    fn a_message_shows_no_more_of_garbage_than_its_beginning() {
        let message = parse(&"x".repeat(200)).unwrap_err().to_string();
        assert!(message.len() < 200, "{message}");
    }
}
