//! The same cases for a stack that has a guard.

use super::*;
use crate::config::Guard;
use crate::state::guard::Unwell;

fn guarded() -> &'static Stack {
    static STACK: LazyLock<Stack> = LazyLock::new(|| {
        let mut stack = stack().clone();
        let within = Duration::from_secs(2);
        stack.guard = Some(Guard {
            health: true,
            analysis: false,
            within,
        });
        stack
    });
    &STACK
}

fn passed(text: &str) -> Verdict {
    Verdict {
        traffic: traffic(text),
        unwell: None,
    }
}

fn refused(text: &str) -> Verdict {
    let unwell = Unwell {
        what: "api http://127.0.0.1:2".to_owned(),
        why: "connection refused".to_owned(),
        more: 0,
    };
    Verdict {
        unwell: Some(unwell),
        ..passed(text)
    }
}

/// What is held back, and what stands; none where the key is followed.
fn held(decision: &Decision) -> Option<(String, String)> {
    match &decision.problem {
        Some(Problem {
            key: Key::Held(held, _),
            ..
        }) => Some((held.traffic.to_string(), held.stands.to_string())),
        _ => None,
    }
}

#[test]
fn every_case_is_held_back_or_decided_as_without_a_guard() {
    let verdicts = [
        None,
        Some(passed("blue")),
        Some(passed("green")),
        Some(refused("blue")),
        Some(refused("green")),
    ];
    let mut count = [0; 3];
    for case in every_case() {
        let without = case.decide();
        for verdict in &verdicts {
            let decision = case.decide_for(guarded(), verdict.as_ref());
            count[obeys(&case, verdict.as_ref(), &without, &decision)] += 1;
        }
    }
    assert!(count.iter().all(|count| *count > 500), "{count:?}");
}

/// The rules; gives which of the three it was: followed, held back, or waiting for others.
#[track_caller]
fn obeys(case: &Case, verdict: Option<&Verdict>, without: &Decision, decision: &Decision) -> usize {
    let shown = || format!("{case:#?}\n{verdict:#?}\n{decision:#?}");
    let Some(told) = case.told() else {
        // A guard has no business with a key that tells nothing.
        assert_eq!(decision, without, "{}", shown());
        return 0;
    };
    let seen = verdict.filter(|verdict| verdict.traffic == told);
    let newest = case.newest.as_ref().ok().and_then(Option::as_ref);
    let newest = newest.filter(|newest| newest.entry.to.trim() == told.to_string());
    let Some(state) = &decision.state else {
        // Nothing is made up where others may be heard of in a moment.
        assert!(case.known.is_none() && case.is_early(), "{}", shown());
        assert_eq!(decision.problem, None, "{}", shown());
        return 2;
    };
    let Some((what, stands)) = held(decision) else {
        assert_eq!(decision, without, "{}", shown());
        // Not without a reason: it passed, somebody has verified it, it is what stands, or nothing else is known.
        let passed = seen.is_some_and(|seen| seen.unwell.is_none());
        let stood = case.here().is_some_and(|here| here.traffic == told);
        let served = case.choices().iter().any(|(_, traffic)| *traffic == told);
        let unchosen = case.unchosen();
        let unknown = case.here().is_none()
            && case.choices().is_empty()
            && (unchosen.len() != 1 || case.silent() > 0);
        let alike = unchosen.contains(&told.to_string());
        assert!(
            passed || newest.is_some() || stood || served || unknown || alike,
            "{}",
            shown()
        );
        return 0;
    };
    assert_eq!(
        (what, stands),
        (told.to_string(), state.traffic.to_string())
    );
    assert_ne!(state.traffic, told, "{}", shown());
    assert_eq!(decision.unrecorded, None, "{}", shown());
    assert!(seen.is_none_or(|seen| seen.unwell.is_some()), "{}", shown());
    // A command that is as new as what stands is not held up.
    let since = state.chosen_since();
    assert!(
        newest.is_none_or(|newest| since.is_some_and(|since| newest.at < since)),
        "{}",
        shown()
    );
    // What stands is what is in force, or a newer choice.
    let choices = case.choices();
    match since {
        Some(since) => {
            assert!(
                choices.contains(&(since, state.traffic.clone())),
                "{}",
                shown()
            );
            assert!(
                choices.iter().all(|(other, _)| *other <= since),
                "{}",
                shown()
            );
        }
        None => assert!(choices.is_empty(), "{}", shown()),
    }
    1
}

#[test]
fn to_decide_again_changes_nothing() {
    for case in every_case() {
        for verdict in [None, Some(refused("blue")), Some(refused("green"))] {
            let once = case.decide_for(guarded(), verdict.as_ref());
            let mut again = case.clone();
            again.known = once.state.clone();
            let twice = again.decide_for(guarded(), verdict.as_ref());
            if held(&once).is_some() {
                assert_eq!(
                    (&twice.state, held(&twice)),
                    (&once.state, held(&once)),
                    "{case:#?}"
                );
            }
        }
    }
}

/// The cases that have a story.
#[test]
fn a_bare_set_waits_for_the_guard_and_nothing_else_does() {
    let set = |change: &dyn Fn(&mut Case), verdict: Option<Verdict>| {
        let mut case = Case::new();
        case.reading = Reading::Value(b"green\n".to_vec());
        case.known = Some(state("blue", 20, Source::Store));
        case.newest = Ok(Some(recorded("blue", 20)));
        change(&mut case);
        let decision = case.decide_for(guarded(), verdict.as_ref());
        let traffic = decision.state.as_ref().unwrap().traffic.to_string();
        let problem = decision.problem.as_ref().map(ToString::to_string);
        (traffic, problem.unwrap_or_default(), decision.unrecorded)
    };

    let (traffic, problem, unrecorded) = set(&|_| (), None);
    assert_eq!((&*traffic, unrecorded), ("blue", None));
    assert!(
        problem.contains("until it has seen the servers"),
        "{problem}"
    );

    let (traffic, problem, unrecorded) = set(&|_| (), Some(refused("green")));
    assert_eq!((&*traffic, unrecorded), ("blue", None));
    assert!(
        problem.starts_with("refused by the guard: api http://127.0.0.1:2"),
        "{problem}"
    );
    assert!(problem.contains("connection refused"), "{problem}");

    let (traffic, problem, unrecorded) = set(&|_| (), Some(passed("green")));
    assert_eq!((&*traffic, &*problem), ("green", ""));
    assert_eq!(unrecorded.unwrap().by, OUTSIDE);

    // What was seen of another traffic tells nothing of this one.
    assert_eq!(set(&|_| (), Some(passed("blue:1,green:1"))).0, "blue");
    // A command has verified it, or another provider has let it pass: the history names it.
    let command = |case: &mut Case| case.newest = Ok(Some(recorded("green", 30)));
    assert_eq!(set(&command, Some(refused("green"))).0, "green");
    // In the same millisecond, too.
    let at_once = |case: &mut Case| case.newest = Ok(Some(recorded("green", 20)));
    assert_eq!(set(&at_once, None).0, "green");
    // One that was before what stands is no command of now.
    let former = |case: &mut Case| case.newest = Ok(Some(recorded("green", 10)));
    assert_eq!(set(&former, None).0, "blue");
    // Another provider has let it pass, and could not write the history.
    let peer_passed = |case: &mut Case| case.peers = Some(Ok(vec![peer("green", Some(30))]));
    assert_eq!(set(&peer_passed, Some(refused("green"))).0, "green");
    // Whether a command has done it can't be read.
    let unreadable = |case: &mut Case| case.newest = Err(no_right());
    assert_eq!(set(&unreadable, None).0, "blue");
    // No color gets more.
    let as_it_is = |case: &mut Case| case.reading = Reading::Value(b"blue".to_vec());
    assert_eq!(set(&as_it_is, None).1, "");
    // One that starts keeps what was served before, by the disk, by the history or by the other providers.
    let from_disk = |case: &mut Case| {
        case.known = None;
        case.newest = Ok(None);
        case.disk = Ok(Some(kept("blue", 10, false)));
        case.answers_for = OTHERS_REPORT;
    };
    assert_eq!(set(&from_disk, None).0, "blue");
    let from_history = |case: &mut Case| case.known = None;
    assert_eq!(set(&from_history, None).0, "blue");
    let from_peers = |case: &mut Case| {
        case.known = None;
        case.newest = Ok(None);
        case.peers = Some(Ok(vec![peer("blue", None)]));
    };
    assert_eq!(set(&from_peers, None).0, "blue");
    // Where nothing else is known, nothing could stand.
    let new = |case: &mut Case| {
        case.known = None;
        case.newest = Ok(None);
    };
    assert_eq!(set(&new, Some(refused("green"))).0, "green");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_case_is_held_back_or_decided_as_without_a_guard(case in any_case(), about in select(&["blue", "green", "blue:1,green:1"]), well in any::<bool>()) {
        let verdict = if well { passed(about) } else { refused(about) };
        let without = case.decide();
        let decision = case.decide_for(guarded(), Some(&verdict));
        if case.told().is_none() {
            prop_assert_eq!(&decision, &without);
        }
        let follows = held(&decision).is_none() && decision.state.is_some();
        prop_assert!(!follows || decision == without, "{:#?}", decision);
    }
}
