//! The decision about a change that nobody has verified.

use super::{Decision, Facts, by_key, standing};
use crate::config::Stack;
use crate::state::guard::Held;
use crate::state::problem::{Key, Problem};
use crate::traffic::Traffic;

/// Follows the key, or holds it back: what would be in force if the key told nothing stands until the guard has seen the
/// colors that would get more. Where nothing else is known, there is nothing that could stand.
pub(super) fn by_guarded_key(stack: &Stack, traffic: Traffic, facts: Facts<'_>) -> Decision {
    let follow = |traffic| by_key(stack, traffic, facts);
    let seen = facts.verdict.filter(|verdict| verdict.traffic == traffic);
    if seen.is_some_and(|verdict| verdict.unwell.is_none()) {
        return follow(traffic);
    }
    // Others may yet be heard of.
    let Some(standing) = standing(stack, false, facts) else {
        return Decision {
            state: None,
            problem: None,
            unrecorded: None,
        };
    };
    let Some(stands) = standing.state else {
        return follow(traffic);
    };
    // A change that is older than what stands is not the one that the key was set by.
    let recorded = facts.key.recorded(&traffic, &stack.colors);
    let chosen_since = stands.chosen_since();
    let verified = recorded.is_some_and(|it| chosen_since.is_none_or(|since| it.at >= since));
    match Held::of(&stands.traffic, traffic.clone()) {
        Some(held) if !verified => Decision {
            state: Some(stands),
            problem: Some(Problem {
                key: Key::Held(held, seen.and_then(|verdict| verdict.unwell.clone())),
                beside: standing.beside,
            }),
            unrecorded: None,
        },
        _ => follow(traffic),
    }
}
