//! The traffic value: what is one is told by a model of its own, and the parser has to agree.

use std::collections::BTreeMap;

use bluegreen::color::Color;
use bluegreen::traffic::Traffic;
use proptest::prelude::*;

use super::holds;

/// A case takes a few microseconds.
const CASES: u32 = 100_000;

/// Names that are much alike.
const COLORS: [&str; 4] = ["blue", "green", "Blue2", "b"];

fn colors() -> Vec<Color> {
    COLORS.iter().map(|color| color.parse().unwrap()).collect()
}

fn parse(bytes: &[u8]) -> Option<Traffic> {
    Traffic::parse(bytes, &colors()).ok()
}

/// The weights that a value gives to the colors, or `None` for what is no traffic value.
///
/// It reads from the left, a character at a time, and has nothing in common with the parser.
pub(super) fn model(bytes: &[u8], colors: &[&str]) -> Option<BTreeMap<String, u64>> {
    const LONGEST: usize = 4096;
    let text = std::str::from_utf8(bytes).ok()?;
    let mut characters: Vec<char> = text.chars().collect();
    while characters.last().is_some_and(|c| c.is_whitespace()) {
        characters.pop();
    }
    let first = characters.iter().position(|c| !c.is_whitespace())?;
    let mut rest = characters[first..].iter().copied().peekable();
    let mut weights = BTreeMap::new();
    loop {
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| *c != ':' && *c != ',') {
            name.push(c);
        }
        if !colors.contains(&name.as_str()) {
            return None;
        }
        let weight = match rest.next() {
            // Only a color alone may do without a weight.
            None if weights.is_empty() => 1,
            Some(':') => {
                rest.peek()?.to_digit(10)?;
                let mut weight: u64 = 0;
                while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
                    weight = (weight * 10 + u64::from(digit)).min(1_000_000);
                    rest.next();
                }
                weight
            }
            _ => return None,
        };
        if weight > 100_000 || weights.insert(name, weight).is_some() {
            return None;
        }
        match rest.next() {
            None => break,
            Some(',') => {}
            Some(_) => return None,
        }
    }
    weights.retain(|_, weight| *weight > 0);
    if weights.len() == 1 {
        weights.values_mut().for_each(|weight| *weight = 1);
    }
    (!weights.is_empty() && bytes.len() <= LONGEST).then_some(weights)
}

/// Texts of the pieces of which values are made, right and wrong ones in any order.
pub(super) fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(&COLORS),
        6 => Just(":"),
        4 => Just(","),
        6 => prop::sample::select(&["0", "1", "7", "10", "90", "100000", "100001", "00", "4294967296"]),
        1 => prop::sample::select(&[" ", "\n", "\t", "\u{a0}", "\u{2003}", "\u{feff}", "\0", "\r\n"]),
        1 => prop::sample::select(&["Green", "BLUE", "purple", "+1", "-1", "1.5", "1e3", "٣", "é", "\"", "::", ",,"]),
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

/// Shares as they should be, but with colors that may be doubled and weights that may be too high.
fn shares() -> impl Strategy<Value = String> {
    let share = (
        prop::sample::select(&COLORS),
        prop_oneof![0_u32..3, 0..=100_002_u32],
    );
    prop::collection::vec(share, 1..5).prop_map(|shares| {
        let shares: Vec<_> = shares.iter().map(|(c, w)| format!("{c}:{w}")).collect();
        shares.join(",")
    })
}

fn white_space() -> impl Strategy<Value = String> {
    "[ \t\r\n\u{a0}\u{2003}]{0,4}"
}

/// What is accepted is what the model accepts, means the same, and prints to what parses to the same.
fn agrees(bytes: &[u8]) {
    let traffic = parse(bytes);
    let shown = String::from_utf8_lossy(bytes);
    let weights = traffic.as_ref().map(|traffic| {
        let color = |color: &Color| (color.to_string(), u64::from(traffic.weight(color)));
        traffic.colors().map(color).collect::<BTreeMap<_, _>>()
    });
    assert_eq!(weights, model(bytes, &COLORS), "{shown:?}");
    if let Some(traffic) = traffic {
        let printed = traffic.to_string();
        assert_eq!(parse(printed.as_bytes()), Some(traffic), "{printed}");
    }
}

#[test]
fn any_bytes_are_a_traffic_value_or_refused() {
    holds(CASES, prop::collection::vec(any::<u8>(), 0..64), |bytes| {
        agrees(&bytes);
    });
}

#[test]
fn what_looks_like_a_traffic_value_is_one_where_the_model_says_so() {
    holds(CASES, prop_oneof![pieces(), shares()], |text| {
        agrees(text.as_bytes());
    });
}

#[test]
fn white_space_around_a_traffic_value_does_not_matter() {
    let inputs = (white_space(), shares(), white_space());
    holds(CASES, inputs, |(before, text, after)| {
        let spaced = format!("{before}{text}{after}");
        assert_eq!(parse(spaced.as_bytes()), parse(text.as_bytes()));
    });
}

#[test]
fn case_matters_in_a_traffic_value() {
    let flips = prop::collection::vec(any::<bool>(), 40);
    holds(CASES, (shares(), flips), |(text, flips)| {
        let flipped = text.chars().zip(flips.iter().cycle()).map(|(c, flip)| {
            if *flip && c.is_ascii_lowercase() {
                c.to_ascii_uppercase()
            } else {
                c
            }
        });
        let flipped: String = flipped.collect();
        assert!(
            flipped == text || parse(flipped.as_bytes()).is_none(),
            "{flipped}"
        );
    });
}

#[test]
fn what_is_longer_than_any_traffic_value_is_refused() {
    holds(64, 4000..5000_usize, |length| {
        agrees(format!("{}green", " ".repeat(length)).as_bytes());
        agrees(format!("green:{}1", "0".repeat(length)).as_bytes());
    });
}
