//! `GET /status`: what runs, for a person with curl and for programs.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Shared;
use super::adopter::Open;
use crate::dead::Server;
use crate::registry::{OtherPaths, RefusedConfig, Routers, WaitingConfig};
use crate::rollout::record::Record;
use crate::state::{Refused, Source};

/// The whole of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    version: &'static str,
    provider: String,
    revision: Option<String>,
    /// Why a file that was replaced is not in force: a certificate, a token.
    problems: Vec<String>,
    stacks: BTreeMap<String, Stack>,
    /// A new config that is not in force yet.
    waiting_config: Option<WaitingConfig>,
    /// The newest config, where it was refused.
    refused_config: Option<RefusedConfig>,
    store: Store,
    instances: Vec<Instance>,
}

/// One stack. One that is not known yet has no traffic.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stack {
    key: String,
    traffic: Option<String>,
    since: Option<Timestamp>,
    by: Option<String>,
    source: Option<Source>,
    /// Colors that lost their traffic and still get the requests that are pinned to them.
    draining: Vec<String>,
    /// Dead servers that are not in the document.
    left_out: Vec<LeftOut>,
    problem: Option<String>,
    /// The rollout that has not ended.
    rollout: Option<Rollout>,
}

/// A rollout that has not ended: its record, and whether nobody runs it.
#[derive(Debug, Serialize)]
struct Rollout {
    #[serde(flatten)]
    record: Record,
    abandoned: bool,
}

/// A dead server that is not in the document.
#[derive(Debug, Serialize)]
struct LeftOut {
    service: String,
    color: String,
    server: String,
}

impl LeftOut {
    fn of(server: &Server) -> Self {
        Self {
            service: server.service.clone(),
            color: server.color.to_string(),
            server: server.url.clone(),
        }
    }
}

/// The store.
#[derive(Debug, Serialize)]
struct Store {
    url: String,
    connected: bool,
    since: Timestamp,
    error: Option<String>,
}

/// One instance. Times are in seconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Instance {
    id: String,
    address: String,
    /// What it polls.
    path: String,
    /// What else is polled under its name, by another Traefik therefore.
    other_paths: Option<OtherPaths>,
    revision: Option<String>,
    held: bool,
    /// Whether it has fetched the current document and come back for the next one.
    confirmed: bool,
    /// Whether it was seen to route by the current document; none without a marker.
    applied: Option<bool>,
    /// What its API says of the document's routers; none where that is not known.
    routers: Option<Routers>,
    hold: f64,
    hold_cut: Option<f64>,
    cadence: Option<f64>,
    /// Whether each of its polls comes on a connection of its own, as through a proxy that keeps none.
    reconnects: bool,
    /// Whether `flip` waits for it.
    counts: bool,
    /// Whether it has polled for the first time just now, and is waited for until it polls again.
    newcomer: bool,
    last_seen: Timestamp,
}

/// What runs now.
pub fn status(shared: &Shared) -> Status {
    let serving = shared.state.serving();
    let current = serving.document.as_ref().map(|document| &document.revision);
    let rollouts = shared.rollouts.borrow().clone();
    let stacks = serving.config.stacks.iter().map(|(name, stack)| {
        let rollout = rollouts.get(name).cloned();
        let known = serving.stacks.get(name);
        let left_out = serving.left_out.get(name).into_iter().flatten();
        let stack = Stack {
            key: stack.key.clone(),
            traffic: known.map(|known| known.traffic.to_string()),
            since: known.map(|known| known.since),
            by: known.map(|known| known.by.clone()),
            source: known.map(|known| known.source),
            draining: Vec::new(),
            left_out: left_out.map(LeftOut::of).collect(),
            problem: serving.problems.get(name).map(ToString::to_string),
            rollout: rollout.map(|Open { record, abandoned }| Rollout { record, abandoned }),
        };
        (name.clone(), stack)
    });
    let (clock, now) = (Instant::now(), Timestamp::now());
    let instances = shared.fleet.overview().into_iter().map(|instance| {
        let current = match &instance.share {
            Some(share) => share.revision(),
            None => current.cloned(),
        };
        let has = |revision: &Option<_>| current.is_some() && *revision == current;
        let ago = SignedDuration::try_from(clock.duration_since(instance.seen)).unwrap_or_default();
        let entry = &instance.entry;
        Instance {
            confirmed: has(&instance.confirmed),
            applied: serving
                .config
                .marker
                .is_some()
                .then(|| has(&instance.applied)),
            routers: entry.routers.clone(),
            last_seen: now.checked_sub(ago).unwrap_or(now),
            id: entry.id.clone(),
            path: entry.share.clone().unwrap_or_else(|| "/traefik".to_owned()),
            other_paths: entry.other_paths.clone(),
            address: entry.address.clone(),
            revision: entry.revision.clone(),
            held: entry.held,
            hold: entry.hold,
            hold_cut: entry.hold_cut,
            cadence: entry.cadence,
            reconnects: entry.reconnects,
            counts: entry.counts,
            newcomer: entry.newcomer,
        }
    });
    Status {
        version: env!("CARGO_PKG_VERSION"),
        provider: shared.provider.clone(),
        revision: current.map(ToString::to_string),
        problems: problems(shared),
        stacks: stacks.collect(),
        waiting_config: serving.waiting.clone(),
        refused_config: serving.refused.as_ref().map(Refused::told),
        store: Store {
            url: shared.store.to_string(),
            connected: serving.store.connected,
            since: serving.store.since,
            error: serving.store.error.clone(),
        },
        instances: instances.collect(),
    }
}

fn problems(shared: &Shared) -> Vec<String> {
    let tokens = shared.access.sources();
    let tls = shared.tls.iter().filter_map(|tls| tls.problem());
    tls.chain(tokens.filter_map(|tokens| tokens.problem()))
        .collect()
}
