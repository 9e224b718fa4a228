//! The decision: which traffic a stack has, by all that is known.
//!
//! A pure function of what is known, so that every case of it can be tried. Its rules, the first that applies:
//!
//! 1. A valid value of the key moves the traffic; where the stack has a guard, one that nobody has verified does so once
//!    the guard has seen the servers of the colors that get more to be well.
//! 2. Else the newest choice that anybody knows of: this provider, the history, the providers that run, the disk. What
//!    the key has told this provider is one, and of two that are as old as each other what is in force stands.
//! 3. Where one of them can't be read, and the others know of no choice: nothing.
//! 4. Nobody has ever chosen: what the other providers serve, else the first color.

mod guard;

use std::time::Duration;

use jiff::Timestamp;

use super::guard::Verdict;
use super::problem::{Beside, Key, Problem};
use super::{Source, StackState};
use crate::config::Stack;
use crate::history::{Entry, OUTSIDE, Recorded};
use crate::last_good::Kept;
use crate::store::{KeyState, Reading, Unreadable};
use crate::traffic::{InvalidTraffic, Traffic};

/// In this time other providers have found a store that came back, and have reported to it.
pub const OTHERS_REPORT: Duration = Duration::from_millis(1500);

/// What is known of a stack.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What is in force here; none until something is known.
    pub known: Option<&'a StackState>,
    /// What the store says of its key.
    pub key: &'a KeyState,
    /// What the state directory has kept.
    pub disk: Result<Option<&'a Kept>, &'a Unreadable>,
    /// For how long the store has answered.
    pub answers_for: Duration,
    /// Whether it was away before.
    pub came_back: bool,
    /// What the guard has seen of what the key says.
    pub verdict: Option<&'a Verdict>,
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is in force from now on; none while that is not known.
    pub state: Option<StackState>,
    /// Why it does not follow the key, where it doesn't.
    pub problem: Option<Problem>,
    /// The change that brought it, where it came from outside and the history does not have it.
    pub unrecorded: Option<Entry>,
}

/// Decides.
pub fn decide(stack: &Stack, facts: Facts<'_>) -> Decision {
    let matter = match &facts.key.reading {
        Reading::Value(value) => match Traffic::parse(value, &stack.colors) {
            Ok(traffic) if stack.guard.is_some() => {
                return guard::by_guarded_key(stack, traffic, facts);
            }
            Ok(traffic) => return by_key(stack, traffic, facts),
            Err(error) => Key::Garbage(error),
        },
        Reading::Missing => Key::Gone,
        Reading::WrongType(what) => Key::WrongType(what.clone()),
        Reading::TooLong(bytes) => Key::Garbage(InvalidTraffic::TooLong(*bytes)),
    };
    without_key(stack, matter, facts)
}

/// What is in force while the store does not answer, where nothing is yet: what the state directory has kept.
///
/// # Errors
///
/// Why that is of no use.
pub fn on_disk(
    stack: &Stack,
    disk: Result<Option<&Kept>, &Unreadable>,
) -> Result<Option<StackState>, Unreadable> {
    let Some(kept) = disk.map_err(Clone::clone)? else {
        return Ok(None);
    };
    let traffic = Traffic::parse(kept.traffic.as_bytes(), &stack.colors);
    Ok(Some(StackState {
        traffic: traffic.map_err(|error| Unreadable(error.to_string()))?,
        since: kept.since,
        by: kept.by.clone(),
        source: if kept.default {
            Source::Default
        } else {
            Source::Disk
        },
    }))
}

/// An explicit, valid value.
fn by_key(stack: &Stack, traffic: Traffic, facts: Facts<'_>) -> Decision {
    let Facts { key, disk, .. } = facts;
    let known = facts.known.cloned();
    let known = known.or_else(|| on_disk(stack, disk).ok().flatten());
    let newest = key.newest.as_ref().ok().and_then(Option::as_ref);
    let meant = |newest: &Recorded| Traffic::parse(newest.entry.to.as_bytes(), &stack.colors).ok();
    let told = key.recorded(&traffic, &stack.colors);
    let same = known.as_ref().filter(|known| known.traffic == traffic);
    // It may have been set and set back while no provider ran, before the disk had it, or between two readings.
    let missed = newest.filter(|newest| {
        let set_since = |same: &StackState| newest.at > same.since && meant(newest).is_some();
        told.is_none() && same.is_some_and(|same| same.source != Source::Store || set_since(same))
    });
    // What the key tells is newer than what it takes the place of, though the store's clock was set back meanwhile, or
    // a change to this very traffic is what the history had last.
    let before = known.as_ref().and_then(StackState::chosen_since);
    let after = |at: Timestamp| before.map_or(at, |before| at.max(before));
    // Of the same traffic it is perhaps known better now who set it.
    let (since, by) = match (told, same) {
        (Some(told), _) => (after(told.at), told.entry.by.clone()),
        (None, Some(same)) if missed.is_none() => (same.since, same.by.clone()),
        _ => {
            let at = newest.map_or(key.at, |newest| key.at.max(newest.at));
            (after(at), OUTSIDE.to_owned())
        }
    };
    let from = match (&known, same) {
        _ if told.is_some() => None,
        (_, Some(_)) => missed.map(|newest| newest.entry.to.clone()),
        (Some(known), None) => Some(known.traffic.to_string()),
        // It may have been set while no provider ran: the history says what was before.
        (None, None) => newest.map(|newest| newest.entry.to.clone()),
    };
    Decision {
        unrecorded: from.map(|from| Entry {
            at: since,
            from,
            to: traffic.to_string(),
            by: by.clone(),
            why: String::new(),
        }),
        state: Some(StackState {
            traffic,
            since,
            by,
            source: Source::Store,
        }),
        problem: None,
    }
}

/// The key tells nothing.
fn without_key(stack: &Stack, matter: Key, facts: Facts<'_>) -> Decision {
    let never_set = matter == Key::Gone;
    let Some(standing) = standing(stack, never_set, facts) else {
        return Decision {
            state: None,
            problem: None,
            unrecorded: None,
        };
    };
    let Standing {
        state,
        chosen,
        beside,
    } = standing;
    let fine = never_set && !chosen && beside.is_empty();
    let problem = Problem {
        key: matter,
        beside,
    };
    Decision {
        state,
        problem: (!fine).then_some(problem),
        unrecorded: None,
    }
}

/// What is in force by all that is known besides the key.
struct Standing {
    /// None where that is not known.
    state: Option<StackState>,
    /// Whether somebody has chosen it.
    chosen: bool,
    /// What else would tell, and does not.
    beside: Vec<Beside>,
}

/// What stands whatever the key says; none where others may yet be heard of. Where it was never set, as it seems, that is
/// the first color at last.
fn standing(stack: &Stack, never_set: bool, facts: Facts<'_>) -> Option<Standing> {
    let Facts { known, key, .. } = facts;
    let mut silent = Vec::new();
    let history = in_history(stack, key, &mut silent);
    let peers = Peers::of(stack, key, &mut silent);
    let here = match known {
        Some(known) => Some(known.clone()),
        None => on_disk(stack, facts.disk).unwrap_or_else(|error| {
            silent.push(Beside::Disk(error));
            None
        }),
    };
    let chosen_here = here.clone().filter(|here| here.source != Source::Default);

    let told = history.is_some() || !peers.chosen.is_empty();
    // A store that has just come back, or has lost what the disk knows, may yet hear from other providers.
    let early = facts.answers_for < OTHERS_REPORT && (facts.came_back || chosen_here.is_some());
    let nobody = key.peers == Some(Ok(Vec::new()));
    if known.is_none() && !told && (key.peers.is_none() || early && nobody) {
        return None;
    }
    let chosen = chosen_here.into_iter().chain(history).chain(peers.chosen);
    // Of several that are as old as each other it is the first.
    let newest = chosen.reduce(|newest, other| {
        let newer = newest.since < other.since;
        if newer { other } else { newest }
    });
    if newest.is_some() {
        return Some(Standing {
            state: newest,
            chosen: true,
            beside: silent,
        });
    }
    // As far as is known nobody has ever chosen.
    let first = |traffic| StackState {
        traffic,
        since: key.at,
        by: String::new(),
        source: Source::Default,
    };
    let state = match (here, peers.unchosen.as_slice()) {
        (here, served @ [_, _, ..]) => {
            let served = served.iter().map(ToString::to_string).collect();
            silent.push(Beside::Disagree(served));
            here
        }
        (Some(here), _) => Some(here),
        // Not known is not never.
        (None, _) if !silent.is_empty() => None,
        (None, [served]) => Some(first(served.clone())),
        (None, []) => never_set.then(|| first(Traffic::all_to(stack.colors[0].clone()))),
    };
    Some(Standing {
        state,
        chosen: false,
        beside: silent,
    })
}

/// What the newest change in the history says.
fn in_history(stack: &Stack, key: &KeyState, silent: &mut Vec<Beside>) -> Option<StackState> {
    let recorded = match &key.newest {
        Ok(newest) => newest.as_ref()?,
        Err(error) => {
            silent.push(Beside::History(error.clone()));
            return None;
        }
    };
    match Traffic::parse(recorded.entry.to.as_bytes(), &stack.colors) {
        Ok(traffic) => Some(StackState {
            traffic,
            since: recorded.at,
            by: recorded.entry.by.clone(),
            source: Source::History,
        }),
        Err(error) => {
            silent.push(Beside::Change(error));
            None
        }
    }
}

/// What the providers that run serve.
#[derive(Default)]
struct Peers {
    /// By somebody's choice.
    chosen: Vec<StackState>,
    /// By nobody's, each once.
    unchosen: Vec<Traffic>,
}

impl Peers {
    fn of(stack: &Stack, key: &KeyState, silent: &mut Vec<Beside>) -> Self {
        let mut peers = Self::default();
        let served = match &key.peers {
            Some(Ok(served)) => served.as_slice(),
            Some(Err(error)) => {
                silent.push(Beside::Peers(error.clone()));
                &[]
            }
            None => &[],
        };
        for peer in served {
            let told = match &peer.traffic {
                Ok(told) => told,
                Err(why) => {
                    silent.push(Beside::Peers(Unreadable(why.clone())));
                    continue;
                }
            };
            let traffic = match Traffic::parse(told.as_bytes(), &stack.colors) {
                Ok(traffic) => traffic,
                Err(error) => {
                    silent.push(Beside::Peer(error));
                    continue;
                }
            };
            match peer.since {
                Some(since) => peers.chosen.push(StackState {
                    traffic,
                    since,
                    by: String::new(),
                    source: Source::Providers,
                }),
                None if !peers.unchosen.contains(&traffic) => peers.unchosen.push(traffic),
                None => {}
            }
        }
        peers
    }
}

#[cfg(test)]
mod tests;
