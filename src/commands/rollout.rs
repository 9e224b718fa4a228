//! `rollout`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::change::{context, look};
use super::follow::follow;
use super::observer::Observer;
use super::told::Told;
use super::underway::{sentence, step_line};
use super::{
    Common, Exit, Failure, NOTHING_CHANGED, block_on, interrupt, nested, print, print_json,
    talk_unless_quiet,
};
use crate::config::{Config, Stack};
use crate::history::{self, author};
use crate::rollout::engine::Left;
use crate::rollout::event::Event;
use crate::rollout::record::{Record, Want};
use crate::rollout::remote::{NotNoted, is_abandoned, want};

/// Shows the rollout of a stack, wherever it runs, and pauses it, goes on with it, or goes back.
///
/// Without a verb it says how far the rollout is, or what came of the last one. `pause` leaves the traffic where it is;
/// `resume` goes on, and approves a rollout that waits for approval; `abort` goes back to the traffic before. `resume` and
/// `abort` wait until it has ended, unless --detach says otherwise; where no provider carries it on, they do so here.
///
/// Examples: `bluegreen rollout`; `bluegreen rollout pause --by ann`.
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

/// What was done.
fn say(common: &Common, record: &Record, what: &str) {
    if common.json {
        print_json(&json!({ "exit": 0, "stack": record.stack, "id": record.id, "done": what }));
    } else if !common.quiet {
        print(&format!("{}: {what}", record.stack));
    }
}
