//! What the writer knows: of the stacks in force, of those of a config that waits, and of earlier.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::config::{Config, Stack};
use crate::history::Entry;
use crate::last_good::Kept;
use crate::state::StackState;
use crate::state::decide::{Decision, on_disk};
use crate::state::problem::Problem;
use crate::store::Unreadable;

/// What is known of the stacks of a config.
#[derive(Default)]
pub(super) struct Known {
    pub(super) states: BTreeMap<String, StackState>,
    pub(super) problems: BTreeMap<String, Problem>,
}

/// A config that waits, because the traffic of some of its stacks is not known.
pub(super) struct Waiting {
    pub(super) config: Arc<Config>,
    pub(super) certificate: Option<Certificate>,
    pub(super) since: Timestamp,
    /// Of those of its stacks that are not known from the config in force.
    pub(super) known: Known,
}

/// What was on disk at the start, and what is known since: also of stacks that the config no longer names.
pub(super) struct Memory {
    pub(super) kept: BTreeMap<String, Kept>,
    pub(super) damaged: Option<Unreadable>,
}

impl Known {
    /// Takes a decision; gives the change that is to be written into the history.
    pub(super) fn take(&mut self, name: &str, decision: Decision) -> Option<Entry> {
        if let Some(state) = decision.state {
            self.states.insert(name.to_owned(), state);
        }
        match decision.problem {
            Some(problem) => self.problems.insert(name.to_owned(), problem),
            None => self.problems.remove(name),
        };
        decision.unrecorded
    }

    /// Has the disk tell what is not known.
    pub(super) fn take_from_disk<'a>(
        &mut self,
        stacks: impl IntoIterator<Item = (&'a String, &'a Stack)>,
        memory: &Memory,
    ) {
        for (name, stack) in stacks {
            if !self.states.contains_key(name)
                && let Ok(Some(state)) = on_disk(stack, memory.of(name))
            {
                tracing::info!(
                    stack = name, traffic = %state.traffic,
                    "the state directory tells the last good traffic"
                );
                self.states.insert(name.clone(), state);
            }
        }
    }
}

impl Memory {
    /// What is remembered of a stack; an error where something was, and can't be read.
    pub(super) fn of(&self, stack: &str) -> Result<Option<&Kept>, &Unreadable> {
        match (self.kept.get(stack), &self.damaged) {
            (None, Some(why)) => Err(why),
            (kept, _) => Ok(kept),
        }
    }
}
