//! Config files that are good but for some changes, and some that were never good.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::configs::configs;
use crate::document::RICH;

pub(super) const EXAMPLE: &str = include_str!("../../../examples/bluegreen.yml");

/// What is put into a file where it does not belong.
const ODD: [&str; 48] = [
    "\0",
    "\u{feff}",
    "\r",
    "\r\n",
    "\n",
    "\t",
    "\u{85}",
    "\u{2028}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{ffff}",
    "🍪",
    "é",
    "\"",
    "'",
    "`",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ": ",
    "- ",
    "? ",
    "#",
    " # ",
    "|",
    ">",
    "|\n",
    ">-\n  ",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!x ",
    "%YAML 9.9\n",
    "---\n",
    "...\n",
    "${",
    "${A}",
    "${A:-",
    "$$",
    "@",
    "\\",
    "~",
    "null",
    "  ",
];

/// Values in place of others.
const VALUES: [&str; 16] = [
    "99999999999999999999999999",
    "-1",
    "1e999",
    ".inf",
    ".nan",
    "0x7fffffffffffffff",
    "{}",
    "[]",
    "[[]]",
    "''",
    "true",
    "http://127.0.0.1:0",
    "a@b@c",
    "Host(`a)",
    ">-\n          Host(`a",
    "|\n          a\n          b",
];

/// One change of a text; the positions are shares of its length.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Delete(Index),
    Double(Index),
    Swap(Index, Index),
    Indent(Index, usize),
    Insert(Index, &'static str),
    Value(Index, &'static str),
    Cut(Index),
    CarriageReturns,
    Nest(Index, &'static str, usize),
    Laughs(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    use Change::*;
    let at = any::<Index>;
    prop_oneof![
        4 => at().prop_map(Delete),
        4 => at().prop_map(Double),
        4 => (at(), at()).prop_map(|(a, b)| Swap(a, b)),
        4 => (at(), 0..9_usize).prop_map(|(at, by)| Indent(at, by)),
        8 => (at(), select(&ODD)).prop_map(|(at, odd)| Insert(at, odd)),
        6 => (at(), select(&VALUES)).prop_map(|(at, value)| Value(at, value)),
        1 => at().prop_map(Cut),
        1 => Just(CarriageReturns),
        1 => (at(), select(&["[", "{a: ", "- ", "? ", "\n ", "&a [*a, "]), 1..3000_usize)
            .prop_map(|(at, with, times)| Nest(at, with, times)),
        1 => (at(), 1..60_usize).prop_map(|(at, depth)| Laughs(at, depth)),
    ]
}

impl Change {
    pub(super) fn apply(&self, text: &str) -> String {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        if lines.is_empty() {
            return text.to_owned();
        }
        let count = lines.len();
        let insert = |at: &Index, what: &str| {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let (before, after) = text.split_at(places[at.index(places.len())]);
            format!("{before}{what}{after}")
        };
        match self {
            Self::Delete(at) => drop(lines.remove(at.index(count))),
            Self::Double(at) => lines.insert(at.index(count), lines[at.index(count)].clone()),
            Self::Swap(a, b) => lines.swap(a.index(count), b.index(count)),
            Self::Indent(at, by) => {
                let line = &mut lines[at.index(count)];
                *line = format!("{}{}", " ".repeat(*by), line.trim_start_matches(' '));
            }
            Self::Insert(at, odd) => return insert(at, odd),
            Self::Value(at, value) => {
                let line = &mut lines[at.index(count)];
                if let Some((key, _)) = line.split_once(": ") {
                    *line = format!("{key}: {value}\n");
                }
            }
            Self::Cut(at) => lines.truncate(at.index(count)),
            Self::CarriageReturns => return text.replace('\n', "\r\n"),
            Self::Nest(at, with, times) => return insert(at, &with.repeat(*times)),
            Self::Laughs(at, depth) => lines.insert(at.index(count), laughs(*depth)),
        }
        lines.concat()
    }
}

/// Lines that unfold to nine to the power of their number.
fn laughs(depth: usize) -> String {
    let level = |n: usize| match n {
        0 => "x-0: &a0 [lol]\n".to_owned(),
        n => format!(
            "x-{n}: &a{n} [{}]\n",
            vec![format!("*a{}", n - 1); 9].join(", ")
        ),
    };
    (0..depth).map(level).collect()
}

/// Good configs with some changes.
pub(super) fn changed() -> impl Strategy<Value = String> {
    let good = prop_oneof![
        Just(EXAMPLE.to_owned()),
        Just(RICH.to_owned()),
        configs().prop_map(|made| made.text),
    ];
    (good, prop::collection::vec(change(), 1..5)).prop_map(|(good, changes)| {
        changes
            .iter()
            .fold(good, |text, change| change.apply(&text))
    })
}

/// Soup of what YAML is made of.
pub(super) fn soup() -> impl Strategy<Value = String> {
    let words = select(&[
        "stacks", "services", "s", "rule", "servers", "blue", "traefik", "http", "colors",
    ]);
    let piece = prop_oneof![select(&ODD), select(&VALUES), words];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}
