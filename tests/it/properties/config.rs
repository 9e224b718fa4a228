//! The config file: whatever it holds, it is taken and renders, or is refused with places that there are.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bluegreen::config::{self, Loaded, Place, Report};
use bluegreen::document::render;
use bluegreen::traffic::Traffic;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::configs::configs;
use super::holds;
use crate::document::RICH;

/// A case takes a millisecond or two.
const CASES: u32 = 1_000;

/// A case starts a process.
const PROCESSES: u32 = 25;

/// For what is read in milliseconds: nothing that a file holds takes it long.
const SOON: Duration = Duration::from_secs(20);

/// What a process may have of address space, in kB; `ulimit -v`.
const MEMORY: u32 = 500_000;

const EXAMPLE: &str = include_str!("../../../examples/bluegreen.yml");

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
enum Change {
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
    fn apply(&self, text: &str) -> String {
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

/// A few lines that unfold to nine to the power of their number.
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
fn changed() -> impl Strategy<Value = String> {
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
fn soup() -> impl Strategy<Value = String> {
    let words = select(&[
        "stacks", "services", "s", "rule", "servers", "blue", "traefik", "http", "colors",
    ]);
    let piece = prop_oneof![select(&ODD), select(&VALUES), words];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A line and a column that the text has; the end of a line, and of the text, is a place too.
fn assert_there(place: &Place, text: &str) {
    let (Some(line), Some(column)) = (place.line, place.column) else {
        assert!(place.line.is_none() && place.column.is_none(), "{place:?}");
        return;
    };
    let text = text.replace("\r\n", "\n");
    let lines: Vec<_> = text.split(['\n', '\r']).collect();
    assert!(
        (1..=lines.len()).contains(&line),
        "{place:?} of {} lines",
        lines.len()
    );
    let length = lines[line - 1].chars().count();
    // The end of a line is a place, too.
    assert!(
        (1..=length + 1).contains(&column),
        "{place:?} of {length} columns"
    );
}

fn assert_report(report: &Report, text: &str) {
    for mistake in report.mistakes() {
        assert_there(&mistake.place, text);
        mistake
            .other
            .iter()
            .for_each(|other| assert_there(other, text));
    }
    assert!(report.render(true).len() < 1_000_000);
    assert!(serde_json::to_string(report).unwrap().len() >= 2);
}

/// It is taken and renders with each color, or it is refused and said why.
fn assert_judged(result: Result<Loaded, Report>, text: &str) {
    match result {
        Ok(Loaded { config, warnings }) => {
            assert_report(&warnings, text);
            for (name, stack) in &config.stacks {
                for color in &stack.colors {
                    let traffic = [(name.clone(), Traffic::all_to(color.clone()))].into();
                    let document = render(&config, &traffic, None);
                    let document: serde_json::Value =
                        serde_json::from_slice(&document.bytes).unwrap();
                    let routers = document["http"]["routers"].as_object().unwrap();
                    assert!(!routers.is_empty());
                }
            }
        }
        Err(report) => {
            assert!(!report.is_empty(), "refused, and not said why");
            assert_report(&report, text);
        }
    }
}

fn judge(text: &str) {
    let began = Instant::now();
    let files = vec![("bluegreen.yml".into(), text.to_owned())];
    assert_judged(config::parse(files, &|_| None), text);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_changed_config_is_taken_or_refused_with_places_that_there_are() {
    holds(CASES, changed(), |text| judge(&text));
}

#[test]
fn any_text_is_a_config_or_refused_with_places_that_there_are() {
    holds(CASES, prop_oneof![".*", "\\PC*", soup()], |text| {
        judge(&text)
    });
}

/// The bytes of a file need not be text.
#[test]
fn any_bytes_in_a_file_are_a_config_or_refused() {
    let junk = prop::collection::vec(any::<u8>(), 0..4);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bluegreen.yml");
    holds(
        CASES / 4,
        (changed(), any::<Index>(), junk),
        |(text, at, junk)| {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, junk);
            std::fs::write(&file, &bytes).unwrap();
            // Without the byte order mark, as it is read.
            let text = String::from_utf8_lossy(&bytes);
            assert_judged(config::load(&file, &|_| None), &text);
        },
    );
}

fn check(file: &Path) -> std::process::Output {
    let script = format!("ulimit -v {MEMORY}; exec \"$0\" check --config \"$1\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_bluegreen")]);
    command.arg(file).env_clear().output().unwrap()
}

#[test]
fn no_config_takes_much_memory_or_ends_the_program_in_another_way_than_promised() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bluegreen.yml");
    let laughs = (any::<Index>(), 5..200_usize)
        .prop_map(|(at, depth)| Change::Laughs(at, depth).apply(EXAMPLE));
    holds(PROCESSES, prop_oneof![laughs, changed()], |text| {
        std::fs::write(&file, &text).unwrap();
        let output = check(&file);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(0 | 2)),
            "{}: {told}",
            output.status
        );
        assert!(!told.contains("panicked"), "{told}");
    });
}
