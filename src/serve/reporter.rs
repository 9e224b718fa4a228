//! The reporter: tells the store what this provider serves and what its instances have, and writes changes that came
//! from outside into the history.
//!
//! It has a connection of its own, so that no write delays the news of a change.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use crate::history::{OutsideChange, RefusedChange};
use crate::registry::{REPORT_EVERY, Report};
use crate::state::{Refused, StackState, Unrecorded};
use crate::store::{Session, Store, StoreError};

/// After a change, others that come at the same time are waited for, so that a large fleet's confirmations make a few
/// reports and not thousands.
const GATHER: Duration = Duration::from_millis(2);

/// So much longer for each instance: its part of a report costs about a fifth of it.
const GATHER_PER_INSTANCE: Duration = Duration::from_micros(10);

/// The list of instances is written again at such an interval for each entry in it, of all stacks together, so that a
/// large fleet of which there is nothing new costs next to nothing. Until then it says of an instance when it was last
/// seen before.
const RELIST_PER_ENTRY: Duration = Duration::from_millis(1);

/// The longest such interval: far from the hour after which a list passes for that of a provider that is no more.
const RELIST_EVERY: Duration = Duration::from_secs(60);

/// A store that does not answer must not delay the end.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(500);

/// What reports are written with.
struct Reporter<'a> {
    shared: &'a Shared,
    changes: watch::Receiver<()>,
    session: Option<Session>,
    /// By key: of two changes of one key the store takes only the newer into the history.
    unrecorded: BTreeMap<String, OutsideChange>,
    /// By key, what the guard has refused last.
    refused: BTreeMap<String, RefusedChange>,
    /// When the list of instances is to be written again, though there is nothing new in it.
    relist_at: Instant,
}

/// Reports for as long as the provider runs.
pub async fn report(
    shared: Arc<Shared>,
    store: Store,
    mut outside: mpsc::UnboundedReceiver<Unrecorded>,
) {
    let mut changes = shared.fleet.changes();
    let mut publications = shared.state.publications();
    let mut dead = shared.dead.subscribe();
    let mut tick = interval(REPORT_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reporter = Reporter::new(&shared);
    let mut refused = false;
    let mut not_before = Instant::now();
    loop {
        tokio::select! {
            Some(change) = outside.recv() => reporter.is_to_record(change),
            _ = changes.changed() => {}
            _ = publications.changed() => {}
            _ = dead.changed() => {}
            _ = tick.tick() => shared.fleet.sweep(),
        }
        if Instant::now() < not_before {
            continue;
        }
        let instances = u32::try_from(shared.fleet.size()).unwrap_or(u32::MAX);
        tokio::time::sleep(GATHER + GATHER_PER_INSTANCE * instances).await;
        while let Ok(change) = outside.try_recv() {
            reporter.is_to_record(change);
        }
        changes.mark_unchanged();
        publications.mark_unchanged();
        dead.mark_unchanged();
        let Err(error) = reporter.write(&store).await else {
            refused = false;
            continue;
        };
        // Also one that refuses is asked anew: after a failover another server is the primary.
        reporter.session = None;
        not_before = Instant::now() + REPORT_EVERY / 2;
        match error {
            StoreError::Refused(error) => {
                if !std::mem::replace(&mut refused, true) {
                    tracing::warn!(
                        %error,
                        "the store refuses what this provider writes: `flip` and `status` do not see its instances"
                    );
                }
            }
            // Who follows the keys logs that the store is away.
            error => tracing::debug!(%error, "no report could be written"),
        }
    }
}

/// The last report, when the provider stops: its instances serve on, but through it they get nothing new.
pub async fn farewell(shared: &Shared, store: &Store) {
    let told = async {
        let mut session = connect(shared, store).await?;
        Reporter::new(shared).tell(&mut session, true).await
    };
    match tokio::time::timeout(FAREWELL_TIMEOUT, told).await {
        Ok(Ok(())) => {}
        // It is found out by the age of the report before.
        Ok(Err(error)) => tracing::debug!(%error, "the last report could not be written"),
        Err(_) => tracing::debug!("the last report took too long"),
    }
}

impl<'a> Reporter<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            changes: shared.fleet.changes(),
            session: None,
            unrecorded: BTreeMap::new(),
            refused: BTreeMap::new(),
            relist_at: Instant::now(),
        }
    }

    fn is_to_record(&mut self, unrecorded: Unrecorded) {
        match unrecorded {
            Unrecorded::Change(change) => {
                self.unrecorded.insert(change.key.clone(), change);
            }
            Unrecorded::Refusal(refused) => {
                self.refused.insert(refused.change.key.clone(), refused);
            }
        }
    }

    /// Writes what is to be recorded, and the report.
    async fn write(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => {
                // What the store has of this provider is not known.
                self.relist_at = Instant::now();
                connect(self.shared, store).await?
            }
        };
        while let Some(change) = self.unrecorded.first_entry() {
            let OutsideChange { key, value, entry } = change.get();
            taken(key, session.record(key, value, entry).await)?;
            change.remove();
        }
        while let Some(refused) = self.refused.first_entry() {
            taken(refused.key(), session.record_refusal(refused.get()).await)?;
            refused.remove();
        }
        self.tell(&mut session, false).await?;
        self.session = Some(session);
        Ok(())
    }

    async fn tell(&mut self, session: &mut Session, stopped: bool) -> Result<(), StoreError> {
        // What is served goes before what the instances have: one that was sent something else since must not pass for
        // one that has it.
        let reports = reports(self.shared, stopped);
        let listed = if self.list_is_due() {
            false
        } else {
            session.report(&reports, None).await?
        };
        if !listed {
            self.changes.mark_unchanged();
            let instances = self.shared.fleet.entries();
            let entries = u32::try_from(instances.len() * reports.len()).unwrap_or(u32::MAX);
            session.report(&reports, Some(&instances)).await?;
            // A report too early rather than one too late.
            let pause = (RELIST_PER_ENTRY * entries).min(RELIST_EVERY);
            self.relist_at = Instant::now() + pause.saturating_sub(REPORT_EVERY / 2);
        }
        Ok(())
    }

    /// Whether the list of instances is to be written now: because something in it is new, or it has become old.
    fn list_is_due(&self) -> bool {
        self.changes.has_changed().unwrap_or(true) || Instant::now() >= self.relist_at
    }
}

/// Passes on why something could not be recorded where it is to be tried again: recorded twice makes no two entries.
fn taken(key: &str, recorded: Result<(), StoreError>) -> Result<(), StoreError> {
    match recorded {
        Err(StoreError::Refused(error)) if !error.may_pass => {
            tracing::warn!(
                key,
                %error,
                "the store refuses to take a change from outside into the history"
            );
            Ok(())
        }
        recorded => recorded,
    }
}

/// Connects to where the key of the first stack is.
async fn connect(shared: &Shared, store: &Store) -> Result<Session, StoreError> {
    let serving = shared.state.serving();
    let key = serving
        .config
        .stacks
        .values()
        .next()
        .map(|stack| &*stack.key);
    store.connect(key.unwrap_or_default()).await
}

/// By stack, the shares that instances poll and that have it: by their path the revision of each.
fn shares(shared: &Shared) -> BTreeMap<String, BTreeMap<String, Option<String>>> {
    let mut shares: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for share in shared.fleet.shares() {
        let revision = share.revision().map(|revision| revision.to_string());
        for stack in share.stacks() {
            let of_stack = shares.entry(stack).or_default();
            of_stack.insert(share.path().to_owned(), revision.clone());
        }
    }
    shares
}

/// What this provider says of each stack; first of those whose traffic has changed last, because somebody may wait.
fn reports(shared: &Shared, stopped: bool) -> Vec<(String, Report)> {
    let serving = shared.state.serving();
    let document = serving.document.as_ref();
    let mut shares = shares(shared);
    let mut reports: Vec<_> = serving
        .config
        .stacks
        .iter()
        .map(|(name, stack)| {
            let known = serving.stacks.get(name).filter(|_| document.is_some());
            let report = Report {
                provider: shared.provider.clone(),
                stack: name.clone(),
                stopped,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                traffic: known.map(|known| known.traffic.to_string()),
                since: known.and_then(StackState::chosen_since),
                revision: document.map(|document| document.revision.to_string()),
                shares: shares.remove(name).unwrap_or_default(),
                dead: shared.dead.borrow().get(name).cloned(),
                problem: serving.problems.get(name).map(ToString::to_string),
                marker: serving.config.marker.is_some(),
                waiting_config: serving.waiting.clone(),
                refused_config: serving.refused.as_ref().map(Refused::told),
            };
            (known.map(|known| known.since), stack.key.clone(), report)
        })
        .collect();
    reports.sort_by_key(|(since, ..)| Reverse(*since));
    reports
        .into_iter()
        .map(|(_, key, report)| (key, report))
        .collect()
}
