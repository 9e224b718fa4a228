//! What a key means for its stack: the rules of what serves when.
//!
//! An explicit, valid value moves the traffic. Anything else leaves the last good traffic; where none is known, the
//! history tells, then the other providers, and only a key that has never been set gives the first color.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::Writer;
use crate::config::Stack;
use crate::history::{Entry, OUTSIDE};
use crate::state::{OutsideChange, Source, StackState};
use crate::store::{KeyState, Reading};
use crate::traffic::Traffic;

/// In this time other providers have found a store that came back, and have reported to it.
const OTHERS_REPORT: Duration = Duration::from_millis(1500);

impl Writer {
    /// What one key means for its stack.
    pub(super) fn on_key(
        &mut self,
        name: &str,
        stack: &Stack,
        key: &KeyState,
    ) -> Option<OutsideChange> {
        let newest = key.newest.as_ref().ok().and_then(Option::as_ref);
        let newest = newest.map(|newest| &newest.entry);
        let problem = match &key.reading {
            Reading::Value(value) => match Traffic::parse(value, &stack.colors) {
                Ok(traffic) => {
                    if self.problems.remove(name).is_some() {
                        tracing::info!(
                            stack = name,
                            key = stack.key,
                            "the key holds a traffic value again"
                        );
                    }
                    return self.on_traffic(name, stack, traffic, value, newest);
                }
                Err(error) => error.to_string(),
            },
            Reading::Missing => {
                let never_set = key.newest == Ok(None);
                match self.stacks.get(name) {
                    Some(known) if known.source == Source::Default && never_set => return None,
                    None if never_set => {
                        let peers = key.peers.iter().flatten().flatten();
                        let served: BTreeSet<_> = peers.map(|peer| &*peer.traffic).collect();
                        match served.into_iter().collect::<Vec<_>>().as_slice() {
                            // The others may not have reported yet to a store that has just come back.
                            [] if self
                                .back_since
                                .is_some_and(|at| at.elapsed() < OTHERS_REPORT) => {}
                            [] if self.memory_is_damaged => {
                                let problem = "the key does not exist, and the last good traffic on disk is damaged";
                                self.on_problem(name, stack, problem.to_owned(), None);
                            }
                            [] => self.on_never_set(name, stack),
                            [one] if self.on_served(name, stack, one) => {}
                            several => {
                                let problem = format!(
                                    "the key does not exist, and other providers serve {}",
                                    several.join(" and ")
                                );
                                self.on_problem(name, stack, problem, None);
                            }
                        }
                        return None;
                    }
                    _ => "the key does not exist any more".to_owned(),
                }
            }
            Reading::WrongType(what) => what.clone(),
        };
        self.on_problem(name, stack, problem, newest);
        None
    }

    /// A key that has never been set: the first color.
    fn on_never_set(&mut self, name: &str, stack: &Stack) {
        let first = StackState {
            traffic: Traffic::all_to(stack.colors[0].clone()),
            since: Timestamp::now(),
            by: String::new(),
            source: Source::Default,
        };
        tracing::info!(
            stack = name,
            key = stack.key,
            traffic = first.traffic.to_string(),
            "the key has never been set: the first color has the traffic"
        );
        self.stacks.insert(name.to_owned(), first);
    }

    /// A key that seems never set, of a stack that other providers serve: a store that lost all it knew looks like
    /// that. They know what the last good traffic is.
    fn on_served(&mut self, name: &str, stack: &Stack, served: &str) -> bool {
        let Ok(traffic) = Traffic::parse(served.as_bytes(), &stack.colors) else {
            return false;
        };
        if traffic == Traffic::all_to(stack.colors[0].clone()) {
            self.on_never_set(name, stack);
            return true;
        }
        tracing::warn!(
            stack = name,
            key = stack.key,
            traffic = served,
            "the key does not exist, but other providers serve this traffic: it stands"
        );
        let state = StackState {
            traffic,
            since: Timestamp::now(),
            by: String::new(),
            source: Source::Providers,
        };
        self.stacks.insert(name.to_owned(), state);
        true
    }

    /// An explicit, valid value.
    fn on_traffic(
        &mut self,
        name: &str,
        stack: &Stack,
        traffic: Traffic,
        value: &[u8],
        newest: Option<&Entry>,
    ) -> Option<OutsideChange> {
        let told = newest.filter(|entry| entry.to == traffic.to_string());
        let known = self.stacks.get(name);
        let same = known.filter(|known| known.traffic == traffic);
        // It may have been set and set back while no provider ran, or before the disk had it.
        let missed = newest
            .filter(|_| told.is_none() && same.is_some_and(|known| known.source != Source::Store));
        // Of the same traffic it is perhaps known better now who set it.
        let (since, by) = match (told, same) {
            (Some(entry), _) => (entry.at, entry.by.clone()),
            (None, Some(known)) if missed.is_none() => (known.since, known.by.clone()),
            _ => (Timestamp::now(), OUTSIDE.to_owned()),
        };
        let state = StackState {
            traffic: traffic.clone(),
            since,
            by: by.clone(),
            source: Source::Store,
        };
        let outside = |from: String| OutsideChange {
            key: stack.key.clone(),
            value: value.to_owned(),
            entry: Entry {
                at: since,
                from,
                to: traffic.to_string(),
                by: by.clone(),
                why: String::new(),
            },
        };
        if same.is_some() {
            let outside = missed.map(|entry| outside(entry.to.clone()));
            self.stacks.insert(name.to_owned(), state);
            return outside;
        }
        let from = known.map(|known| known.traffic.to_string());
        match &from {
            Some(from) => {
                self.state.counters.changes.fetch_add(1, Ordering::Relaxed);
                let why = told
                    .map(|entry| entry.why.as_str())
                    .filter(|why| !why.is_empty());
                tracing::info!(
                    stack = name,
                    from,
                    to = traffic.to_string(),
                    by,
                    why,
                    "the traffic moves"
                );
            }
            None => tracing::info!(
                stack = name,
                traffic = traffic.to_string(),
                by,
                "the key tells the traffic"
            ),
        }
        // Where nothing was known here, it may have been set while no provider ran: the history says what was before.
        let before = from.or_else(|| newest.map(|entry| entry.to.clone()));
        let outside = before.filter(|_| told.is_none()).map(outside);
        self.stacks.insert(name.to_owned(), state);
        outside
    }

    /// The key says nothing that could be followed. Logged once, until it says something else.
    fn on_problem(&mut self, name: &str, stack: &Stack, problem: String, newest: Option<&Entry>) {
        // What the key has not said itself to this provider yields to a newer change, which it has not seen.
        let yields = |known: &StackState, newest: &Entry| {
            matches!(known.source, Source::Disk | Source::Default) && known.since < newest.at
        };
        if let Some(newest) = newest
            && self
                .stacks
                .get(name)
                .is_none_or(|known| yields(known, newest))
            && let Ok(traffic) = Traffic::parse(newest.to.as_bytes(), &stack.colors)
        {
            let state = StackState {
                traffic,
                since: newest.at,
                by: newest.by.clone(),
                source: Source::History,
            };
            self.stacks.insert(name.to_owned(), state);
        }
        if self.problems.get(name) == Some(&problem) {
            return;
        }
        self.state
            .counters
            .unusable_values
            .fetch_add(1, Ordering::Relaxed);
        let key = &stack.key;
        match self.stacks.get(name) {
            Some(known) => tracing::warn!(
                stack = name, key, problem, traffic = %known.traffic,
                "the key holds no traffic value; the last good traffic stands: set it with `bluegreen flip` or `SET`"
            ),
            None => tracing::error!(
                stack = name,
                key,
                problem,
                "the key holds no traffic value and no earlier one is known: \
                 the endpoint answers 503 until it is set to a color"
            ),
        }
        self.problems.insert(name.to_owned(), problem);
    }
}
