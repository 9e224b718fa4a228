//! Watches the rollouts of all stacks, and carries on those that nobody runs: that were handed over, or whose runner is
//! gone.
//!
//! The store tells of each change of a record or a lease. Only while a record has not ended is its lease looked at again:
//! one that runs out tells nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::Shared;
use crate::config::Config;
use crate::rollout::adopt::adopt;
use crate::rollout::analysis::of_measured;
use crate::rollout::context::Context;
use crate::rollout::engine::Left;
use crate::rollout::event::Event;
use crate::rollout::interrupts::Interrupts;
use crate::rollout::place::Place;
use crate::rollout::record::Record;
use crate::rollout::remote::is_abandoned;
use crate::store::{Changed, StoreError};

/// How often the lease of a rollout that has not ended is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long after a store that could not be reached the next attempt is made.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The rollouts that run here: each on a thread of its own, because what it verifies is not made to move between them.
type Runs = JoinSet<String>;

/// What is remembered of the rollouts, by their keys.
#[derive(Default)]
struct Remembered {
    /// Those that run here.
    running: BTreeSet<String>,
    runs: Runs,
    /// Those whose runner was seen at work: the store told of a record or a lease that it wrote. What is found there proves
    /// nothing, such as a lease that has come back with the store.
    known: BTreeSet<String>,
    /// Whether the connection was good until the config was another one: what is found then was told of, too.
    goes_on: bool,
}

/// A rollout that has not ended, as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// Its record.
    pub record: Record,
    /// Whether nobody runs it.
    pub abandoned: bool,
}

/// The rollouts that have not ended, by their stacks.
pub type AllOpen = BTreeMap<String, Open>;

/// Watches them until the provider stops. With a place in which commands of the config run, it carries them on; in the
/// end it gives back the leases of those that run here.
pub(super) async fn watch(shared: Arc<Shared>, place: Option<Place>) {
    let mut remembered = Remembered::default();
    let mut stopping = shared.stopping.subscribe();
    let watching = async {
        loop {
            if let Err(error) = look(&shared, place.as_ref(), &mut remembered).await {
                remembered.known.clear();
                remembered.goes_on = false;
                tracing::debug!(%error, "the rollouts can't be read");
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
    };
    tokio::select! {
        () = watching => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    while remembered.runs.join_next().await.is_some() {}
}

/// Looks after the rollouts for as long as the connection lasts and the config stays.
async fn look(
    shared: &Arc<Shared>,
    place: Option<&Place>,
    remembered: &mut Remembered,
) -> Result<(), StoreError> {
    let Remembered {
        running,
        runs,
        known,
        goes_on,
    } = remembered;
    let mut published = shared.state.publications();
    let config = Arc::clone(&shared.state.serving().config);
    let stacks = config.stacks.iter();
    let names: BTreeMap<_, _> = stacks
        .map(|(name, stack)| (stack.key.clone(), name))
        .collect();
    let all: Vec<_> = names.keys().cloned().collect();
    let Some(first) = all.first() else {
        return Ok(());
    };
    let mut session = shared.store.connect(first).await?;
    let mut open = BTreeSet::new();
    let mut next = all.clone();
    let mut told: BTreeSet<_> = match goes_on {
        true => next.iter().cloned().collect(),
        false => BTreeSet::new(),
    };
    loop {
        for (key, kept) in session.rollouts(&next).await? {
            // One that can't be read is told of by status, and by the next rollout.
            let Ok(kept) = kept else {
                continue;
            };
            let name = names[&key];
            let record = kept.record.as_deref().and_then(Record::of_json);
            let Some(record) = record.filter(|record| !record.has_ended()) else {
                open.remove(&key);
                known.remove(&key);
                shared
                    .rollouts
                    .send_if_modified(|open| open.remove(name).is_some());
                continue;
            };
            open.insert(key.clone());
            let seen = Open {
                abandoned: is_abandoned(&record, &kept),
                record,
            };
            let (is_ours, abandoned) = (seen.record.stack == *name, seen.abandoned);
            shared.rollouts.send_if_modified(|open| {
                let before = open.insert(name.clone(), seen.clone());
                before.as_ref() != Some(&seen)
            });
            if kept.lease.is_some() && told.contains(&key) {
                known.insert(key.clone());
            }
            let Some(place) = place.filter(|_| is_ours && abandoned) else {
                continue;
            };
            if running.insert(key.clone()) {
                let (shared, config) = (Arc::clone(shared), Arc::clone(&config));
                let (name, place) = (name.clone(), place.clone());
                let is_known = known.contains(&key);
                let runtime = Handle::current();
                runs.spawn_blocking(move || {
                    runtime.block_on(run(&shared, &config, &name, &place, is_known));
                    key
                });
            }
        }
        told.clear();
        tokio::select! {
            changed = session.changed() => {
                let changed = changed?;
                next = match changed {
                    Changed::Anything => all.clone(),
                    changed => all.iter().filter(|key| changed.concerns_rollout(key)).cloned().collect(),
                };
                told.extend(next.iter().cloned());
            }
            Some(ended) = runs.join_next() => {
                // One that has panicked is not run here again.
                if let Ok(key) = ended {
                    running.remove(&key);
                }
                next = open.iter().cloned().collect();
            }
            () = tokio::time::sleep(LOOK_AGAIN), if !open.is_empty() => {
                next = open.iter().cloned().collect();
            }
            _ = published.changed() => {
                if !Arc::ptr_eq(&config, &shared.state.serving().config) {
                    *goes_on = true;
                    return Ok(());
                }
                next = Vec::new();
            }
        }
    }
}

/// Carries one on, until it has ended or the provider stops: another provider comes then.
async fn run(shared: &Shared, config: &Config, name: &str, place: &Place, is_known: bool) {
    let Some(stack) = config.stacks.get(name) else {
        return;
    };
    let tell = |event: Event<'_>| log(name, &event);
    let context = Context {
        store: &shared.store,
        config,
        name,
        stack,
        place,
        tell: &tell,
    };
    let mut nobody = Interrupts::never();
    let mut stopping = shared.stopping.subscribe();
    let stops = async {
        stopping.wait_for(|stopping| *stopping).await.ok();
        tracing::info!(
            stack = name,
            "the rollout is left to another provider, because this one stops"
        );
    };
    match adopt(context, &shared.provider, is_known, &mut nobody, stops).await {
        Ok(None) => {}
        Ok(Some((record, Left::Ended(outcome)))) => {
            let what = record.what();
            let cause = outcome
                .cause
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            tracing::info!(
                stack = name,
                id = record.id,
                what,
                end = outcome.end.word(),
                cause,
                "the rollout has ended"
            );
        }
        Ok(Some((record, Left::Paused))) => {
            tracing::info!(stack = name, id = record.id, "the rollout is paused");
        }
        Ok(Some((record, Left::Lost(lost)))) => {
            tracing::warn!(
                stack = name,
                id = record.id,
                by = lost.0,
                "somebody else has taken the rollout's place"
            );
        }
        Err(error) => tracing::debug!(%error, stack = name, "the rollout can't be taken over"),
    }
}

/// Logs what happens in a rollout, as far as it is worth a line.
fn log(stack: &str, event: &Event<'_>) {
    match event {
        Event::Verifying(color) => tracing::info!(stack, color, "a rollout verifies a color"),
        Event::Step { step, of, to } => {
            tracing::info!(stack, step, of, to, "a rollout makes a step")
        }
        Event::StepPassed {
            step,
            of,
            to,
            measured,
        } => tracing::info!(
            stack,
            step,
            of,
            to,
            figures = of_measured(measured),
            "a step has passed"
        ),
        Event::KeptPassing { long, measured } => tracing::info!(
            stack,
            seconds = long.as_secs_f64(),
            figures = of_measured(measured),
            "production kept passing"
        ),
        Event::Confirmed(confirmed) => {
            tracing::info!(stack, instances = confirmed.count, "a rollout is confirmed");
        }
        Event::GoingBack(to) => tracing::warn!(stack, to, "a rollout goes back"),
        Event::AwaitingApproval => tracing::info!(stack, "a rollout waits for approval"),
        Event::Approved(wish) => {
            tracing::info!(stack, by = wish.by, "a rollout is approved");
        }
        Event::Frozen(window) => {
            tracing::info!(stack, window, "a rollout waits for the end of a freeze");
        }
        Event::Hook(what) => tracing::info!(stack, what, "a rollout runs a hook"),
        Event::BackHookFailed(why) => {
            tracing::warn!(stack, why, "a hook after the way back has failed")
        }
        Event::Paused(wish) => tracing::info!(stack, by = wish.by, "a rollout is paused"),
        Event::Resumed(wish) => tracing::info!(
            stack,
            by = wish.by,
            wish = wish.what.word(),
            "a rollout goes on"
        ),
        Event::StoreAway(why) => tracing::warn!(
            stack,
            why,
            "the store can't be reached while a rollout watches production"
        ),
        Event::Round { .. }
        | Event::Check(_)
        | Event::Ready { .. }
        | Event::NothingOfColor(_)
        | Event::ProductionUnwell(_)
        | Event::WaitingFor(_)
        | Event::WaitingForStore(_)
        | Event::Watching { .. }
        | Event::NothingOfProduction
        | Event::WaitingForWayBack(_)
        | Event::HookPrinted(_) => {}
    }
}
