//! The news: what of a decision is told in the log, and counted.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::decide::Decision;
use super::problem::{Key, Problem};
use super::{Counters, Source, StackState};
use crate::dead::{LeftOut, Server};
use crate::store::KeyState;

/// A decision, and what was before it.
pub(super) struct News<'a> {
    pub(super) stack: &'a str,
    /// The key's name, and what the store says of it.
    pub(super) key: (&'a str, &'a KeyState),
    pub(super) before: Option<&'a StackState>,
    pub(super) problem_before: Option<&'a Problem>,
    pub(super) decision: &'a Decision,
}

impl News<'_> {
    /// Of a stack of the config in force.
    pub(super) fn tell(&self, counters: &Counters) {
        let Self { stack, key, .. } = *self;
        let key = key.0;
        match (self.before, &self.decision.state) {
            (Some(before), Some(after)) if before.traffic != after.traffic => {
                counters.changes.fetch_add(1, Ordering::Relaxed);
                self.moved(before, after);
            }
            (None, Some(after)) => self.found(after),
            _ => {}
        }
        let Some(problem) = self.new_problem(counters) else {
            return;
        };
        match &self.decision.state {
            Some(known) => tracing::warn!(
                stack, key, %problem, traffic = %known.traffic,
                "the key holds no traffic value; the last good traffic stands: set it with `bluegreen flip` or `SET`"
            ),
            None => tracing::error!(
                stack, key, %problem,
                "the key holds no traffic value and no earlier one is known: \
                 the endpoint answers 503 until it is set to a color"
            ),
        }
    }

    /// Of a stack of a config that waits.
    pub(super) fn tell_waiting(&self, counters: &Counters) {
        let Self { stack, key, .. } = *self;
        if let Some(problem) = self.new_problem(counters) {
            let key = key.0;
            tracing::warn!(
                stack, key, %problem,
                "the key of a stack in the new config holds no traffic value: set it to a color, or correct the config"
            );
        }
    }

    fn moved(&self, before: &StackState, after: &StackState) {
        let Self { stack, .. } = *self;
        let (from, to, by) = (&before.traffic, &after.traffic, &after.by);
        if after.source == Source::Store {
            let newest = self.key.1.newest.as_ref().ok().and_then(Option::as_ref);
            let told = newest.filter(|newest| newest.at == after.since);
            let why = told
                .map(|told| &*told.entry.why)
                .filter(|why| !why.is_empty());
            tracing::info!(stack, %from, %to, by, why, "the traffic moves");
        } else {
            tracing::warn!(stack, %from, %to, source = ?after.source, "the traffic moves: there was a newer change than was known here");
        }
    }

    fn found(&self, after: &StackState) {
        let Self { stack, key, .. } = *self;
        let (key, traffic, by) = (key.0, &after.traffic, &after.by);
        match after.source {
            Source::Store => tracing::info!(stack, %traffic, by, "the key tells the traffic"),
            Source::History => {
                tracing::info!(stack, %traffic, by, "the history tells the last good traffic")
            }
            Source::Disk => {
                tracing::info!(stack, %traffic, "the state directory tells the last good traffic")
            }
            Source::Providers => tracing::warn!(
                stack, key, %traffic,
                "the key does not exist, but other providers serve this traffic: it stands"
            ),
            Source::Default => tracing::info!(
                stack, key, %traffic,
                "the key has never been set: the first color has the traffic"
            ),
        }
    }

    /// The problem, where it is another one than before.
    fn new_problem(&self, counters: &Counters) -> Option<&Problem> {
        let Self { stack, key, .. } = *self;
        let key = key.0;
        let told = self.decision.state.as_ref().map(|state| state.source) == Some(Source::Store);
        self.guarded(counters);
        match (self.problem_before, &self.decision.problem) {
            // The guard has its own words.
            (
                _,
                Some(Problem {
                    key: Key::Held(..), ..
                }),
            )
            | (
                Some(Problem {
                    key: Key::Held(..), ..
                }),
                None,
            ) => {}
            (Some(_), None) if told => {
                tracing::info!(stack, key, "the key holds a traffic value now")
            }
            (Some(_), None) => tracing::info!(
                stack,
                key,
                "the key does not exist, and nobody has ever chosen a traffic: this is no problem"
            ),
            (before, problem) if before != problem.as_ref() => {
                counters.unusable_values.fetch_add(1, Ordering::Relaxed);
                return problem.as_ref();
            }
            _ => {}
        }
        None
    }

    /// What the guard refuses, once; and that it does so no longer.
    fn guarded(&self, counters: &Counters) {
        let Self { stack, key, .. } = *self;
        let key = key.0;
        let refused = |problem: Option<&'_ Problem>| match &problem?.key {
            Key::Held(held, Some(_)) => Some(held.traffic.clone()),
            _ => None,
        };
        let now = self.decision.problem.as_ref();
        let before = refused(self.problem_before);
        match refused(now) {
            after if after == before => {}
            Some(_) => {
                counters.guard_refusals.fetch_add(1, Ordering::Relaxed);
                let problem = now.map(ToString::to_string).unwrap_or_default();
                tracing::warn!(stack, key, "{problem}");
            }
            None => {
                let follows = self.decision.state.as_ref().map(|state| &state.traffic);
                if let Some(refused) = before.filter(|refused| follows != Some(refused)) {
                    tracing::info!(stack, key, %refused, "the key no longer says what the guard refuses");
                }
            }
        }
    }
}

/// Which servers are left out of the document from now on, and which no longer.
pub(super) fn tell_left_out(before: &BTreeMap<String, LeftOut>, after: &BTreeMap<String, LeftOut>) {
    let beside = |one: &BTreeMap<String, LeftOut>, other: &BTreeMap<String, LeftOut>| {
        let one = one.iter().flat_map(|(stack, servers)| {
            let others = other.get(stack);
            let servers = servers.iter();
            let servers = servers.filter(|it| others.is_none_or(|others| !others.contains(it)));
            servers
                .map(|server| (stack.clone(), server.clone()))
                .collect::<Vec<_>>()
        });
        one.collect::<Vec<_>>()
    };
    for (
        stack,
        Server {
            service,
            color,
            url,
        },
    ) in beside(after, before)
    {
        tracing::warn!(stack, service, %color, server = url, "a server is dead: it is left out of the document");
    }
    for (
        stack,
        Server {
            service,
            color,
            url,
        },
    ) in beside(before, after)
    {
        tracing::info!(stack, service, %color, server = url, "a server is in the document again");
    }
}
