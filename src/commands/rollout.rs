//! `rollout`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::change::{context, look};
use super::follow::follow;
use super::observer::Observer;
use super::told::Told;
use super::{
    Common, Exit, Failure, NOTHING_CHANGED, block_on, interrupt, nested, print, print_json,
    talk_unless_quiet,
};
use crate::config::{Config, Stack};
use crate::history::{self, author};
use crate::rollout::analysis::of_measured;
use crate::rollout::engine::Left;
use crate::rollout::event::Event;
use crate::rollout::record::{Record, Stage, Want};
use crate::rollout::remote::{NotNoted, is_abandoned, want};
use crate::store::Kept;

/// Shows the rollout of a stack, wherever it runs, and pauses it, goes on with it, or goes back.
///
/// Without a verb it says how far the rollout is, or what came of the last one. `pause` leaves the traffic where it is;
/// `resume` goes on, and approves a rollout that waits for approval; `abort` goes back to the traffic before. `resume` and
/// `abort` wait until it has ended, unless --detach says otherwise; where no provider carries it on, they do so here.
///
/// Examples: `bluegreen rollout`; `bluegreen rollout pause --why 'looking at the logs'`.
///
/// Exit codes: `status`: 0; 1 where there never was one; `pause`: 0 noted, 1 where none runs; `resume`, `abort`: 0 it
/// ended as that asks for, else as of `flip`; 6 the store could not be reached.
#[derive(Debug, Args)]
pub struct Rollout {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// How far it is, or what came of the last one
    Status,
    /// Leave the traffic where it is
    Pause(Who),
    /// Go on, or approve it
    Resume(Who),
    /// Go back to the traffic before
    Abort(Who),
}

#[derive(Debug, Args)]
struct Who {
    /// Who wants it [default: user@host]
    #[arg(long, env = "BLUEGREEN_BY", value_parser = history::reason, value_name = "NAME")]
    by: Option<String>,
    /// Only say so; wait for nothing
    #[arg(long, env = "BLUEGREEN_DETACH", value_parser = crate::flag::parse)]
    detach: bool,
}

impl Rollout {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let config = common.load()?;
        let (what, who) = match self.verb {
            None | Some(Verb::Status) => return status(common, &config),
            Some(Verb::Pause(who)) => (Want::Pause, who),
            Some(Verb::Resume(who)) => (Want::Resume, who),
            Some(Verb::Abort(who)) => (Want::Abort, who),
        };
        let by = who.by.filter(|by| !by.trim().is_empty());
        let by = by.unwrap_or_else(author);
        if who.detach || what == Want::Pause {
            return block_on(async {
                let (_, stack) = common.stack(&config)?;
                let record = note(common, stack, what, &by).await?;
                say(common, &record, &format!("{} is noted", what.word()));
                Ok(())
            });
        }
        act(common, &config, what, &by)
    }
}

/// Says what is wanted, and waits until the rollout has ended; where no provider carries it on, does so here.
///
/// # Errors
///
/// See the exit codes of `rollout`.
pub(super) fn act(common: &Common, config: &Config, what: Want, by: &str) -> Result<(), Failure> {
    let (name, stack) = common.stack(config)?;
    block_on(async {
        let mut interrupt = interrupt::listen()?;
        let noted = note(common, stack, what, by).await?;
        if nested::is_of(&noted) {
            // It goes on once this has ended.
            say(common, &noted, &format!("{} is noted", what.word()));
            return Ok(());
        }
        talk_unless_quiet(common, &format!("{} is noted", what.word()));
        let observer = Observer::new(common);
        let tell = |event: Event<'_>| observer.tell(event);
        let place = common.place();
        let context = context(common, config, name, stack, &place, &tell);
        let (record, left) = follow(common, context, noted, by, &mut interrupt).await?;
        let told = Told {
            common,
            key: &stack.key,
            record: &record,
        };
        match (what, &left) {
            (Want::Abort, Left::Ended(outcome)) if outcome.is_aborted() => {
                say(common, &record, &told.failure(outcome).message);
                Ok(())
            }
            _ => {
                told.of(&left, json!({}))?.print();
                Ok(())
            }
        }
    })
}

/// Notes what is wanted.
async fn note(common: &Common, stack: &Stack, what: Want, by: &str) -> Result<Record, Failure> {
    let noted = async {
        let mut session = common.store.connect(&stack.key).await?;
        want(&mut session, &stack.key, None, what, by).await
    };
    noted.await.map_err(|error| match error {
        NotNoted::Store(error) => Failure::store(&common.store, &error, NOTHING_CHANGED),
        NotNoted::NoneRuns(Some(last)) => {
            let ended = last.ended.unwrap_or(last.since);
            let message = format!(
                "no rollout of `{}` runs: the last one, {}, ended at {ended:.0}",
                last.stack,
                last.what()
            );
            Failure::new(Exit::Failed, message).hint("`bluegreen rollout` says what came of it")
        }
        error => Failure::new(Exit::Failed, format!("{error}{NOTHING_CHANGED}"))
            .hint("`bluegreen flip`, `shift` and `ramp` begin one"),
    })
}

/// How far the rollout is, or what came of the last one.
fn status(common: &Common, config: &Config) -> Result<(), Failure> {
    let (_, stack) = common.stack(config)?;
    block_on(async {
        let before = look(common, stack).await?;
        let kept = before
            .kept
            .map_err(|unreadable| Failure::new(Exit::Failed, unreadable.to_string()))?;
        let record = kept.record.as_deref().and_then(Record::of_json);
        let Some(record) = record else {
            return Err(Failure::new(Exit::Failed, "there was no rollout yet")
                .hint("`bluegreen flip`, `shift` and `ramp` begin one"));
        };
        if common.json {
            let mut object = serde_json::to_value(&record).unwrap_or_default();
            object["exit"] = 0.into();
            object["abandoned"] = is_abandoned(&record, &kept).into();
            print_json(&object);
            return Ok(());
        }
        print(&format!("{}: {}", record.stack, sentence(&record, &kept)));
        for (nth, step) in record.request.steps.iter().enumerate() {
            print(&format!("  {}", step_line(&record, nth, step)));
        }
        if is_abandoned(&record, &kept) && record.runner.is_some() {
            print(
                "nobody runs it: a provider carries it on; where none may, `bluegreen rollout resume` goes on here, and \
                 `bluegreen rollout abort` goes back",
            );
        }
        Ok(())
    })
}

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
fn step_line(record: &Record, nth: usize, step: &str) -> String {
    let Some(done) = record.done.get(nth) else {
        return format!("{step}: to come");
    };
    let confirmed = done.confirmed.as_ref().map_or_else(
        || "not confirmed".to_owned(),
        |confirmed| {
            format!(
                "with {} instances after {:.0} ms",
                confirmed.count,
                confirmed.seconds * 1000.0
            )
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

/// What was done.
fn say(common: &Common, record: &Record, what: &str) {
    if common.json {
        print_json(&json!({ "exit": 0, "stack": record.stack, "id": record.id, "done": what }));
    } else if !common.quiet {
        print(&format!("{}: {what}", record.stack));
    }
}
