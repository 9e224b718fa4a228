//! The reporter: tells the store what this provider serves and what its instances have, and writes changes that came
//! from outside into the history.
//!
//! It has a connection of its own, so that no write delays the news of a change.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use crate::registry::{REPORT_EVERY, Report};
use crate::state::OutsideChange;
use crate::store::{Session, Store, StoreError};

/// After a change, others that come at the same time are waited for, so that a large fleet's confirmations make one
/// report and not thousands.
const GATHER: Duration = Duration::from_millis(2);

/// A store that does not answer must not delay the end.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(500);

/// Reports for as long as the provider runs.
pub async fn report(shared: Arc<Shared>, store: Store, mut outside: mpsc::Receiver<OutsideChange>) {
    let mut changes = shared.fleet.changes();
    let mut publications = shared.state.publications();
    let mut tick = interval(REPORT_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut session = None;
    let mut unrecorded = VecDeque::new();
    let mut refused = false;
    let mut not_before = Instant::now();
    loop {
        tokio::select! {
            Some(change) = outside.recv() => unrecorded.push_back(change),
            _ = changes.changed() => {}
            _ = publications.changed() => {}
            _ = tick.tick() => shared.fleet.sweep(),
        }
        if Instant::now() < not_before {
            continue;
        }
        tokio::time::sleep(GATHER).await;
        changes.mark_unchanged();
        publications.mark_unchanged();
        let Err(error) = write(&shared, &store, &mut session, &mut unrecorded).await else {
            refused = false;
            continue;
        };
        // Also one that refuses is asked anew: after a failover another server is the primary.
        session = None;
        not_before = Instant::now() + REPORT_EVERY / 2;
        match error {
            StoreError::Refused(error) => {
                if !std::mem::replace(&mut refused, true) {
                    tracing::warn!(
                        error,
                        "the store refuses what this provider writes: `flip` and `status` do not see its instances"
                    );
                }
            }
            // Who follows the keys logs that the store is away.
            error => tracing::debug!(%error, "no report could be written"),
        }
    }
}

async fn write(
    shared: &Shared,
    store: &Store,
    session: &mut Option<Session>,
    unrecorded: &mut VecDeque<OutsideChange>,
) -> Result<(), StoreError> {
    let session = match session {
        Some(session) => session,
        None => session.insert(store.connect().await?),
    };
    while let Some(OutsideChange { key, value, entry }) = unrecorded.front() {
        let recorded = session.record(key, value, entry).await;
        match recorded {
            Ok(()) => {}
            Err(StoreError::Refused(error)) => tracing::warn!(
                key,
                error,
                "the store refuses to take a change from outside into the history"
            ),
            // Tried again later: recorded twice makes no two entries.
            Err(error) => return Err(error),
        }
        unrecorded.pop_front();
    }
    tell(shared, session, false).await
}

/// The last report, when the provider stops: its instances serve on, but through it they get nothing new.
pub async fn farewell(shared: &Shared, store: &Store) {
    let told = async { tell(shared, &mut store.connect().await?, true).await };
    match tokio::time::timeout(FAREWELL_TIMEOUT, told).await {
        Ok(Ok(())) => {}
        // It is found out by the age of the report before.
        Ok(Err(error)) => tracing::debug!(%error, "the last report could not be written"),
        Err(_) => tracing::debug!("the last report took too long"),
    }
}

async fn tell(shared: &Shared, session: &mut Session, stopped: bool) -> Result<(), StoreError> {
    let serving = shared.state.serving();
    let instances: Vec<_> = shared
        .fleet
        .overview()
        .into_iter()
        .map(|instance| instance.entry)
        .collect();
    for (name, stack) in &serving.config.stacks {
        let known = serving
            .stacks
            .get(name)
            .filter(|_| serving.document.is_some());
        let report = Report {
            provider: shared.provider.clone(),
            stopped,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            traffic: known.map(|known| known.traffic.to_string()),
            revision: serving
                .document
                .as_ref()
                .map(|document| document.revision.to_string()),
            problem: serving.problems.get(name).cloned(),
            marker: serving.config.marker.is_some(),
            instances: instances.clone(),
        };
        session.report(&stack.key, &report).await?;
    }
    Ok(())
}
