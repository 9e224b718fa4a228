//! A rollout in words: how far it is, or what came of it, and step by step.

use jiff::Timestamp;

use crate::rollout::analysis::of_measured;
use crate::rollout::record::{Record, Stage};
use crate::rollout::remote::is_abandoned;
use crate::store::Kept;

/// A rollout in a sentence.
pub(super) fn sentence(record: &Record, kept: &Kept) -> String {
    let Record { by, why, began, .. } = record;
    let why = match why.as_str() {
        "" => String::new(),
        why => format!(": {why}"),
    };
    let what = format!("{} by {by}, begun {began:.0}{why}", record.what());
    if let Some(outcome) = &record.outcome {
        let ended = record.ended.unwrap_or(record.since);
        let cause = outcome.cause.as_ref().map(|cause| format!(": {cause}"));
        let end = outcome.end.word();
        return format!("{what}; {end} at {ended:.0}{}", cause.unwrap_or_default());
    }
    let mut now = match (&record.paused, is_abandoned(record, kept), &record.runner) {
        (_, true, None) => "waits for a provider".to_owned(),
        (Some(paused), ..) => format!(
            "paused by {} {}; `bluegreen rollout resume` goes on, `bluegreen rollout abort` goes back",
            paused.by,
            ago(paused.at, kept)
        ),
        (None, true, Some(_)) => format!("abandoned at stage: {}", record.stage.words()),
        (None, false, _) if record.stage == Stage::Approve => format!(
            "{}, {}; `bluegreen rollout resume` approves it",
            record.stage.words(),
            ago(record.since, kept)
        ),
        (None, false, _) => format!("{}, {}", record.stage.words(), ago(record.since, kept)),
    };
    if record.request.steps.len() > 1 {
        let of = record.request.steps.len();
        now = format!("step {} of {of} ({}), {now}", record.step + 1, record.to());
    }
    if let Some(deadline) = record.deadline.filter(|_| record.paused.is_none()) {
        let left = deadline.duration_since(kept.at).as_secs().max(0);
        now += &format!(", {left} s more");
        let later = record.request.watched_after(record.step).as_secs();
        if later > 0 {
            now += &format!(", and {later} s in the steps to come");
        }
    }
    match &record.runner {
        Some(runner) if !is_abandoned(record, kept) => {
            format!("{what}; {now}; run by {}", runner.name)
        }
        _ => format!("{what}; {now}"),
    }
}

/// A step, and what came of it.
pub(super) fn step_line(record: &Record, nth: usize, step: &str) -> String {
    let Some(done) = record.done.get(nth) else {
        return format!("{step}: to come");
    };
    let confirmed = done.confirmed.as_ref().map_or_else(
        || "not confirmed".to_owned(),
        |confirmed| {
            let (count, after) = (confirmed.count, confirmed.seconds * 1000.0);
            let s = if count == 1 { "" } else { "s" };
            format!("confirmed by {count} instance{s} after {after:.0} ms")
        },
    );
    let measured = match &*of_measured(&done.measured) {
        "" => String::new(),
        measured => format!("; {measured}"),
    };
    format!("{step}: set at {:.0}, {confirmed}{measured}", done.at)
}

/// How long ago something was, by the store's clock.
fn ago(at: Timestamp, kept: &Kept) -> String {
    let seconds = kept.at.duration_since(at).as_secs().max(0);
    format!("for {seconds} s")
}
