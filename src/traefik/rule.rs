//! Rules of HTTP routers: what Traefik 3 takes for one, and what it would disable the router for.
//!
//! The grammar is Go's, as `pkg/rules/parser.go` has it parsed: matchers with `&&`, `||`, `!` and parentheses.
//! [`parse`] reads it, [`check`] says what is wrong with it, and [`v2`] is how Traefik 3 writes what Traefik 2 took.

mod parser;
pub mod v2;

use std::net::IpAddr;
use std::ops::Range;

pub use parser::parse;

/// The matchers of Traefik 3, with the fewest and the most values that each takes.
pub const MATCHERS: [(&str, usize, usize); 11] = [
    ("ClientIP", 1, 1),
    ("Header", 2, 2),
    ("HeaderRegexp", 2, 2),
    ("Host", 1, 1),
    ("HostRegexp", 1, 1),
    ("Method", 1, 1),
    ("Path", 1, 1),
    ("PathPrefix", 1, 1),
    ("PathRegexp", 1, 1),
    ("Query", 1, 2),
    ("QueryRegexp", 1, 2),
];

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// One of these.
    Or(Vec<Self>),
    /// All of these.
    And(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// One matcher.
    Matcher(Matcher),
}

/// A matcher, such as ``Host(`a`)``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// Its name, as it is written.
    pub name: String,
    /// Its values.
    pub values: Vec<String>,
    /// Where it is in the rule, in bytes.
    pub place: Range<usize>,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// At which byte.
    pub at: usize,
    /// What.
    pub problem: String,
}

impl Expression {
    /// Its matchers, in the order in which they are written.
    pub fn matchers(&self) -> Vec<&Matcher> {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().flat_map(Self::matchers).collect(),
            Self::Not(inner) => inner.matchers(),
            Self::Matcher(matcher) => vec![matcher],
        }
    }
}

impl Matcher {
    /// Its name as Traefik 3 documents it; Traefik takes some other cases as well.
    pub fn known(&self) -> Option<&'static str> {
        one_of(&self.name, MATCHERS.map(|(name, ..)| name))
    }
}

/// The one of these names that Traefik takes this for.
fn one_of<const N: usize>(name: &str, names: [&'static str; N]) -> Option<&'static str> {
    let is = |known: &&str| {
        let lower = known.to_ascii_lowercase();
        let title = format!("{}{}", &known[..1], &lower[1..]);
        name == *known || name == lower || name == known.to_ascii_uppercase() || name == title
    };
    names.into_iter().find(is)
}

/// Checks a rule as Traefik 3 does when it makes a router; regular expressions are left to Traefik.
///
/// # Errors
///
/// The first mistake.
pub fn check(rule: &str) -> Result<(), Mistake> {
    let expression = parse(rule)?;
    for matcher in expression.matchers() {
        if let Some(problem) = problem(matcher) {
            let at = matcher.place.start;
            return Err(Mistake { at, problem });
        }
    }
    Ok(())
}

fn problem(matcher: &Matcher) -> Option<String> {
    let Matcher { name, values, .. } = matcher;
    if v2::replacement(matcher).is_some() {
        return Some(format!("`{name}` is written as for Traefik 2 here"));
    }
    let Some(known) = matcher.known() else {
        return Some(format!("`{name}` is no matcher of Traefik's"));
    };
    let counts = MATCHERS.iter().find(|(name, ..)| *name == known);
    let (_, fewest, most) = *counts?;
    if !(fewest..=most).contains(&values.len()) {
        let takes = match (fewest, most) {
            (1, 1) => "one value",
            (1, _) => "one value or two",
            _ => "two values",
        };
        return Some(format!("`{name}` takes {takes}, and has {}", values.len()));
    }
    if values.iter().any(String::is_empty) {
        return Some(format!("a value of `{name}` is empty"));
    }
    let value = values.first()?;
    match known {
        "Host" | "HostRegexp" if !value.is_ascii() => Some(format!(
            "`{name}` takes ASCII only: write the name as Punycode, `xn--...`"
        )),
        "Path" | "PathPrefix" if !value.starts_with('/') => {
            Some(format!("the path of `{name}` does not begin with `/`"))
        }
        "ClientIP" if !is_network(value) => Some(format!(
            "`{name}` takes an IP address, or a network such as `10.0.0.0/8`"
        )),
        _ => None,
    }
}

fn is_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().is_ok();
    };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    let digits = length.bytes().all(|b| b.is_ascii_digit());
    digits && length.parse::<u8>().is_ok_and(|length| length <= longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_mistake_is_told() {
        for (rule, at, problem) in [
            ("Host(`a)", 5, "this backtick is not closed"),
            ("Host(`a`", 4, "this `(` is not closed"),
            ("Host(`a`))", 9, "this `)` closes nothing"),
            ("(Host(`a`)", 0, "this `(` is not closed"),
            ("Host(\"a)", 5, "this quotation mark is not closed"),
            ("é)", 0, "this is no matcher"),
            ("Host('a')", 5, "a value stands in backticks"),
            ("Host(`a` `b`)", 9, "a `)` is missing"),
            ("Host(`a`) &&", 12, "a matcher is missing"),
            ("Host(`a`) and Path(`/`)", 10, "the rule can't go on so"),
            (
                "Host(`a`)\n&& Path(`/`)",
                10,
                "a rule can't go on in a new line",
            ),
            ("Host(`a`) && Hots(`b`)", 13, "`Hots` is no matcher"),
            (
                "Path(`/`) && Header(`a`)",
                13,
                "`Header` takes two values, and has 1",
            ),
        ] {
            let mistake = check(rule).expect_err(rule);
            assert_eq!(mistake.at, at, "{rule}: {mistake:?}");
            assert!(mistake.problem.starts_with(problem), "{rule}: {mistake:?}");
        }
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        for open in ["(", "!"] {
            let rule = format!("{}Host(`a`)", open.repeat(100_000));
            assert_eq!(check(&rule).unwrap_err().problem, "this is nested too deep");
        }
    }
}
