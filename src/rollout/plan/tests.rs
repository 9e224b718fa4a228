//! The plan over every stage and everything that can happen in it.

use jiff::ToSpan;

use super::*;
use crate::rollout::outcome::Proof;
use crate::rollout::request::Request;

/// The stages that a runner can be at.
const STAGES: [Stage; 11] = [
    Stage::Verify,
    Stage::Approve,
    Stage::Before,
    Stage::Freeze,
    Stage::Confirm,
    Stage::Production,
    Stage::After,
    Stage::Back,
    Stage::ConfirmBack,
    Stage::BackHooks,
    Stage::Ended,
];

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn request(kind: Kind, steps: &[&str]) -> Request {
    Request {
        kind,
        steps: steps.iter().map(ToString::to_string).collect(),
        interval: Duration::from_secs(120),
        bake: Duration::from_secs(60),
        timeout: Duration::from_secs(30),
        verify: true,
        wait: true,
        go_back: true,
        without_provider: kind == Kind::Rollback,
        override_freeze: false,
    }
}

fn record(kind: Kind, steps: &[&str]) -> Record {
    let request = request(kind, steps);
    let blue = Some("blue".to_owned());
    Record::new(
        "deals",
        request,
        "ann@host".to_owned(),
        String::new(),
        blue,
        now(),
    )
}

/// A step that is done.
fn step(traffic: &str) -> StepDone {
    StepDone {
        traffic: traffic.to_owned(),
        at: now(),
        confirmed: None,
        measured: Vec::new(),
    }
}

/// A flip at a stage, with what it has done by then.
fn flip_at(stage: Stage) -> Record {
    let mut record = record(Kind::Flip, &["green"]);
    record.stage = stage;
    let before_the_set = [Stage::Verify, Stage::Approve, Stage::Before, Stage::Freeze];
    if !before_the_set.contains(&stage) {
        record.traffic = Some("green".to_owned());
        record.done.push(step("green"));
    }
    if [Stage::Back, Stage::ConfirmBack, Stage::BackHooks].contains(&stage) {
        record.cause = Some(fails());
    }
    if [Stage::ConfirmBack, Stage::BackHooks].contains(&stage) {
        record.traffic = record.from.clone();
    }
    if stage == Stage::BackHooks {
        record.way_back = Some(WayBack::Confirmed { others: false });
    }
    if stage == Stage::Ended {
        record.end(End::Done, None, None, now());
    }
    record
}

fn fails() -> Cause {
    Cause::ProductionFails {
        traffic: "green".to_owned(),
        wrong: "answer api".to_owned(),
    }
}

fn late() -> Vec<Late> {
    vec![Late {
        name: "edge-1".to_owned(),
        why: "has not fetched it".to_owned(),
    }]
}

fn wish(what: Want) -> Happened {
    Happened::Wanted(Wish {
        what,
        by: "bob@host".to_owned(),
        at: now(),
    })
}

fn confirmed() -> Happened {
    let names = vec!["edge-1".to_owned()];
    Happened::Confirmed(Confirmed::new(names, Proof::Everywhere, Duration::ZERO))
}

/// Where the engine says that an operator's interruption came.
fn at(stage: Stage) -> At {
    match stage {
        Stage::Verify => At::Verify {
            color: "green".to_owned(),
        },
        Stage::Approve | Stage::Before | Stage::Freeze => At::Gate,
        Stage::Confirm => At::Confirm,
        _ => At::Production,
    }
}

/// What a record and an act amount to, in a line of the table below.
fn line(record: &Record, act: Option<&Act>) -> String {
    let act = act.map_or_else(|| "goes on".to_owned(), |act| format!("{act:?}"));
    let act = act.split('(').next().unwrap_or_default().to_owned();
    let outcome = record.outcome.as_ref().map(|outcome| {
        let way = outcome.way_back.as_ref().map(|way| format!("{way:?}"));
        let way = way.map(|way| way.split(' ').next().unwrap_or_default().to_owned());
        let way = way.map(|way| format!(", {way}")).unwrap_or_default();
        format!(": {:?}, traffic {:?}{way}", outcome.end, outcome.effect)
    });
    let paused = if record.paused.is_some() {
        ", paused"
    } else {
        ""
    };
    format!("{act}{}{paused}", outcome.unwrap_or_default())
}

/// Every stage of a flip that its runner can be at × everything that can come from outside.
#[test]
fn every_fault_at_every_stage_leads_where_the_table_says() {
    let faults: [(&str, Happened); 7] = [
        ("interrupted", Happened::Interrupted(At::Begin, Vec::new())),
        ("somebody's SET", Happened::Moved("`blue`".to_owned())),
        ("pause", wish(Want::Pause)),
        ("resume", wish(Want::Resume)),
        ("abort", wish(Want::Abort)),
        ("store lost", Happened::StoreLost("gone".to_owned())),
        ("late", Happened::Late(late())),
    ];
    let mut table = String::new();
    for stage in STAGES {
        for (name, fault) in &faults {
            let mut record = flip_at(stage);
            let before = record.clone();
            let happens_here = stage == Stage::Confirm || !["late", "store lost"].contains(name);
            if !happens_here {
                continue;
            }
            let fault = match fault {
                Happened::Interrupted(..) => Happened::Interrupted(at(stage), Vec::new()),
                fault => fault.clone(),
            };
            let act = next(&mut record, fault, &Gates::default(), now());
            if act.is_none() && record.paused.is_none() {
                assert_eq!(
                    record, before,
                    "{stage:?} × {name}: what is ignored changes nothing"
                );
            }
            let line = line(&record, act.as_ref());
            table += &format!("{:<12} {name:<15} {line}\n", format!("{stage:?}"));
        }
    }
    let expected = include_str!("table.txt");
    assert!(table == expected, "the table is now:\n{table}");
}

/// Whoever finds a rollout without a runner knows by its stage alone what to do.
#[test]
fn whoever_carries_it_on_does_what_its_stage_says() {
    for (stage, act) in [
        (Stage::Verify, Act::Verify),
        (Stage::Approve, Act::AwaitApproval),
        (Stage::Before, Act::Hooks(Moment::Before)),
        (Stage::Freeze, Act::Set),
        // The deadline was long ago: the instances get a while all the same, and production is watched for as long.
        (Stage::Confirm, Act::Confirm(now() + GRACE)),
        (Stage::Production, Act::Watch(now() + GRACE)),
        (Stage::After, Act::Hooks(Moment::After)),
        (Stage::Back, Act::SetBack),
        (Stage::ConfirmBack, Act::ConfirmBack(now() + GRACE)),
        (Stage::BackHooks, Act::Hooks(Moment::Back)),
        (Stage::Ended, Act::End),
    ] {
        let mut record = flip_at(stage);
        assert_eq!(
            carry_on(&mut record, &Gates::default(), now()),
            act,
            "{stage:?}"
        );
    }
    let mut up = record(Kind::Deploy, &["green"]);
    up.stage = Stage::Up;
    assert_eq!(carry_on(&mut up, &Gates::default(), now()), Act::End);
    assert_eq!(up.outcome.unwrap().cause, Some(Cause::Abandoned));
}

/// Runs a rollout through, as long as all is well; gives the acts.
fn run(record: &mut Record, gates: &Gates) -> Vec<Act> {
    let mut now = now();
    let mut acts = vec![begin(record, gates, now)];
    while let Some(act) = acts.last().filter(|act| **act != Act::End) {
        now += 1.second();
        let happened = match act {
            Act::Verify => Happened::Ready,
            Act::AwaitApproval => wish(Want::Resume),
            Act::Hooks(_) => Happened::HooksPassed,
            Act::Set => Happened::Set,
            Act::Confirm(_) => confirmed(),
            Act::Watch(until) => {
                now = now.max(*until);
                Happened::Passed(Vec::new())
            }
            act => panic!("{act:?}"),
        };
        let act = next(record, happened, gates, now);
        acts.push(act.expect("it leads on"));
    }
    acts
}

#[test]
fn a_flip_is_verified_set_confirmed_and_watched() {
    let mut flip = record(Kind::Flip, &["green"]);
    let acts = run(&mut flip, &Gates::default());
    let at = |seconds: i64| now() + seconds.seconds();
    let expected = [
        Act::Verify,
        Act::Hooks(Moment::Before),
        Act::Set,
        Act::Confirm(at(33)),
        Act::Watch(at(64)),
        Act::Hooks(Moment::After),
        Act::End,
    ];
    assert_eq!(acts, expected);
    let outcome = flip.outcome.unwrap();
    assert_eq!((outcome.end, outcome.effect), (End::Done, Effect::Changed));
    assert!(outcome.confirmed.is_some());
    assert_eq!(flip.traffic.as_deref(), Some("green"));
}

#[test]
fn a_ramp_verifies_before_each_step_and_waits_after_each() {
    let steps = ["blue:95,green:5", "blue:50,green:50", "green"];
    let mut ramp = record(Kind::Ramp, &steps);
    let gates = Gates {
        approve: true,
        frozen: None,
    };
    let acts = run(&mut ramp, &gates);
    let approvals = acts.iter().filter(|act| **act == Act::AwaitApproval);
    assert_eq!(approvals.count(), 1);
    let count = |wanted: fn(&Act) -> bool| acts.iter().filter(|act| wanted(act)).count();
    assert_eq!(count(|act| *act == Act::Verify), 3);
    assert_eq!(count(|act| *act == Act::Set), 3);
    assert_eq!(count(|act| matches!(act, Act::Watch(_))), 3);
    assert_eq!(count(|act| matches!(act, Act::Hooks(_))), 2);
    let set: Vec<_> = ramp.done.iter().map(|done| done.traffic.as_str()).collect();
    assert_eq!(set, steps);
    // Two intervals and a bake.
    assert!(ramp.ended.unwrap().duration_since(now()).as_secs() >= 300);
}

#[test]
fn a_rollback_waits_for_no_gate_and_runs_the_hooks_of_the_way_back() {
    let mut back = record(Kind::Rollback, &["blue"]);
    back.request.verify = false;
    let gates = Gates {
        approve: true,
        frozen: Some((Timestamp::MAX, "frozen".to_owned())),
    };
    let acts = run(&mut back, &gates);
    assert_eq!(acts[0], Act::Set);
    assert!(acts.contains(&Act::Hooks(Moment::Back)));
    assert_eq!(back.outcome.unwrap().end, End::Done);
}

#[test]
fn a_freeze_refuses_what_begins_and_holds_what_runs() {
    let until = now() + 1.hour();
    let frozen = Gates {
        approve: false,
        frozen: Some((until, "frozen until then".to_owned())),
    };
    let mut flip = record(Kind::Flip, &["green"]);
    assert_eq!(begin(&mut flip, &frozen, now()), Act::End);
    let outcome = flip.outcome.unwrap();
    assert_eq!((outcome.end, outcome.effect), (End::Refused, Effect::None));

    let mut ramp = record(Kind::Ramp, &["blue:95,green:5", "green"]);
    ramp.step = 1;
    ramp.traffic = Some("blue:95,green:5".to_owned());
    let act = next(&mut ramp, Happened::Ready, &frozen, now());
    assert_eq!(act, Some(Act::Thaw(until)));
    let act = next(&mut ramp, Happened::Thawed, &Gates::default(), until);
    assert_eq!(act, Some(Act::Set));

    let mut urgent = record(Kind::Flip, &["green"]);
    urgent.request.override_freeze = true;
    assert_eq!(begin(&mut urgent, &frozen, now()), Act::Verify);
}

#[test]
fn a_ramp_that_is_interrupted_is_paused_and_goes_on_from_there() {
    let mut ramp = record(Kind::Ramp, &["blue:95,green:5", "green"]);
    ramp.stage = Stage::Production;
    ramp.deadline = Some(now() + Duration::from_secs(120));
    ramp.traffic = Some("blue:95,green:5".to_owned());
    ramp.done.push(step("blue:95,green:5"));
    let interrupted = Happened::Interrupted(At::Production, Vec::new());
    let pausing = now() + Duration::from_secs(50);
    let act = next(&mut ramp, interrupted, &Gates::default(), pausing);
    assert_eq!(act, Some(Act::Leave));
    assert!(!ramp.has_ended());
    let later = now() + Duration::from_secs(7200);
    assert_eq!(carry_on(&mut ramp, &Gates::default(), later), Act::Hold);
    // A second pause is none: since the first nobody has watched.
    let act = next(&mut ramp, wish(Want::Pause), &Gates::default(), later);
    assert_eq!(act, Some(Act::Hold));
    let act = next(&mut ramp, wish(Want::Resume), &Gates::default(), later);
    let until = later + Duration::from_secs(70);
    assert_eq!(act, Some(Act::Watch(until)));
    assert_eq!(ramp.deadline, Some(until));
    assert_eq!(ramp.paused, None);
}

#[test]
fn production_is_watched_a_while_by_whoever_carries_it_on_but_no_longer_than_it_was_to_be() {
    let mut flip = flip_at(Stage::Production);
    flip.deadline = Some(now() + Duration::from_secs(40));
    let gates = Gates::default();
    let at = |seconds| now() + Duration::from_secs(seconds);
    for (came, until) in [(10, 40), (30, 40), (35, 45), (3600, 3610)] {
        let mut flip = flip.clone();
        let act = carry_on(&mut flip, &gates, at(came));
        assert_eq!(act, Act::Watch(at(until)), "{came}");
        // Who looks at it meanwhile is told the same.
        assert_eq!(flip.deadline, Some(at(until)));
    }
    flip.request.bake = Duration::ZERO;
    assert_eq!(carry_on(&mut flip, &gates, at(50)), Act::Watch(at(50)));
}

/// A pause that comes while the hooks run, or the instances are waited for, cuts nothing off.
#[test]
fn a_pause_is_heeded_once_what_must_not_be_cut_is_done() {
    let gates = Gates::default();
    for (stage, done) in [
        (Stage::Before, Happened::HooksPassed),
        (Stage::Confirm, confirmed()),
    ] {
        let mut record = flip_at(stage);
        assert_eq!(next(&mut record, wish(Want::Pause), &gates, now()), None);
        assert_eq!(next(&mut record, done, &gates, now()), Some(Act::Hold));
        let act = next(&mut record, wish(Want::Resume), &gates, now());
        assert!(matches!(act, Some(Act::Set | Act::Watch(_))), "{act:?}");
    }
}

/// What a hook has moved before the first step is no step: whatever ends the rollout then goes back.
#[test]
fn what_a_hook_has_moved_before_the_first_step_is_undone() {
    let failed = Happened::HookFailed("exit 1".to_owned());
    let interrupted = Happened::Interrupted(At::Gate, Vec::new());
    for kind in [Kind::Flip, Kind::Ramp] {
        for happened in [failed.clone(), interrupted.clone(), wish(Want::Abort)] {
            let mut record = record(kind, &["green"]);
            record.stage = Stage::Before;
            record.traffic = Some("blue:90,green:10".to_owned());
            let act = next(&mut record, happened, &Gates::default(), now());
            assert_eq!(act, Some(Act::SetBack), "{kind:?}");
        }
    }
}

#[test]
fn who_has_approved_it_is_in_the_record_and_in_the_history() {
    let mut record = flip_at(Stage::Approve);
    for (why, reason) in [
        ("", "approved by bob@host"),
        ("v2", "v2; approved by bob@host"),
    ] {
        record.stage = Stage::Approve;
        record.why = why.to_owned();
        let act = next(&mut record, wish(Want::Resume), &Gates::default(), now());
        assert_eq!(act, Some(Act::Hooks(Moment::Before)));
        assert_eq!(record.approved.as_ref().unwrap().by, "bob@host");
        assert_eq!(record.reason(), reason);
    }
}

/// The hooks are run from the beginning by whoever finds them unfinished, also where somebody resumes what was paused.
#[test]
fn a_pause_that_is_resumed_before_its_time_skips_no_hook() {
    let mut record = flip_at(Stage::Before);
    let gates = Gates::default();
    assert_eq!(next(&mut record, wish(Want::Pause), &gates, now()), None);
    assert_eq!(next(&mut record, wish(Want::Resume), &gates, now()), None);
    let act = carry_on(&mut record, &gates, now());
    assert_eq!(act, Act::Hooks(Moment::Before));
}

/// Whatever became of the way back, the outcome says of the traffic only what is known.
#[test]
fn every_way_back_tells_its_effect_on_the_traffic() {
    let text = || "why".to_owned();
    for (way, end, effect) in [
        (WayBack::ForNobody, End::RolledBack, Effect::RolledBack),
        (
            WayBack::Confirmed { others: true },
            End::RolledBack,
            Effect::RolledBack,
        ),
        (
            WayBack::Late { late: late() },
            End::RolledBack,
            Effect::RolledBack,
        ),
        (
            WayBack::MovedSince { found: text() },
            End::RolledBack,
            Effect::RolledBack,
        ),
        (
            WayBack::StoreLost { reason: text() },
            End::RolledBack,
            Effect::RolledBack,
        ),
        (
            WayBack::Taken { found: text() },
            End::Conflict,
            Effect::Changed,
        ),
        (
            WayBack::Refused { reason: text() },
            End::Unknown,
            Effect::Changed,
        ),
        (
            WayBack::Away { reason: text() },
            End::Unknown,
            Effect::Changed,
        ),
        (
            WayBack::Unknown { reason: text() },
            End::Unknown,
            Effect::Unknown,
        ),
    ] {
        let mut record = flip_at(Stage::Back);
        record.end(End::RolledBack, Some(fails()), Some(way.clone()), now());
        let outcome = record.outcome.unwrap();
        assert_eq!((outcome.end, outcome.effect), (end, effect), "{way:?}");
    }
}

#[test]
fn what_can_t_go_back_stands_and_says_so() {
    let broken = || Happened::Broken(fails(), Vec::new());
    for (from, go_back, changed, way, end) in [
        (Some("blue"), true, false, WayBack::NotNeeded, End::Refused),
        (None, true, true, WayBack::NotKnown, End::RolledBack),
        (
            Some("blue"),
            false,
            true,
            WayBack::NotWanted,
            End::RolledBack,
        ),
    ] {
        let mut record = flip_at(Stage::Production);
        record.from = from.map(str::to_owned);
        record.request.go_back = go_back;
        if !changed {
            record.traffic = None;
        }
        let act = next(&mut record, broken(), &Gates::default(), now());
        assert_eq!(act, Some(Act::End));
        let outcome = record.outcome.unwrap();
        assert_eq!((outcome.way_back, outcome.end), (Some(way), end));
    }
}

#[test]
fn a_record_is_read_as_it_was_written() {
    for stage in STAGES {
        let record = flip_at(stage);
        let json = record.to_json();
        assert_eq!(Record::of_json(&json), Some(record), "{stage:?}");
    }
}

fn figures(judged: bool) -> Measured {
    Measured {
        service: "api".to_owned(),
        color: if judged { "green" } else { "blue" }.to_owned(),
        judged,
        requests: 1240,
        errors: Some(0.0),
        quantile: 0.95,
        latency: Some(0.012),
    }
}

#[test]
fn a_record_keeps_what_a_step_was_measured_at_as_far_as_there_is_room() {
    let steps = ["blue:75,green:25", "blue:50,green:50", "green"];
    for (measured, kept) in [(0, 0), (10, 10), (33, 33), (34, 33), (10_000, 33)] {
        let mut ramp = record(Kind::Ramp, &steps);
        ramp.stage = Stage::Confirm;
        ramp.done.push(StepDone {
            traffic: steps[0].to_owned(),
            at: now(),
            confirmed: None,
            measured: Vec::new(),
        });
        ramp.stage = Stage::Production;
        let all: Vec<_> = (0..measured).map(|nth| figures(nth % 2 == 1)).collect();
        // Whatever came of it.
        let mut back = ramp.clone();
        let broken = Happened::Broken(fails(), all.clone());
        back.traffic = Some(steps[0].to_owned());
        let act = next(&mut back, broken, &Gates::default(), now());
        assert_eq!(act, Some(Act::SetBack));
        let act = next(&mut ramp, Happened::Passed(all), &Gates::default(), now());
        assert_eq!(act, Some(Act::Verify));
        assert_eq!(ramp.step, 1);
        assert_eq!(back.done, ramp.done);
        let done = &ramp.done[0].measured;
        assert_eq!(done.len(), kept);
        // Where there is no room for all, what is judged stays.
        let judged = done.iter().filter(|one| one.judged).count();
        assert_eq!(judged, kept.min(measured / 2));
        let read = Record::of_json(&ramp.to_json());
        assert_eq!(read, Some(ramp));
    }
}
