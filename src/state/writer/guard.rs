//! What the guard holds back, and what it has seen.

use std::time::Instant;

use jiff::Timestamp;

use super::Writer;
use crate::history::{Entry, GUARD, RefusedChange};
use crate::state::decide::Decision;
use crate::state::guard::{Held, Verdict};
use crate::state::problem::{Key, Problem};
use crate::state::{Unrecorded, outside_change};
use crate::store::KeyState;

/// A change that is held back.
pub(super) struct Holding {
    held: Held,
    /// What the store said last of its key.
    key: KeyState,
    /// Since when the key has said so, by the store's clock.
    since: Timestamp,
    verdict: Option<Verdict>,
}

impl Writer {
    /// Takes what the guard has seen of a change that is held back. What is to be written into the history is returned.
    pub fn on_verdict(&mut self, stack: &str, verdict: Verdict, now: Instant) -> Vec<Unrecorded> {
        let holding = self.holdings.get_mut(stack);
        let Some(holding) = holding.filter(|it| it.held.traffic == verdict.traffic) else {
            return Vec::new();
        };
        let first = holding.verdict.is_none();
        holding.verdict = Some(verdict);
        let (key, since) = (holding.key.clone(), holding.since);
        let change = self.settle(stack, &key, now).map(Unrecorded::Change);
        let problem = self.known.problems.get(stack).filter(|_| first);
        let refusal = problem.and_then(|problem| {
            let Key::Held(held, Some(unwell)) = &problem.key else {
                return None;
            };
            let stack = self.config.stacks.get(stack)?;
            let (stands, refused) = (held.stands.to_string(), held.traffic.to_string());
            let entry = Entry {
                at: key.at,
                from: stands.clone(),
                to: stands,
                by: GUARD.to_owned(),
                why: format!("refused by the guard: `{refused}`: {unwell}"),
            };
            let change = outside_change(stack, &key, entry)?;
            Some(Unrecorded::Refusal(RefusedChange {
                change,
                refused,
                since,
            }))
        });
        let unrecorded = change.into_iter().chain(refusal).collect();
        self.publish();
        unrecorded
    }

    /// What the guard has seen of what this stack's key says.
    pub(super) fn verdict(&self, stack: &str) -> Option<&Verdict> {
        self.holdings.get(stack)?.verdict.as_ref()
    }

    /// Takes note of what a decision holds back; of what is held back no longer, nothing is known any more.
    pub(super) fn hold(&mut self, stack: &str, key: &KeyState, decision: &Decision) {
        let Some(Problem {
            key: Key::Held(held, _),
            ..
        }) = &decision.problem
        else {
            self.holdings.remove(stack);
            return;
        };
        let before = self.holdings.remove(stack);
        let same = before.filter(|before| before.held.traffic == held.traffic);
        let (since, verdict) = match same {
            Some(same) => (same.since, same.verdict),
            None => (key.at, None),
        };
        let holding = Holding {
            held: held.clone(),
            key: key.clone(),
            since,
            verdict,
        };
        self.holdings.insert(stack.to_owned(), holding);
    }

    /// Tells the guard what to look at.
    pub(super) fn tell_guard(&self) {
        let stacks = &self.config.stacks;
        let holdings = self.holdings.iter();
        let holdings = holdings.filter(|(name, _)| stacks.contains_key(*name));
        let held = holdings.map(|(name, holding)| (name.clone(), holding.held.clone()));
        self.held.send_if_modified(|told| {
            let held = held.collect();
            let differs = *told != held;
            *told = held;
            differs
        });
    }
}
