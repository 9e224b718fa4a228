//! New configs: one waits until the traffic of all its stacks is known, and is checked when it comes into force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::Writer;
use super::known::{Known, Waiting};
use crate::certificate::Certificate;
use crate::config::{Config, Stack};
use crate::document::Parts;
use crate::registry::{WaitedFor, WaitingConfig};
use crate::state::takeover::{Takeover, take_over};
use crate::state::{Refusal, Refused, StackState};

impl Writer {
    /// Takes a new config, as soon as the traffic of all its stacks is known.
    pub fn on_config(&mut self, config: Config, certificate: Option<Certificate>) {
        let mut waiting = Waiting {
            config: Arc::new(config),
            certificate,
            since: Timestamp::now(),
            known: Known::default(),
        };
        // A store that answers knows better: it is asked for the new stacks at once, and waited for.
        if !self.store.connected {
            self.recall(&mut waiting);
        }
        self.waiting = Some(waiting);
        self.refused = None;
        self.publish();
        if let Some(waiting) = &self.state.serving().waiting {
            let stacks: Vec<_> = waiting.stacks.iter().map(|wanted| &wanted.stack).collect();
            tracing::info!(
                ?stacks,
                "the new config waits until the store tells the traffic of its new stacks"
            );
        }
    }

    /// Takes notice of a config file with mistakes. What it said before, and has not come into force, it says no more.
    pub fn on_mistakes(&mut self) {
        if self.waiting.take().is_some() {
            tracing::warn!("the config that was waiting is dropped: the file no longer says so");
        }
        self.refuse(Refusal::Mistakes);
        self.publish();
    }

    /// Whether a stack of another config is one whose traffic is known from the config in force.
    pub(super) fn carries(&self, name: &str, stack: &Stack) -> bool {
        let current = self.config.stacks.get(name);
        current.is_some_and(|current| current.key == stack.key)
            && self.known.states.contains_key(name)
    }

    /// What is known of a stack of a config that waits.
    pub(super) fn known_to<'a>(
        &'a self,
        waiting: &'a Waiting,
        name: &str,
        stack: &Stack,
    ) -> Option<&'a StackState> {
        self.known_with(waiting, name, stack).states.get(name)
    }

    fn known_with<'a>(&'a self, waiting: &'a Waiting, name: &str, stack: &Stack) -> &'a Known {
        if self.carries(name, stack) {
            &self.known
        } else {
            &waiting.known
        }
    }

    /// Has the disk tell what is not known of a config that waits.
    pub(super) fn recall(&self, waiting: &mut Waiting) {
        let config = Arc::clone(&waiting.config);
        let stacks = config.stacks.iter();
        let new = stacks.filter(|(name, stack)| !self.carries(name, stack));
        waiting.known.take_from_disk(new, &self.memory);
    }

    /// Has the config that waits come into force, if it can now; gives what it waits for where it can't.
    pub(super) fn take_over(&mut self) -> Option<WaitingConfig> {
        let waiting = self.waiting.take()?;
        let stacks = waiting.config.stacks.iter();
        let known = stacks.filter_map(|(name, stack)| {
            let state = self.known_to(&waiting, name, stack)?;
            Some((name.clone(), state.clone()))
        });
        match take_over(&waiting.config, known.collect()) {
            Takeover::InForce(states) => {
                self.come_into_force(waiting, states);
                None
            }
            Takeover::Waits(unknown) => {
                let wanted = unknown.into_iter().map(|stack| WaitedFor {
                    key: waiting.config.stacks[&stack].key.clone(),
                    problem: waiting.known.problems.get(&stack).map(ToString::to_string),
                    stack,
                });
                let told = WaitingConfig::new(waiting.since, wanted.collect());
                self.waiting = Some(waiting);
                Some(told)
            }
            Takeover::Refused { stack, color } => {
                let refusals = &self.state.counters.refused_reloads;
                refusals.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    stack, %color,
                    "the new config is refused: the color has traffic now, but the config no longer names it; \
                     the old config stays in force: flip away from it, then send SIGHUP"
                );
                self.refuse(Refusal::HasTraffic { stack, color });
                None
            }
        }
    }

    fn come_into_force(&mut self, waiting: Waiting, states: BTreeMap<String, StackState>) {
        let problems = waiting.config.stacks.iter().filter_map(|(name, stack)| {
            let known = self.known_with(&waiting, name, stack);
            Some((name.clone(), known.problems.get(name)?.clone()))
        });
        let problems = problems.collect();
        self.known = Known { states, problems };
        // What the guard of the new config holds back, the next read of the keys tells.
        self.holdings.clear();
        self.config = waiting.config;
        self.certificate = waiting.certificate;
        self.parts = Parts::default();
        self.state.counters.reloads.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            stacks = self.config.stacks.len(),
            "the new config is in force"
        );
    }

    fn refuse(&mut self, why: Refusal) {
        let since = Timestamp::now();
        self.refused = Some(Refused { since, why });
    }
}
