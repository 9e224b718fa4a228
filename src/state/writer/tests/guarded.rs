//! A change that the guard holds back, and what becomes of it.

use super::*;
use crate::history::GUARD;
use crate::state::Unrecorded;
use crate::state::guard::{Unwell, Verdict};

fn guarded() -> Desk {
    let mut config = config(ONE);
    let stack = config.stacks.get_mut("deals").unwrap();
    stack.guard = Some(crate::config::Guard {
        health: true,
        analysis: false,
        within: Duration::from_secs(2),
    });
    let mut desk = Desk::new(config);
    desk.read(&[("active", says(Some("blue")))]);
    desk
}

impl Desk {
    /// What the guard is to look at.
    fn held(&self) -> Vec<String> {
        let held = self.writer.held();
        let held = held.borrow();
        held.iter()
            .map(|(stack, held)| format!("{stack}={}", held.traffic))
            .collect()
    }

    /// The guard has seen this.
    fn seen(&mut self, traffic: &str, well: bool) -> Vec<Unrecorded> {
        let colors = ["blue", "green"].map(|color| color.parse().unwrap());
        let unwell = Unwell {
            what: "api http://127.0.0.1:1".to_owned(),
            why: "refused".to_owned(),
            more: 2,
        };
        let verdict = Verdict {
            traffic: crate::traffic::Traffic::parse(traffic.as_bytes(), &colors).unwrap(),
            unwell: (!well).then_some(unwell),
        };
        self.writer.on_verdict("deals", verdict, self.now)
    }

    fn refusals(&self) -> u64 {
        let counters = &self.writer.state.counters;
        counters.guard_refusals.load(Ordering::Relaxed)
    }
}

#[test]
fn what_the_guard_refuses_is_told_once_and_followed_once_it_passes() {
    let mut desk = guarded();
    assert!(desk.held().is_empty());
    desk.read(&[("active", says(Some("green")))]);
    assert_eq!(
        (&*desk.serves(), desk.held()),
        ("deals=blue", vec!["deals=green".to_owned()])
    );
    let revision = desk
        .writer
        .state
        .serving()
        .document
        .clone()
        .unwrap()
        .revision;

    let told = desk.seen("green", false);
    let [Unrecorded::Refusal(refusal)] = told.as_slice() else {
        panic!("{told:?}");
    };
    let entry = &refusal.change.entry;
    assert_eq!(
        (&*entry.from, &*entry.to, &*entry.by),
        ("blue", "blue", GUARD)
    );
    assert!(
        entry.why.starts_with("refused by the guard: `green`: api"),
        "{}",
        entry.why
    );
    // Again and again, and the key says so still.
    for _ in 0..3 {
        assert!(desk.seen("green", false).is_empty());
        desk.read(&[("active", says(Some("green")))]);
    }
    assert_eq!((&*desk.serves(), desk.refusals()), ("deals=blue", 1));
    assert_eq!(
        desk.writer
            .state
            .serving()
            .document
            .as_ref()
            .unwrap()
            .revision,
        revision
    );
    let problem = desk.writer.state.serving().problems["deals"].to_string();
    assert!(problem.starts_with("refused by the guard: "), "{problem}");

    let told = desk.seen("green", true);
    assert!(
        matches!(told.as_slice(), [Unrecorded::Change(change)] if change.entry.to == "green"),
        "{told:?}"
    );
    assert_eq!((&*desk.serves(), desk.held()), ("deals=green", Vec::new()));
    assert!(desk.writer.state.serving().problems.is_empty());
}

#[test]
fn a_key_that_is_set_back_calls_the_guard_off() {
    let mut desk = guarded();
    desk.read(&[("active", says(Some("green")))]);
    desk.read(&[("active", says(Some("blue")))]);
    assert!(desk.held().is_empty());
    // What was seen comes too late, whatever it is.
    assert!(desk.seen("green", true).is_empty());
    assert_eq!(desk.serves(), "deals=blue");
    // Another one is looked at anew, and refused anew.
    for refusals in [1, 2] {
        desk.read(&[("active", says(Some("green")))]);
        assert_eq!(desk.seen("green", false).len(), 1);
        assert_eq!(desk.refusals(), refusals);
        desk.read(&[("active", says(Some("blue")))]);
    }
}

#[test]
fn a_command_is_not_held_up_though_the_guard_has_refused_the_same() {
    let mut desk = guarded();
    desk.read(&[("active", says(Some("green")))]);
    desk.seen("green", false);
    let mut flipped = says(Some("green"));
    let at = Timestamp::from_second(10).unwrap();
    flipped.newest = Ok(Some(Recorded {
        at,
        entry: Entry {
            at,
            from: "blue".to_owned(),
            to: "green".to_owned(),
            by: "anna".to_owned(),
            why: String::new(),
        },
    }));
    desk.read(&[("active", flipped)]);
    assert_eq!((&*desk.serves(), desk.held()), ("deals=green", Vec::new()));
}
