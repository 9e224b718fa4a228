//! The one writer of the state: what the store and the config file say becomes what is served.

mod key;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;

use super::share::Shares;
use super::{Counters, OutsideChange, Serving, Source, StackState, State, StoreState};
use crate::certificate::Certificate;
use crate::config::Config;
use crate::document::{Parts, Revision};
use crate::last_good::Kept;
use crate::store::follow::{Event, Followed};
use crate::traffic::Traffic;

/// The one writer of the state.
pub struct Writer {
    state: Arc<State>,
    config: Arc<Config>,
    /// A config whose new stacks' traffic is not known yet.
    pending: Option<Arc<Config>>,
    certificate: Option<Certificate>,
    /// Of the config in force.
    parts: Parts,
    stacks: BTreeMap<String, StackState>,
    problems: BTreeMap<String, String>,
    store: StoreState,
    /// What was on disk at the start, and what is known since: also of stacks that the config no longer names.
    on_disk: BTreeMap<String, Kept>,
    /// Whether something was on disk that can't be read.
    memory_is_damaged: bool,
    /// When the store came back.
    back_since: Option<Instant>,
    /// What is to be on disk. Writing it is somebody else's work, because publishing must not wait for a disk.
    keep: watch::Sender<BTreeMap<String, Kept>>,
}

impl Writer {
    /// Starts with what is on disk, or without it where that is damaged; nothing is published as a document before the first event.
    pub fn new(
        config: Config,
        certificate: Option<Certificate>,
        on_disk: Option<BTreeMap<String, Kept>>,
    ) -> Self {
        let memory_is_damaged = on_disk.is_none();
        let on_disk = on_disk.unwrap_or_default();
        let config = Arc::new(config);
        let store = StoreState {
            connected: false,
            since: Timestamp::now(),
            error: None,
        };
        let serving = Serving {
            config: Arc::clone(&config),
            stacks: BTreeMap::new(),
            problems: BTreeMap::new(),
            document: None,
            store: store.clone(),
        };
        let state = Arc::new(State {
            serving: ArcSwap::from_pointee(serving),
            revision: watch::Sender::new(None),
            anything: watch::Sender::new(()),
            shares: Shares::default(),
            counters: Counters::default(),
        });
        let mut writer = Self {
            state,
            config: Arc::clone(&config),
            pending: None,
            certificate,
            parts: Parts::default(),
            stacks: BTreeMap::new(),
            problems: BTreeMap::new(),
            store,
            keep: watch::Sender::new(on_disk.clone()),
            on_disk,
            memory_is_damaged,
            back_since: None,
        };
        writer.take_from_disk(&config);
        writer
    }

    /// The readers' side.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// Tells what is to be on disk.
    pub fn kept(&self) -> watch::Receiver<BTreeMap<String, Kept>> {
        self.keep.subscribe()
    }

    /// The keys to follow: those of the config in force and of one that waits.
    pub fn followed(&self) -> Followed {
        let configs = [Some(&self.config), self.pending.as_ref()];
        let stacks = configs
            .into_iter()
            .flatten()
            .flat_map(|config| &config.stacks);
        let (mut keys, mut unsettled) = (BTreeSet::new(), BTreeMap::new());
        for (name, stack) in stacks {
            keys.insert(stack.key.clone());
            if !self.stacks.contains_key(name) {
                unsettled.insert(stack.key.clone(), stack.colors.clone());
            }
        }
        let keys = keys.into_iter().collect();
        Followed { keys, unsettled }
    }

    /// Takes what the store says. The changes that nobody has written into the history yet are returned.
    pub fn on_store(&mut self, event: Event) -> Vec<OutsideChange> {
        let mut outside = Vec::new();
        match event {
            Event::Read(keys) => {
                self.store_answers();
                let current = Arc::clone(&self.config);
                let pending = self.pending.clone();
                let new = pending.iter().flat_map(|config| &config.stacks);
                let new = new.filter(|(name, _)| !current.stacks.contains_key(*name));
                for (name, stack) in current.stacks.iter().chain(new) {
                    if let Some(key) = keys.get(&stack.key) {
                        outside.extend(self.on_key(name, stack, key));
                    }
                }
            }
            Event::Lost(reason) => self.store_lost(reason),
        }
        self.publish();
        outside
    }

    /// Takes a new config, once the traffic of all its stacks is known.
    pub fn on_config(&mut self, config: Config, certificate: Option<Certificate>) {
        for (name, stack) in &config.stacks {
            if let Some(known) = self.stacks.get(name)
                && let Some(gone) = known
                    .traffic
                    .colors()
                    .find(|color| !stack.colors.contains(color))
            {
                self.state
                    .counters
                    .refused_reloads
                    .fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    stack = name, color = %gone,
                    "the new config is refused: the color has traffic now, but the config no longer names it; \
                     the old config stays in force: flip away from it, then send SIGHUP"
                );
                return;
            }
        }
        self.certificate = certificate;
        let config = Arc::new(config);
        // A store that answers knows better: it is asked for the new stacks at once, and waited for.
        if !self.store.connected {
            self.take_from_disk(&config);
        }
        self.pending = Some(config);
        self.publish();
        if let Some(pending) = &self.pending {
            let unknown: Vec<_> = pending
                .stacks
                .keys()
                .filter(|name| !self.stacks.contains_key(*name))
                .collect();
            tracing::info!(stacks = ?unknown, "the new config waits until the store tells the traffic of its new stacks");
        }
    }

    fn take_from_disk(&mut self, config: &Config) {
        for (name, stack) in &config.stacks {
            if self.stacks.contains_key(name) {
                continue;
            }
            let Some(kept) = self.on_disk.get(name) else {
                continue;
            };
            match Traffic::parse(kept.traffic.as_bytes(), &stack.colors) {
                Ok(traffic) => {
                    let state = StackState {
                        traffic,
                        since: kept.since,
                        by: kept.by.clone(),
                        source: if kept.default {
                            Source::Default
                        } else {
                            Source::Disk
                        },
                    };
                    tracing::info!(
                        stack = name,
                        traffic = kept.traffic,
                        "the state directory tells the last good traffic"
                    );
                    self.stacks.insert(name.clone(), state);
                }
                Err(error) => {
                    tracing::warn!(stack = name, %error, "the last good traffic on disk is not used")
                }
            }
        }
    }

    fn store_answers(&mut self) {
        if !self.store.connected {
            if self.store.error.is_some() {
                tracing::info!("the store is back");
                self.back_since = Some(Instant::now());
            }
            self.store = StoreState {
                connected: true,
                since: Timestamp::now(),
                error: None,
            };
        }
    }

    fn store_lost(&mut self, reason: String) {
        self.state
            .counters
            .store_errors
            .fetch_add(1, Ordering::Relaxed);
        if self.store.error.is_some() {
            return;
        }
        let unknown = self
            .config
            .stacks
            .keys()
            .any(|name| !self.stacks.contains_key(name));
        let meanwhile = if unknown {
            "the state directory does not know the traffic either: the endpoint answers 503 until the store answers"
        } else {
            "the last good traffic stands"
        };
        tracing::warn!(reason, "the store can't be reached; {meanwhile}");
        if let Some(pending) = self.pending.clone() {
            self.take_from_disk(&pending);
        }
        self.store = StoreState {
            connected: false,
            since: Timestamp::now(),
            error: Some(reason),
        };
    }

    /// Publishes what is known now.
    fn publish(&mut self) {
        if let Some(pending) = self.pending.take_if(|config| {
            config
                .stacks
                .keys()
                .all(|name| self.stacks.contains_key(name))
        }) {
            self.config = pending;
            self.parts = Parts::default();
            self.stacks
                .retain(|name, _| self.config.stacks.contains_key(name));
            self.problems
                .retain(|name, _| self.config.stacks.contains_key(name));
            self.state.counters.reloads.fetch_add(1, Ordering::Relaxed);
            tracing::info!(
                stacks = self.config.stacks.len(),
                "the new config is in force"
            );
        }
        let before = self.state.serving();
        let known = self
            .config
            .stacks
            .keys()
            .all(|name| self.stacks.contains_key(name));
        let same =
            Arc::ptr_eq(&before.config, &self.config) && same_traffic(&before.stacks, &self.stacks);
        let document = match &before.document {
            Some(document) if same => Some(document.clone()),
            _ if known => {
                let traffic = self
                    .stacks
                    .iter()
                    .map(|(name, stack)| (name.clone(), stack.traffic.clone()))
                    .collect();
                let certificate = self.certificate.as_ref();
                Some(self.parts.render(&self.config, &traffic, certificate))
            }
            _ => None,
        };
        let revision = document.as_ref().map(|document| document.revision.clone());
        let serving = Serving {
            config: Arc::clone(&self.config),
            stacks: self.stacks.clone(),
            problems: self.problems.clone(),
            document,
            store: self.store.clone(),
        };
        let equal = Arc::ptr_eq(&before.config, &serving.config)
            && before.stacks == serving.stacks
            && before.problems == serving.problems
            && before.store == serving.store
            && before.document == serving.document;
        if equal {
            return;
        }
        let serving = Arc::new(serving);
        self.state.serving.store(Arc::clone(&serving));
        let certificate = self.certificate.as_ref();
        self.state.shares.update(&serving, certificate);
        self.state.revision.send_if_modified(|published| {
            let differs = *published != revision;
            if differs {
                tracing::debug!(
                    revision = revision.as_ref().map(Revision::as_str),
                    "new document"
                );
                *published = revision;
            }
            differs
        });
        self.state.anything.send_replace(());
        self.keep();
    }

    /// What is known now, as it is to be on disk.
    fn keep(&mut self) {
        let kept = self.stacks.iter().map(|(name, stack)| {
            let kept = Kept {
                traffic: stack.traffic.to_string(),
                default: stack.source == Source::Default,
                since: stack.since,
                by: stack.by.clone(),
            };
            (name.clone(), kept)
        });
        let kept: BTreeMap<_, _> = kept.collect();
        // A stack that leaves the config and comes back must not find what it had when the provider started.
        self.on_disk.extend(kept.clone());
        self.keep.send_if_modified(|keep| {
            // A start without any knowledge must not wipe what an earlier run has kept.
            let differs = !kept.is_empty() && *keep != kept;
            if differs {
                *keep = kept;
            }
            differs
        });
    }
}

fn same_traffic(a: &BTreeMap<String, StackState>, b: &BTreeMap<String, StackState>) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|((name, a), (other, b))| name == other && a.traffic == b.traffic)
}
