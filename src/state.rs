//! The state: what serves when.
//!
//! One writer, [`Writer`], takes what the store says and what the config file says, and publishes what the endpoint
//! serves; any number of watchers read it from [`State`]. Only an explicit, valid value moves traffic; whatever else
//! happens, the last good traffic stands.

mod share;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

pub use share::{NoShare, Share};
pub use writer::Writer;

use crate::config::Config;
use crate::document::{Document, Revision};
use crate::history::Entry;
use crate::traffic::Traffic;

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
    /// Neither the key nor the history says; the other providers serve it.
    Providers,
    /// The key has never been set: the first color.
    Default,
}

/// The traffic of one stack.
#[derive(Clone, Debug, PartialEq)]
pub struct StackState {
    /// The traffic in force.
    pub traffic: Traffic,
    /// Since when.
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
    pub problems: BTreeMap<String, String>,
    /// The document; none until the traffic of every stack is known.
    pub document: Option<Document>,
    /// The store.
    pub store: StoreState,
}

/// Counts of what went by, for the metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Changes of traffic.
    pub changes: AtomicU64,
    /// Keys that were found without a usable value, each time anew.
    pub unusable_values: AtomicU64,
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

/// A change that came from outside, to be written into the history.
#[derive(Clone, Debug)]
pub struct OutsideChange {
    /// The key that was set.
    pub key: String,
    /// What it was set to, as it was read.
    pub value: Vec<u8>,
    /// The history's entry.
    pub entry: Entry,
}
