//! The state: what serves when.
//!
//! One writer, [`Writer`], takes what the store says and what the config file says, and publishes what the endpoint
//! serves; any number of watchers read it from [`State`]. Only an explicit, valid value moves traffic; whatever else
//! happens, the last good traffic stands. What is served is decided by pure functions: [`decide`] for the traffic of a
//! stack, [`takeover`] for a new config.

pub mod decide;
pub mod guard;
mod news;
pub mod problem;
mod share;
pub mod takeover;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

pub use share::{NoShare, SHARES, Share};
pub use writer::Writer;

use crate::color::Color;
use crate::config::{Config, Stack};
use crate::dead::LeftOut;
use crate::document::{Document, Revision};
use crate::history::{Entry, OutsideChange, RefusedChange};
use crate::registry::{RefusedConfig, WaitingConfig};
use crate::store::{KeyState, Reading};
use crate::traffic::Traffic;
use problem::Problem;

/// Where a stack's traffic is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The key says so.
    Store,
    /// The key does not say; the newest change in the history does.
    History,
    /// The store has not said anything yet; the state directory has kept it.
    Disk,
    /// Neither the key nor the history says; the other providers serve it by somebody's choice.
    Providers,
    /// Nobody has ever chosen: the first color, or what the other providers serve.
    Default,
}

/// The traffic of one stack.
#[derive(Clone, Debug, PartialEq)]
pub struct StackState {
    /// The traffic in force.
    pub traffic: Traffic,
    /// Since when, by the store's clock.
    pub since: Timestamp,
    /// Who set it; empty where nobody did.
    pub by: String,
    /// Where it is known from.
    pub source: Source,
}

impl StackState {
    /// Since when this traffic has been in force by somebody's choice.
    pub fn chosen_since(&self) -> Option<Timestamp> {
        (self.source != Source::Default).then_some(self.since)
    }
}

/// What the store says, as seen from here.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreState {
    /// Whether it answers.
    pub connected: bool,
    /// Since when it has or hasn't.
    pub since: Timestamp,
    /// Why it doesn't.
    pub error: Option<String>,
}

/// What is served now, and why. Published as a whole.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The config in force.
    pub config: Arc<Config>,
    /// The traffic of each stack that is known.
    pub stacks: BTreeMap<String, StackState>,
    /// Per stack, why its traffic does not follow its key.
    pub problems: BTreeMap<String, Problem>,
    /// The servers that are left out of the document because they are dead, of each stack where there are such.
    pub left_out: BTreeMap<String, LeftOut>,
    /// The document; none until the traffic of every stack is known.
    pub document: Option<Document>,
    /// The store.
    pub store: StoreState,
    /// A new config that is not in force yet.
    pub waiting: Option<WaitingConfig>,
    /// The newest config, where it was refused.
    pub refused: Option<Refused>,
}

/// A config that was refused; the one before it stays in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: Refusal,
}

impl Refused {
    /// As it is told to others.
    pub fn told(&self) -> RefusedConfig {
        RefusedConfig {
            since: self.since,
            reason: self.why.to_string(),
        }
    }
}

/// Why a config is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The file has mistakes, which the log shows.
    #[error("it has mistakes: see the log, or run `bluegreen check`")]
    Mistakes,
    /// A color that has traffic is not named any more.
    #[error(
        "it does not name {color} of {stack}, which has traffic: flip away from it, then send SIGHUP"
    )]
    HasTraffic {
        /// The stack.
        stack: String,
        /// The color.
        color: Color,
    },
}

/// Counts of what went by, for the metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Changes of traffic.
    pub changes: AtomicU64,
    /// Keys that were found without a usable value, each time anew.
    pub unusable_values: AtomicU64,
    /// Plain `SET`s that the guard has refused, each once.
    pub guard_refusals: AtomicU64,
    /// Connections to the store that were lost or did not come about.
    pub store_errors: AtomicU64,
    /// Config files that were taken over.
    pub reloads: AtomicU64,
    /// Config files that were refused.
    pub refused_reloads: AtomicU64,
    /// Times that the last good traffic could not be written to disk.
    pub disk_errors: AtomicU64,
}

/// The readers' side of the state.
#[derive(Debug)]
pub struct State {
    serving: ArcSwap<Serving>,
    revision: watch::Sender<Option<Revision>>,
    anything: watch::Sender<()>,
    shares: share::Shares,
    /// Counts of what went by.
    pub counters: Counters,
}

impl State {
    /// What is served now.
    pub fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// Tells of each new document, by its revision. Equal documents are silent.
    pub fn revisions(&self) -> watch::Receiver<Option<Revision>> {
        self.revision.subscribe()
    }

    /// The share of the stacks with these names, which have commas between them.
    ///
    /// # Errors
    ///
    /// Where there can't be such a share.
    pub fn share(&self, names: &str) -> Result<Arc<Share>, NoShare> {
        self.shares.of(names, || self.serving())
    }

    /// Tells of whatever is published, also without a new document.
    pub fn publications(&self) -> watch::Receiver<()> {
        self.anything.subscribe()
    }
}

/// What is to be written into the history.
#[derive(Clone, Debug)]
pub enum Unrecorded {
    /// A change that came from outside.
    Change(OutsideChange),
    /// A change from outside that the guard has refused.
    Refusal(RefusedChange),
}

/// What was read of a stack's key, as an entry of its history.
fn outside_change(stack: &Stack, key: &KeyState, entry: Entry) -> Option<OutsideChange> {
    let Reading::Value(value) = &key.reading else {
        return None;
    };
    Some(OutsideChange {
        key: stack.key.clone(),
        value: value.clone(),
        entry,
    })
}
