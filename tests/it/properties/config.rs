//! The config file: whatever it holds, it is taken and renders, or is refused with places that there are.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bluegreen::config::{self, Loaded, Place, Report};
use bluegreen::document::render;
use bluegreen::traffic::Traffic;
use proptest::prelude::*;
use proptest::sample::Index;

use super::changes::{Change, EXAMPLE, changed, soup};
use super::holds;

/// A case takes a millisecond or two.
const CASES: u32 = 1_000;

/// A case starts a process.
const PROCESSES: u32 = 25;

/// For what is read in milliseconds: nothing that a file holds takes it long.
const SOON: Duration = Duration::from_secs(20);

/// What a process may have of address space, in kB; `ulimit -v`.
const MEMORY: u32 = 500_000;

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
