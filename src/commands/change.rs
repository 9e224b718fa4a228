//! A change of traffic, as the commands make it: the flags that they share, and the rollout that they hand to the engine.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::follow::follow;
use super::observer::Observer;
use super::told::{Said, Told};
use super::{Common, Exit, Failure, NOTHING_CHANGED, talk};
use crate::config::{Config, Stack};
use crate::history::{self, author};
use crate::lease::Lease;
use crate::rollout::before::{self, Before};
use crate::rollout::context::Context;
use crate::rollout::engine::{Engine, Left};
use crate::rollout::event::Event;
use crate::rollout::gates::Gates;
use crate::rollout::interrupts::Interrupts;
use crate::rollout::keeper::Keeper;
use crate::rollout::place::Place;
use crate::rollout::record::Record;
use crate::rollout::remote::{hand_over, keeps_its_place};
use crate::rollout::request::{Kind, Request};
use crate::store::Refusal;
use crate::traffic::Traffic;

/// Flags of the commands that change traffic.
#[derive(Debug, Args)]
pub(super) struct ChangeFlags {
    /// Why, for the history
    #[arg(
        long,
        env = "BLUEGREEN_WHY",
        default_value = "",
        hide_default_value = true,
        value_parser = history::reason,
        value_name = "TEXT"
    )]
    pub(super) why: String,
    /// Who does it, for the history [default: user@host]
    #[arg(long, env = "BLUEGREEN_BY", value_parser = history::reason, value_name = "NAME")]
    by: Option<String>,
    /// Only set the key; wait for no instance
    #[arg(long, env = "BLUEGREEN_NO_WAIT", value_parser = crate::flag::parse)]
    pub(super) no_wait: bool,
    /// Leave the new traffic where not every instance confirmed in time, or production fails a check
    #[arg(long, env = "BLUEGREEN_NO_ROLLBACK", value_parser = crate::flag::parse)]
    pub(super) no_rollback: bool,
    /// Say what would be done, and how the document would change; change nothing
    #[arg(long, env = "BLUEGREEN_DRY_RUN", value_parser = crate::flag::parse)]
    pub(super) dry_run: bool,
    /// Have a provider run it, and print its id; wait for nothing
    #[arg(long, env = "BLUEGREEN_DETACH", value_parser = crate::flag::parse, conflicts_with = "dry_run")]
    pub(super) detach: bool,
}

impl ChangeFlags {
    /// Who makes the change.
    pub(super) fn author(&self) -> String {
        let given = self.by.clone().filter(|by| !by.trim().is_empty());
        given.unwrap_or_else(author)
    }
}

/// A change that is to be made.
pub(super) struct Change<'a> {
    /// Flags that all commands know.
    pub(super) common: &'a Common,
    /// The config.
    pub(super) config: &'a Config,
    /// The stack's name.
    pub(super) name: &'a str,
    /// The stack.
    pub(super) stack: &'a Stack,
    /// Flags of the commands that change traffic.
    pub(super) flags: &'a ChangeFlags,
    /// Where the config's commands run.
    pub(super) place: &'a Place,
    /// The command.
    pub(super) kind: Kind,
    /// The traffic of each step.
    pub(super) steps: Vec<Traffic>,
    /// How long production has to keep passing between the steps.
    pub(super) interval: Duration,
    /// How long it has to in the end.
    pub(super) bake: Duration,
    /// Whether anything is verified.
    pub(super) verifies: bool,
    /// Whether it is made although a freeze window is open.
    pub(super) overrides_freeze: bool,
}

impl Change<'_> {
    /// The traffic in the end.
    pub(super) fn to(&self) -> &Traffic {
        // A change has a step at least.
        &self.steps[self.steps.len() - 1]
    }

    /// Reads what is there; what could not be read is noted.
    pub(super) async fn look(&self) -> Result<Before, Failure> {
        look(self.common, self.stack).await
    }

    /// The record of the rollout, which begins now.
    pub(super) fn record(&self, before: &Before) -> Record {
        let request = Request {
            kind: self.kind,
            steps: self.steps.iter().map(ToString::to_string).collect(),
            interval: self.interval,
            bake: self.bake,
            timeout: self.common.timeout,
            verify: self.verifies,
            wait: !self.flags.no_wait,
            go_back: !self.flags.no_rollback,
            without_provider: self.kind == Kind::Rollback,
            override_freeze: self.overrides_freeze,
        };
        let why = match (self.flags.why.as_str(), self.kind) {
            ("", Kind::Rollback) => "rollback",
            ("", Kind::Deploy) => "deploy",
            (why, _) => why,
        };
        let from = before.traffic.as_ref().map(ToString::to_string);
        let (by, why) = (self.flags.author(), why.to_owned());
        Record::new(self.name, request, by, why, from, before.key.at)
    }

    /// Who keeps the record.
    pub(super) fn keeper(&self, before: &Before, record: &Record) -> Keeper {
        let lease = Lease::new(record.by.clone(), record.what());
        let stored = before.kept.as_ref().ok();
        let stored = stored.and_then(|kept| kept.record.clone());
        Keeper::new(&self.common.store, &self.stack.key, lease, stored)
    }

    /// Makes it.
    pub(super) async fn make(
        &self,
        before: Before,
        record: Record,
        keeper: &mut Keeper,
        interrupt: &mut Interrupts,
    ) -> Result<(Record, Left), Failure> {
        let observer = Observer::new(self.common);
        let tell = |event: Event<'_>| observer.tell(event);
        let context = context(
            self.common,
            self.config,
            self.name,
            self.stack,
            self.place,
            &tell,
        );
        let engine = Engine::new(context, record, keeper, &before, interrupt);
        match engine.run(before.session).await {
            // Where a provider carries it on, what comes of it there is what comes of it.
            (record, Left::Lost(_)) => {
                let by = record.by.clone();
                follow(self.common, context, record, &by, interrupt).await
            }
            ended => Ok(ended),
        }
    }

    /// Makes it from beginning to end, or says what it would do, or hands it over to the providers.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where it does not end as it was asked to.
    pub(super) async fn carry_out(
        &self,
        before: Before,
        interrupt: &mut Interrupts,
    ) -> Result<(), Failure> {
        if self.flags.dry_run {
            self.show_plan(&before);
            return Ok(());
        }
        self.refuse_nested(&before)?;
        let record = self.record(&before);
        if self.flags.detach {
            return self.hand_over(before, record).await;
        }
        self.refuse_waiting(&before)?;
        let mut keeper = self.keeper(&before, &record);
        if self.kind == Kind::Rollback {
            // Whoever is at it, going back is what is wanted now.
            keeper = keeper.seizing();
        }
        let made = self.make(before, record, &mut keeper, interrupt).await;
        keeper.release().await;
        let (record, left) = made?;
        // Only now: it may not come through, and what was done stands.
        self.told(&record)
            .of(&left, json!({ "id": record.id }))?
            .print();
        Ok(())
    }

    /// Refuses to take the place of a rollout that waits for a provider; a rollback does not ask.
    pub(super) fn refuse_waiting(&self, before: &Before) -> Result<(), Failure> {
        let kept = before.kept.as_ref().ok();
        let Some(other) = kept.and_then(keeps_its_place) else {
            return Ok(());
        };
        if self.kind == Kind::Rollback {
            return Ok(());
        }
        let message = format!(
            "{} is changing `{}` already{NOTHING_CHANGED}",
            other.whose(),
            self.stack.key
        );
        Err(Failure::new(Exit::Conflict, message)
            .hint("it waits for a provider: look with `bluegreen rollout`"))
    }

    /// Refuses to begin in a freeze.
    pub(super) fn refuse_frozen(&self, before: &Before, record: &Record) -> Result<(), Failure> {
        let gates = Gates::at(&self.stack.gates, before.key.at);
        let Some(cause) = record.frozen(&gates) else {
            return Ok(());
        };
        let mut record = record.clone();
        let outcome = record.refused(cause);
        Err(self.told(&record).failure(&outcome))
    }

    /// Refuses to hand it over where nobody would run it.
    pub(super) fn refuse_alone(&self, before: &Before) -> Result<(), Failure> {
        if before.provider_runs() {
            return Ok(());
        }
        let message = format!(
            "no `bluegreen serve` reports to {}: nobody would run it{NOTHING_CHANGED}",
            self.common.store
        );
        Err(Failure::new(Exit::Failed, message).hint("start it, or leave out --detach"))
    }

    /// Hands it over to the providers.
    async fn hand_over(&self, before: Before, record: Record) -> Result<(), Failure> {
        self.refuse_alone(&before)?;
        self.refuse_frozen(&before, &record)?;
        let mut session = before.session;
        if let Err(cause) = hand_over(&mut session, &self.stack.key, &record).await {
            let mut record = record;
            let outcome = record.refused(cause);
            return Err(self.told(&record).failure(&outcome));
        }
        self.told(&record).handed_over().print();
        Ok(())
    }

    /// Leaves a rollout that was begun here to the providers, once its lease is given back.
    pub(super) async fn hand_on(
        &self,
        mut record: Record,
        keeper: &mut Keeper,
    ) -> Result<Said, Failure> {
        let Err(cause) = keeper.hand_on(&mut record).await else {
            return Ok(self.told(&record).handed_over());
        };
        let outcome = record.refused(cause);
        Err(self.told(&record).failure(&outcome))
    }

    /// Who tells what came of it.
    pub(super) fn told<'a>(&'a self, record: &'a Record) -> Told<'a> {
        Told {
            common: self.common,
            key: &self.stack.key,
            record,
        }
    }
}

/// What the engine works with.
pub(super) fn context<'a>(
    common: &'a Common,
    config: &'a Config,
    name: &'a str,
    stack: &'a Stack,
    place: &'a Place,
    tell: &'a dyn Fn(Event<'_>),
) -> Context<'a> {
    Context {
        store: &common.store,
        config,
        name,
        stack,
        place,
        tell,
    }
}

/// Reads what is there before a change; what could not be read is noted.
///
/// # Errors
///
/// Where the store can't be reached.
pub(super) async fn look(common: &Common, stack: &Stack) -> Result<Before, Failure> {
    let before = before::read(&common.store, stack).await;
    let before = before.map_err(|error| Failure::store(&common.store, &error, NOTHING_CHANGED))?;
    note_unreadable(&stack.key, before.unreadable.as_ref());
    Ok(before)
}

/// Notes that what the providers report can't be read, where that is so.
pub(super) fn note_unreadable(key: &str, refusal: Option<&Refusal>) {
    if let Some(refusal) = refusal {
        talk(&format!(
            "note: what the providers of `{key}` report can't be read: {refusal}"
        ));
    }
}

/// The traffic in force.
///
/// # Errors
///
/// Where nobody knows it.
pub(super) fn known_traffic<'a>(before: &'a Before, key: &str) -> Result<&'a Traffic, Failure> {
    before.traffic.as_ref().ok_or_else(|| {
        Failure::new(Exit::Failed, format!("it is not known which traffic is in force: the key `{key}` holds no traffic value"))
            .hint("no provider runs and the history does not tell; name the color, as in `bluegreen flip blue`")
    })
}

/// Whose traffic the key moves besides that of this stack, as a running provider says.
pub(super) fn others(before: &Before, name: &str, key: &str) -> Option<String> {
    let other = before.other_stack(name)?;
    Some(format!(
        "the key `{key}` moves the traffic of `{other}`, as a running provider says, and not only that of `{name}`"
    ))
}

/// Refuses to change a key that somebody else's stack follows.
///
/// # Errors
///
/// Where a running provider serves the key under another name than this stack's.
pub(super) fn is_of(before: &Before, name: &str, key: &str) -> Result<(), Failure> {
    let Some(others) = others(before, name, key) else {
        return Ok(());
    };
    let message = format!("refused: {others}{NOTHING_CHANGED}");
    Err(Failure::new(Exit::Refused, message).hint(format!(
        "one of the two stacks needs a key of its own in its config, such as `key: {name}`; where both are the same \
         stack, they need one name"
    )))
}
