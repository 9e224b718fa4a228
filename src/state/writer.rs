//! The one writer of the state: it takes what the store and the config file say, has it decided, and publishes what
//! is served.

mod config;
mod guard;
mod known;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;

use guard::Holding;
use known::{Known, Memory, Waiting};

use super::decide::{Facts, OTHERS_REPORT, decide, on_disk};
use super::guard::Held;
use super::news::{News, tell_left_out};
use super::share::Shares;
use super::{
    Counters, Refused, Serving, Source, StackState, State, StoreState, Unrecorded, outside_change,
};
use crate::certificate::Certificate;
use crate::config::{Config, Stack};
use crate::dead::{Dead, LeftOut, left_out};
use crate::document::{Parts, Revision};
use crate::history::OutsideChange;
use crate::last_good::Kept;
use crate::registry::Agreed;
use crate::store::follow::{Event, Followed, Stakes};
use crate::store::{KeyState, Unreadable};

/// The one writer of the state.
pub struct Writer {
    state: Arc<State>,
    config: Arc<Config>,
    certificate: Option<Certificate>,
    /// Of the config in force.
    parts: Parts,
    /// Of its stacks.
    known: Known,
    /// What the guard holds back, by stack; and the same, for it to look at.
    holdings: BTreeMap<String, Holding>,
    held: watch::Sender<BTreeMap<String, Held>>,
    /// The servers of each stack that are dead, as the providers agree.
    dead: BTreeMap<String, Dead>,
    /// A config that is not in force yet.
    waiting: Option<Waiting>,
    /// Why the newest config was refused, where it was.
    refused: Option<Refused>,
    store: StoreState,
    /// Since when the store has answered, and whether it was away before.
    answers: (Option<Instant>, bool),
    memory: Memory,
    /// What is to be on disk. Writing it is somebody else's work, because publishing must not wait for a disk.
    keep: watch::Sender<BTreeMap<String, Kept>>,
}

impl Writer {
    /// Starts with what is on disk; nothing is published as a document before the first event.
    pub fn new(
        config: Config,
        certificate: Option<Certificate>,
        kept: Result<BTreeMap<String, Kept>, Unreadable>,
    ) -> Self {
        let (kept, damaged) = match kept {
            Ok(kept) => (kept, None),
            Err(why) => (BTreeMap::new(), Some(why)),
        };
        let memory = Memory { kept, damaged };
        for (name, stack) in &config.stacks {
            if memory.kept.contains_key(name)
                && let Err(error) = on_disk(stack, memory.of(name))
            {
                tracing::warn!(stack = name, %error, "the last good traffic on disk is not used");
            }
        }
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
            left_out: BTreeMap::new(),
            document: None,
            store: store.clone(),
            waiting: None,
            refused: None,
        };
        let state = Arc::new(State {
            serving: ArcSwap::from_pointee(serving),
            revision: watch::Sender::new(None),
            anything: watch::Sender::new(()),
            shares: Shares::default(),
            counters: Counters::default(),
        });
        Self {
            state,
            config,
            certificate,
            parts: Parts::default(),
            known: Known::default(),
            holdings: BTreeMap::new(),
            held: watch::Sender::default(),
            dead: BTreeMap::new(),
            waiting: None,
            refused: None,
            store,
            answers: (None, false),
            keep: watch::Sender::new(memory.kept.clone()),
            memory,
        }
    }

    /// The readers' side.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// Tells what is to be on disk.
    pub fn kept(&self) -> watch::Receiver<BTreeMap<String, Kept>> {
        self.keep.subscribe()
    }

    /// Tells what the guard is to look at, by stack.
    pub fn held(&self) -> watch::Receiver<BTreeMap<String, Held>> {
        self.held.subscribe()
    }

    /// The keys to follow: those of the config in force and of one that waits.
    pub fn followed(&self) -> Followed {
        let waiting = self.waiting.iter();
        let waiting = waiting.flat_map(|waiting| waiting.config.stacks.values());
        let mut followed = Followed::new();
        for stack in self.config.stacks.values().chain(waiting) {
            let of_key = followed.entry(stack.key.clone());
            let of_key = of_key.or_insert_with(|| Stakes {
                colors: stack.colors.clone(),
                guarded: false,
                leaves_out: false,
            });
            // The key must tell a traffic to each of them.
            of_key.colors.retain(|color| stack.colors.contains(color));
            of_key.guarded |= stack.guard.is_some();
            of_key.leaves_out |= stack.leaves_out_dead();
        }
        followed
    }

    /// Takes what the store says, which came at this moment. The changes that nobody has written into the history yet
    /// are returned.
    pub fn on_store(&mut self, event: Event, now: Instant) -> Vec<Unrecorded> {
        let outside = match event {
            Event::Read(keys) => {
                self.store_answers(now);
                self.on_keys(&keys, now)
            }
            Event::Lost(reason) => {
                self.store_lost(reason);
                Vec::new()
            }
        };
        self.publish();
        outside.into_iter().map(Unrecorded::Change).collect()
    }

    fn on_keys(&mut self, keys: &BTreeMap<String, KeyState>, now: Instant) -> Vec<OutsideChange> {
        let mut outside = Vec::new();
        let config = Arc::clone(&self.config);
        for (name, stack, key) in read(&config, keys) {
            outside.extend(self.settle(name, key, now));
            if let Some(agreed) = &key.dead
                && stack.leaves_out_dead()
            {
                self.agree(name, agreed, now);
            }
        }
        let Some(mut waiting) = self.waiting.take() else {
            return outside;
        };
        let (answers_for, came_back) = self.answers_for(now);
        let config = Arc::clone(&waiting.config);
        for (name, stack, key) in read(&config, keys) {
            if self.carries(name, stack) {
                continue;
            }
            // With another key it is the same stack still.
            let before = waiting.known.states.get(name);
            let before = before.or_else(|| self.known.states.get(name));
            let facts = Facts {
                known: before,
                key,
                disk: self.memory.of(name),
                answers_for,
                came_back,
                verdict: None,
            };
            let decision = decide(stack, facts);
            let news = News {
                stack: name,
                key: (&stack.key, key),
                before,
                problem_before: waiting.known.problems.get(name),
                decision: &decision,
            };
            news.tell_waiting(&self.state.counters);
            let unrecorded = waiting.known.take(name, decision);
            outside.extend(unrecorded.and_then(|entry| outside_change(stack, key, entry)));
        }
        self.waiting = Some(waiting);
        outside
    }

    /// Has it decided what a stack of the config in force serves now that its key says so.
    fn settle(&mut self, name: &str, key: &KeyState, now: Instant) -> Option<OutsideChange> {
        let config = Arc::clone(&self.config);
        let stack = config.stacks.get(name)?;
        let before = self.known.states.get(name);
        let (answers_for, came_back) = self.answers_for(now);
        let facts = Facts {
            known: before,
            key,
            disk: self.memory.of(name),
            answers_for,
            came_back,
            verdict: self.verdict(name),
        };
        let decision = decide(stack, facts);
        let news = News {
            stack: name,
            key: (&stack.key, key),
            before,
            problem_before: self.known.problems.get(name),
            decision: &decision,
        };
        news.tell(&self.state.counters);
        if stack.guard.is_some() {
            self.hold(name, key, &decision);
        }
        let unrecorded = self.known.take(name, decision)?;
        outside_change(stack, key, unrecorded)
    }

    /// For how long the store has answered, and whether it was away before.
    fn answers_for(&self, now: Instant) -> (Duration, bool) {
        let (since, came_back) = self.answers;
        let answers_for = since.map_or(Duration::ZERO, |since| now - since);
        (answers_for, came_back)
    }

    /// Takes what the providers say of the dead servers of a stack.
    fn agree(&mut self, name: &str, agreed: &Agreed, now: Instant) {
        let (answers_for, came_back) = self.answers_for(now);
        let early = came_back && answers_for < OTHERS_REPORT;
        if let Some(dead) = agreed.after(self.dead.get(name), early) {
            self.dead.insert(name.to_owned(), dead.clone());
        }
    }

    /// The servers that are left out now.
    fn left_out(&self) -> BTreeMap<String, LeftOut> {
        let left_out = self.dead.iter().filter_map(|(name, dead)| {
            let stack = self.config.stacks.get(name)?;
            let left_out = left_out(stack, &self.known.states.get(name)?.traffic, dead);
            (!left_out.is_empty()).then(|| (name.clone(), left_out))
        });
        left_out.collect()
    }

    fn store_answers(&mut self, now: Instant) {
        if self.store.connected {
            return;
        }
        let came_back = self.store.error.is_some();
        if came_back {
            tracing::info!("the store is back");
        }
        self.answers = (Some(now), came_back);
        self.store = StoreState {
            connected: true,
            since: Timestamp::now(),
            error: None,
        };
    }

    fn store_lost(&mut self, reason: String) {
        let errors = &self.state.counters.store_errors;
        errors.fetch_add(1, Ordering::Relaxed);
        if self.store.error.is_some() {
            return;
        }
        self.known.take_from_disk(&self.config.stacks, &self.memory);
        if let Some(mut waiting) = self.waiting.take() {
            self.recall(&mut waiting);
            self.waiting = Some(waiting);
        }
        let meanwhile = if self.is_known() {
            "the last good traffic stands"
        } else {
            "the state directory does not know the traffic either: the endpoint answers 503 until the store answers"
        };
        tracing::warn!(reason, "the store can't be reached; {meanwhile}");
        self.store = StoreState {
            connected: false,
            since: Timestamp::now(),
            error: Some(reason),
        };
    }

    /// Whether the traffic of every stack of the config in force is known.
    fn is_known(&self) -> bool {
        let mut stacks = self.config.stacks.keys();
        stacks.all(|name| self.known.states.contains_key(name))
    }

    /// Publishes what is known now.
    fn publish(&mut self) {
        let waiting = self.take_over();
        self.tell_guard();
        let before = self.state.serving();
        let stacks = &self.known.states;
        let left_out = self.left_out();
        let same = Arc::ptr_eq(&before.config, &self.config)
            && same_traffic(&before.stacks, stacks)
            && before.left_out == left_out;
        let document = match &before.document {
            Some(document) if same => Some(document.clone()),
            _ if self.is_known() => {
                let traffic = stacks.iter();
                let traffic = traffic.map(|(name, stack)| (name.clone(), stack.traffic.clone()));
                let traffic = traffic.collect();
                let certificate = self.certificate.as_ref();
                let (parts, config) = (&mut self.parts, &self.config);
                Some(parts.render_those(config, &|_| true, &traffic, &left_out, certificate))
            }
            _ => None,
        };
        let revision = document.as_ref().map(|document| document.revision.clone());
        let serving = Serving {
            config: Arc::clone(&self.config),
            stacks: stacks.clone(),
            problems: self.known.problems.clone(),
            left_out,
            document,
            store: self.store.clone(),
            waiting,
            refused: self.refused.clone(),
        };
        let equal = Arc::ptr_eq(&before.config, &serving.config)
            && before.stacks == serving.stacks
            && before.problems == serving.problems
            && before.store == serving.store
            && before.left_out == serving.left_out
            && before.document == serving.document
            && before.waiting == serving.waiting
            && before.refused == serving.refused;
        if equal {
            return;
        }
        tell_left_out(&before.left_out, &serving.left_out);
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
        for (name, stack) in &self.known.states {
            let kept = Kept {
                traffic: stack.traffic.to_string(),
                default: stack.source == Source::Default,
                since: stack.since,
                by: stack.by.clone(),
            };
            // A stack that leaves the config and comes back must not find what it had when the provider started.
            self.memory.kept.insert(name.clone(), kept);
        }
        let mut kept = self.memory.kept.clone();
        kept.retain(|name, _| self.config.stacks.contains_key(name));
        self.keep.send_if_modified(|keep| {
            let differs = *keep != kept;
            if differs {
                *keep = kept;
            }
            differs
        });
    }
}

/// The stacks of a config whose keys have been read.
fn read<'a>(
    config: &'a Config,
    keys: &'a BTreeMap<String, KeyState>,
) -> impl Iterator<Item = (&'a str, &'a Stack, &'a KeyState)> {
    let stacks = config.stacks.iter();
    stacks.filter_map(|(name, stack)| Some((name.as_str(), stack, keys.get(&stack.key)?)))
}

fn same_traffic(a: &BTreeMap<String, StackState>, b: &BTreeMap<String, StackState>) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|((name, a), (other, b))| name == other && a.traffic == b.traffic)
}

#[cfg(test)]
mod tests;
