mod guarded;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::history::Recorded;
use crate::registry::Peer;

/// A stack with the colors blue and green.
fn stack() -> &'static Stack {
    static STACK: LazyLock<Stack> = LazyLock::new(|| {
        let text = "stacks:
  deals:
    services:
      api: { rule: Host(`a.localhost`), servers: { blue: http://127.0.0.1:1, green: http://127.0.0.1:2 } }
";
        let files = vec![(PathBuf::from("bluegreen.yml"), text.to_owned())];
        let loaded = crate::config::parse(files, &|_| None).expect("a good config");
        loaded.config.stacks["deals"].clone()
    });
    &STACK
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn traffic(text: &str) -> Traffic {
    Traffic::parse(text.as_bytes(), &stack().colors).unwrap()
}

fn state(text: &str, since: i64, source: Source) -> StackState {
    StackState {
        traffic: traffic(text),
        since: at(since),
        by: "somebody".to_owned(),
        source,
    }
}

fn recorded(to: &str, since: i64) -> Recorded {
    Recorded {
        at: at(since),
        entry: Entry {
            at: at(since),
            from: String::new(),
            to: to.to_owned(),
            by: "history".to_owned(),
            why: String::new(),
        },
    }
}

fn peer(traffic: &str, since: Option<i64>) -> Peer {
    Peer {
        traffic: Ok(traffic.to_owned()),
        since: since.map(at),
    }
}

fn kept(traffic: &str, since: i64, default: bool) -> Kept {
    Kept {
        traffic: traffic.to_owned(),
        default,
        since: at(since),
        by: "disk".to_owned(),
    }
}

fn no_right() -> Unreadable {
    Unreadable("NOPERM".to_owned())
}

/// When the key is read.
const NOW: i64 = 1000;

/// What is known, as owned values.
#[derive(Clone, Debug)]
struct Case {
    reading: Reading,
    newest: Result<Option<Recorded>, Unreadable>,
    peers: Option<Result<Vec<Peer>, Unreadable>>,
    disk: Result<Option<Kept>, Unreadable>,
    known: Option<StackState>,
    answers_for: Duration,
    came_back: bool,
}

impl Case {
    /// A store that has nothing, and a provider that knows nothing.
    fn new() -> Self {
        Self {
            reading: Reading::Missing,
            newest: Ok(None),
            peers: Some(Ok(Vec::new())),
            disk: Ok(None),
            known: None,
            answers_for: Duration::ZERO,
            came_back: false,
        }
    }

    fn decide(&self) -> Decision {
        self.decide_for(stack(), None)
    }

    fn decide_for(&self, stack: &Stack, verdict: Option<&Verdict>) -> Decision {
        let key = KeyState {
            reading: self.reading.clone(),
            newest: self.newest.clone(),
            peers: self.peers.clone(),
            dead: None,
            at: at(NOW),
        };
        let facts = Facts {
            known: self.known.as_ref(),
            key: &key,
            disk: self.disk.as_ref().map(Option::as_ref),
            answers_for: self.answers_for,
            came_back: self.came_back,
            verdict,
        };
        decide(stack, facts)
    }

    /// What the key says, where that is a traffic value.
    fn told(&self) -> Option<Traffic> {
        match &self.reading {
            Reading::Value(value) => Traffic::parse(value, &stack().colors).ok(),
            _ => None,
        }
    }

    /// What is in force, or would be by the disk.
    fn here(&self) -> Option<StackState> {
        let disk = || on_disk(stack(), self.disk.as_ref().map(Option::as_ref)).ok()?;
        self.known.clone().or_else(disk)
    }

    /// All choices that somebody knows of, with when they were made.
    fn choices(&self) -> Vec<(Timestamp, Traffic)> {
        let parse = |text: &str| Traffic::parse(text.as_bytes(), &stack().colors).ok();
        let here = self.here().filter(|here| here.source != Source::Default);
        let mut choices: Vec<_> = here
            .iter()
            .map(|here| (here.since, here.traffic.clone()))
            .collect();
        if let Ok(Some(newest)) = &self.newest {
            choices.extend(parse(&newest.entry.to).map(|traffic| (newest.at, traffic)));
        }
        for peer in self.peers.iter().flatten().flatten() {
            choices.extend(
                peer.since
                    .zip(parse(peer.traffic.as_deref().unwrap_or_default())),
            );
        }
        choices
    }

    /// How many of those who would know can't be understood.
    fn silent(&self) -> usize {
        let bad =
            |text: &str| usize::from(Traffic::parse(text.as_bytes(), &stack().colors).is_err());
        let history = match &self.newest {
            Ok(newest) => newest.as_ref().map_or(0, |newest| bad(&newest.entry.to)),
            Err(_) => 1,
        };
        let peers = match &self.peers {
            Some(Ok(peers)) => peers
                .iter()
                .map(|peer| bad(peer.traffic.as_deref().unwrap_or_default()))
                .sum(),
            Some(Err(_)) => 1,
            None => 0,
        };
        let disk = match &self.disk {
            _ if self.known.is_some() => 0,
            Ok(kept) => kept.as_ref().map_or(0, |kept| bad(&kept.traffic)),
            Err(_) => 1,
        };
        history + peers + disk
    }

    /// What running providers serve that nobody has chosen, each once.
    fn unchosen(&self) -> BTreeSet<String> {
        let peers = self.peers.iter().flatten().flatten();
        let unchosen = peers.filter(|peer| peer.since.is_none());
        let parse = |text: &str| Traffic::parse(text.as_bytes(), &stack().colors).ok();
        unchosen
            .filter_map(|peer| parse(peer.traffic.as_deref().unwrap_or_default()))
            .map(|traffic| traffic.to_string())
            .collect()
    }

    /// Whether others may yet be heard of.
    fn is_early(&self) -> bool {
        let chosen_here = self
            .here()
            .is_some_and(|here| here.source != Source::Default);
        let alone = self.choices().len() == usize::from(chosen_here);
        let waits = self.answers_for < OTHERS_REPORT && (self.came_back || chosen_here);
        let nobody = matches!(&self.peers, Some(Ok(peers)) if peers.is_empty());
        self.known.is_none() && alone && (self.peers.is_none() || waits && nobody)
    }
}

/// Every combination of what the key, the history, the providers, the disk and this provider can say.
fn every_case() -> impl Iterator<Item = Case> {
    let value = |text: &str| Reading::Value(text.as_bytes().to_vec());
    let readings = [
        Reading::Missing,
        value("blue"),
        value(" green\n"),
        value("purple"),
        Reading::WrongType("a list".to_owned()),
    ];
    let newest = [
        Err(no_right()),
        Ok(None),
        Ok(Some(recorded("blue", 10))),
        Ok(Some(recorded("green", 30))),
        Ok(Some(recorded("gr\u{fffd}n", 20))),
        Ok(Some(recorded("", 20))),
    ];
    let peers = [
        None,
        Some(Err(no_right())),
        Some(Ok(vec![])),
        Some(Ok(vec![peer("green", Some(20))])),
        Some(Ok(vec![peer("blue", Some(40))])),
        Some(Ok(vec![peer("blue", Some(5)), peer("green", Some(20))])),
        Some(Ok(vec![peer("blue", None)])),
        Some(Ok(vec![peer("green", None)])),
        Some(Ok(vec![peer("green", None), peer("blue", None)])),
        Some(Ok(vec![peer("blue", None), peer("green", Some(20))])),
        Some(Ok(vec![peer("purple", Some(50))])),
    ];
    let disk = [
        Err(no_right()),
        Ok(None),
        Ok(Some(kept("blue", 10, false))),
        Ok(Some(kept("green", 30, false))),
        Ok(Some(kept("blue", 1, true))),
        Ok(Some(kept("purple", 15, false))),
    ];
    let known = [
        None,
        Some(state("blue", 10, Source::Store)),
        Some(state("green", 12, Source::Store)),
        Some(state("green", 15, Source::History)),
        Some(state("blue", 10, Source::Disk)),
        Some(state("green", 20, Source::Providers)),
        Some(state("blue", 1, Source::Default)),
        Some(state("green", 1, Source::Default)),
    ];
    let answers = [
        (Duration::from_millis(10), false),
        (Duration::from_millis(10), true),
        (Duration::from_secs(2), true),
    ];
    let mut cases = Vec::new();
    for reading in &readings {
        for newest in &newest {
            for peers in &peers {
                for disk in &disk {
                    for known in &known {
                        for (answers_for, came_back) in answers {
                            cases.push(Case {
                                reading: reading.clone(),
                                newest: newest.clone(),
                                peers: peers.clone(),
                                disk: disk.clone(),
                                known: known.clone(),
                                answers_for,
                                came_back,
                            });
                        }
                    }
                }
            }
        }
    }
    cases.into_iter()
}

#[test]
fn every_case_is_decided_by_the_rules() {
    let mut count = 0;
    for case in every_case() {
        obeys(&case);
        count += 1;
    }
    assert_eq!(count, 5 * 6 * 11 * 6 * 8 * 3);
}

/// The rules, each by itself.
#[track_caller]
fn obeys(case: &Case) {
    let decision = case.decide();
    let Decision {
        state,
        problem,
        unrecorded,
    } = &decision;

    // A valid value of the key moves the traffic, and is never a problem.
    if let Some(told) = case.told() {
        let state = state.as_ref().unwrap();
        assert_eq!(
            (&state.traffic, state.source),
            (&told, Source::Store),
            "{case:#?}\n{decision:#?}"
        );
        assert_eq!(problem, &None, "{case:#?}\n{decision:#?}");
        return;
    }
    assert_eq!(unrecorded, &None, "{case:#?}\n{decision:#?}");

    // What is known is never forgotten.
    let Some(state) = state else {
        assert_eq!(case.known, None, "{case:#?}\n{decision:#?}");
        assert!(
            case.choices().is_empty() || case.is_early(),
            "{case:#?}\n{decision:#?}"
        );
        // It is said why, unless others may be heard of in a moment.
        assert_eq!(
            problem.is_none(),
            case.is_early(),
            "{case:#?}\n{decision:#?}"
        );
        return;
    };

    assert!(!case.is_early(), "{case:#?}\n{decision:#?}");

    // Else the newest choice that anybody knows of; what is in force stands unless another is newer.
    let choices = case.choices();
    if let Some(newest) = choices.iter().map(|(since, _)| since).max() {
        if let Some(known) = &case.known
            && known.chosen_since() == Some(*newest)
        {
            assert_eq!(state, known, "{case:#?}\n{decision:#?}");
        }
        assert_eq!(state.since, *newest, "{case:#?}\n{decision:#?}");
        assert!(
            choices.contains(&(state.since, state.traffic.clone())),
            "{case:#?}\n{decision:#?}"
        );
        assert_ne!(state.source, Source::Default, "{case:#?}\n{decision:#?}");
        assert!(problem.is_some(), "{case:#?}\n{decision:#?}");
        return;
    }

    // Where nobody has chosen, what is here stays; where somebody can't be understood, nothing is made up.
    assert_eq!(state.source, Source::Default, "{case:#?}\n{decision:#?}");
    let beside = problem.as_ref().map_or(0, |problem| problem.beside.len());
    let disagree = usize::from(case.unchosen().len() > 1);
    assert_eq!(beside, case.silent() + disagree, "{case:#?}\n{decision:#?}");
    match case.here() {
        Some(here) => assert_eq!(*state, here, "{case:#?}\n{decision:#?}"),
        None => {
            assert_eq!(case.silent() + disagree, 0, "{case:#?}\n{decision:#?}");
            let mut unchosen = case.unchosen();
            let served = unchosen.pop_first();
            assert_eq!(
                state.traffic.to_string(),
                served.unwrap_or("blue".to_owned()),
                "{case:#?}\n{decision:#?}"
            );
        }
    }
    // A key that was never set is no problem.
    let never_set = case.reading == Reading::Missing && beside == 0;
    assert_eq!(problem.is_none(), never_set, "{case:#?}\n{decision:#?}");
}

#[test]
fn to_decide_again_changes_nothing() {
    for case in every_case() {
        let once = case.decide();
        let mut again = case.clone();
        again.known = once.state.clone();
        let twice = again.decide();
        assert_eq!(twice.state, once.state, "{case:#?}");
        assert_eq!(twice.unrecorded, None, "a change is told once: {case:#?}");
        // What is on disk is of no interest any more once something is in force.
        let beside = |decision: &Decision| {
            decision.problem.clone().map(|mut problem| {
                problem
                    .beside
                    .retain(|beside| !matches!(beside, Beside::Disk(_)));
                problem
            })
        };
        assert_eq!(beside(&twice), beside(&once), "{case:#?}");
    }
}

/// The cases that have a story.
#[test]
fn what_is_not_known_is_never_guessed() {
    let lost = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::new();
        change(&mut case);
        let decision = case.decide();
        let problem = decision.problem.map(|problem| problem.to_string());
        (
            decision
                .state
                .map(|state| (state.traffic.to_string(), state.source)),
            problem.unwrap_or_default(),
        )
    };
    let is = |color: &str, source| Some((color.to_owned(), source));

    assert_eq!(lost(&|_| ()), (is("blue", Source::Default), String::new()));

    let (state, problem) = lost(&|case| case.newest = Err(no_right()));
    assert_eq!(state, None);
    assert!(
        problem.contains("its history can't be read (NOPERM)"),
        "{problem}"
    );
    assert!(problem.contains("set the key"), "{problem}");

    let (state, problem) = lost(&|case| case.newest = Ok(Some(recorded("gr\u{fffd}n", 5))));
    assert_eq!(state, None);
    assert!(
        problem.contains("newest change in its history"),
        "{problem}"
    );

    let (state, problem) = lost(&|case| case.peers = Some(Err(no_right())));
    assert_eq!(state, None);
    assert!(
        problem.contains("what the providers serve can't be read"),
        "{problem}"
    );

    let (state, problem) = lost(&|case| case.disk = Err(no_right()));
    assert_eq!(state, None);
    assert!(problem.contains("on disk can't be read"), "{problem}");

    // What lives goes before a stale disk; of what lives the newest.
    let living = |case: &mut Case| {
        case.disk = Ok(Some(kept("blue", 10, false)));
        case.peers = Some(Ok(vec![peer("blue", Some(10)), peer("green", Some(20))]));
    };
    assert_eq!(lost(&living).0, is("green", Source::Providers));
    // Who has served from a stale disk follows them, too.
    let served = |case: &mut Case| {
        living(case);
        case.known = Some(state_from_disk());
    };
    assert_eq!(lost(&served).0, is("green", Source::Providers));
    // A disk that is newer than what the others know stands.
    let newer = |case: &mut Case| {
        case.disk = Ok(Some(kept("green", 30, false)));
        case.peers = Some(Ok(vec![peer("blue", Some(10))]));
    };
    assert_eq!(lost(&newer).0, is("green", Source::Disk));
    // Where the store has lost what the disk knows, others are given the time to say what they know.
    let alone = |case: &mut Case| case.disk = Ok(Some(kept("green", 30, false)));
    assert_eq!(lost(&alone), (None, String::new()));
    let later = |case: &mut Case| {
        alone(case);
        case.answers_for = OTHERS_REPORT;
    };
    assert_eq!(lost(&later).0, is("green", Source::Disk));
}

fn state_from_disk() -> StackState {
    state("blue", 10, Source::Disk)
}

#[test]
fn a_problem_that_is_over_is_gone() {
    let mut case = Case::new();
    case.known = Some(state("blue", 1, Source::Default));
    case.reading = Reading::Value(b"purple".to_vec());
    let garbage = case.decide();
    assert!(garbage.problem.is_some());
    case.known = garbage.state;
    case.reading = Reading::Missing;
    assert_eq!(case.decide().problem, None);

    let mut case = Case::new();
    case.peers = Some(Ok(vec![peer("blue", None), peer("green", None)]));
    assert!(case.decide().problem.is_some());
    case.peers = Some(Ok(vec![peer("green", None)]));
    let agreed = case.decide();
    assert_eq!(agreed.state.unwrap().traffic, traffic("green"));
    assert_eq!(agreed.problem, None);
}

#[test]
fn a_change_from_outside_is_told_with_what_was_before() {
    let from = |case: &Case| case.decide().unrecorded.map(|entry| entry.from);
    let mut case = Case::new();
    case.reading = Reading::Value(b"green".to_vec());
    // Nothing is known of before.
    assert_eq!(from(&case), None);
    case.newest = Ok(Some(recorded("blue", 5)));
    assert_eq!(from(&case).as_deref(), Some("blue"));
    case.newest = Ok(Some(recorded("green", 5)));
    assert_eq!(from(&case), None);
    // Set and set back while nobody ran.
    case.disk = Ok(Some(kept("green", 1, false)));
    case.newest = Ok(Some(recorded("blue", 5)));
    assert_eq!(from(&case).as_deref(), Some("blue"));
    // The order of the colors makes no other traffic.
    case.reading = Reading::Value(b"green:10,blue:90".to_vec());
    case.newest = Ok(Some(recorded("blue:90,green:10", 5)));
    let decision = case.decide();
    assert_eq!(decision.unrecorded, None);
    assert_eq!(decision.state.unwrap().by, "history");
    // By the store's clock.
    case.newest = Ok(None);
    case.disk = Ok(None);
    assert_eq!(case.decide().state.unwrap().since, at(NOW));
}

/// What the key told counts by when it told it.
#[test]
fn the_memory_of_a_key_that_is_gone_is_as_old_as_its_choice() {
    let gone = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::new();
        case.known = Some(state("blue", 10, Source::Store));
        change(&mut case);
        let state = case.decide().state.unwrap();
        (state.traffic.to_string(), state.source)
    };
    let stands = ("blue".to_owned(), Source::Store);
    // It was flushed, and all that is beside it; or what is beside it is as old, or older.
    assert_eq!(gone(&|_| ()), stands);
    assert_eq!(
        gone(&|case| case.newest = Ok(Some(recorded("green", 10)))),
        stands
    );
    let garbage = |case: &mut Case| {
        case.reading = Reading::Value(b"gren".to_vec());
        case.newest = Ok(Some(recorded("green", 9)));
        case.peers = Some(Ok(vec![peer("green", Some(9)), peer("green", None)]));
    };
    assert_eq!(gone(&garbage), stands);
    // This provider was stopped or cut off while the key was set, and found it gone.
    assert_eq!(
        gone(&|case| case.newest = Ok(Some(recorded("green", 11)))),
        ("green".to_owned(), Source::History)
    );
    assert_eq!(
        gone(&|case| case.peers = Some(Ok(vec![peer("green", Some(11))]))),
        ("green".to_owned(), Source::Providers)
    );
}

#[test]
fn what_the_key_tells_is_newer_than_what_it_takes_the_place_of() {
    let since = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::new();
        case.reading = Reading::Value(b"blue".to_vec());
        change(&mut case);
        let Decision {
            state, unrecorded, ..
        } = case.decide();
        let from = unrecorded.map(|entry| entry.from).unwrap_or_default();
        (state.unwrap().since, from)
    };
    // Set to green and set back between two readings.
    let back = |case: &mut Case| {
        case.known = Some(state("blue", 10, Source::Store));
        case.newest = Ok(Some(recorded("green", 20)));
    };
    assert_eq!(since(&back), (at(NOW), "green".to_owned()));
    // Set without the history, to what that had last: it says nothing of this time.
    let again = |case: &mut Case| {
        case.known = Some(state("green", 20, Source::Store));
        case.newest = Ok(Some(recorded("blue", 5)));
    };
    assert_eq!(since(&again).0, at(20));
    // The store's clock was set back.
    let set_back = |case: &mut Case| case.known = Some(state("green", NOW + 60, Source::Store));
    assert_eq!(since(&set_back), (at(NOW + 60), "green".to_owned()));
    // No entry of another form is a change.
    let form = |case: &mut Case| {
        case.known = Some(state("blue", 10, Source::Store));
        case.newest = Ok(Some(recorded("purple", 20)));
    };
    assert_eq!(since(&form), (at(10), String::new()));
}

/// One report that can't be read hides none of the others; where they know of no choice, nothing is known.
#[test]
fn a_report_that_cannot_be_read_hides_no_other() {
    let unreadable = || Peer {
        traffic: Err("the report of provider `x` can't be read".to_owned()),
        since: None,
    };
    let mut case = Case::new();
    case.peers = Some(Ok(vec![unreadable(), peer("green", Some(10))]));
    let Decision { state, problem, .. } = case.decide();
    assert_eq!(state.unwrap().traffic.to_string(), "green");
    assert!(problem.unwrap().to_string().contains("can't be read"));
    case.peers = Some(Ok(vec![unreadable()]));
    assert_eq!(case.decide().state, None);
}

fn any_traffic() -> impl Strategy<Value = &'static str> {
    select(&[
        "blue",
        "green",
        "blue:1,green:1",
        "green:9,blue:1",
        "purple",
        "",
        "\u{fffd}",
    ])
}

fn any_peers() -> impl Strategy<Value = Vec<Peer>> {
    let peer =
        (any_traffic(), proptest::option::of(0..50i64)).prop_map(|(text, since)| peer(text, since));
    proptest::collection::vec(peer, 0..4)
}

fn any_case() -> impl Strategy<Value = Case> {
    let reading = prop_oneof![
        2 => Just(Reading::Missing),
        1 => Just(Reading::WrongType("a list".to_owned())),
        1 => Just(Reading::TooLong(300 << 20)),
        2 => any_traffic().prop_map(|text| Reading::Value(text.as_bytes().to_vec())),
        1 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(Reading::Value),
    ];
    let newest = prop_oneof![
        1 => Just(Err(no_right())),
        2 => Just(Ok(None)),
        4 => (any_traffic(), 0..50i64).prop_map(|(text, since)| Ok(Some(recorded(text, since)))),
    ];
    let peers = prop_oneof![
        1 => Just(None),
        1 => Just(Some(Err(no_right()))),
        4 => any_peers().prop_map(|peers| Some(Ok(peers))),
    ];
    let disk = prop_oneof![
        1 => Just(Err(no_right())),
        2 => Just(Ok(None)),
        4 => (any_traffic(), 0..50i64, any::<bool>())
            .prop_map(|(text, since, default)| Ok(Some(kept(text, since, default)))),
    ];
    let source = select(&[
        Source::Store,
        Source::History,
        Source::Disk,
        Source::Providers,
        Source::Default,
    ]);
    let known = (
        select(&["blue", "green", "blue:1,green:1"]),
        0..50i64,
        source,
    );
    let known =
        proptest::option::of(known.prop_map(|(text, since, source)| state(text, since, source)));
    let answers = (0..3000u64, any::<bool>());
    (reading, newest, peers, disk, known, answers).prop_map(
        |(reading, newest, peers, disk, known, (millis, came_back))| Case {
            reading,
            newest,
            peers,
            disk,
            known,
            answers_for: Duration::from_millis(millis),
            came_back,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_case_is_decided_by_the_rules(case in any_case()) {
        obeys(&case);
    }

    /// Two that know different things, and read what each other says, end with the same choice.
    #[test]
    fn those_who_hear_of_each_other_agree(one in any_case(), other in any_case()) {
        let mut both = [one, other];
        both[1].reading = both[0].reading.clone();
        both[1].newest = both[0].newest.clone();
        for case in &mut both {
            case.answers_for = OTHERS_REPORT;
            case.peers = Some(Ok(Vec::new()));
        }
        for _ in 0..3 {
            let states = both.each_ref().map(|case| case.decide().state);
            let peers = states.iter().flatten().map(|state| Peer {
                traffic: Ok(state.traffic.to_string()),
                since: state.chosen_since(),
            });
            let peers: Vec<_> = peers.collect();
            for (case, state) in both.iter_mut().zip(states) {
                case.known = state;
                case.peers = Some(Ok(peers.clone()));
            }
        }
        // A value of the key is known to each by itself, since when it has seen it.
        let told = both[0].told().is_some();
        let [one, other] = both.map(|case| case.decide().state);
        let since = |state: Option<StackState>| state.and_then(|state| state.chosen_since());
        prop_assert!(told || since(one) == since(other));
    }

    /// A key that is gone right after it told a traffic moves nothing: whatever the history says, whether or not that is
    /// there any more, and though this provider's own report is the one before.
    #[test]
    fn what_the_key_told_last_outlasts_it(case in any_case(), value in select(&["blue", "green"]), flushed in any::<bool>()) {
        let mut case = case;
        case.reading = Reading::Value(value.into());
        let told = case.decide().state;
        let reported = case.known.as_ref().map(|known| peer(&known.traffic.to_string(), known.chosen_since().map(|since| since.as_second())));
        case.peers = Some(Ok(if flushed { Vec::new() } else { reported.into_iter().collect() }));
        if flushed {
            case.newest = Ok(None);
        }
        case.known = told.clone();
        case.reading = Reading::Missing;
        prop_assert_eq!(case.decide().state, told);
    }
}
