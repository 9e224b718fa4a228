//! The takeover: whether a new config can come into force, judged by the traffic at that moment.

use std::collections::BTreeMap;

use super::StackState;
use crate::color::Color;
use crate::config::Config;

/// What becomes of a config that is to come into force.
#[derive(Clone, Debug, PartialEq)]
pub enum Takeover {
    /// It comes into force, with this traffic.
    InForce(BTreeMap<String, StackState>),
    /// It waits: the traffic of these of its stacks is not known.
    Waits(Vec<String>),
    /// It is refused: in this stack it does not name this color, which has traffic.
    Refused {
        /// The stack.
        stack: String,
        /// The color.
        color: Color,
    },
}

/// What becomes of a config whose stacks have this traffic, as far as it is known.
pub fn take_over(config: &Config, mut known: BTreeMap<String, StackState>) -> Takeover {
    let mut states = BTreeMap::new();
    let mut unknown = Vec::new();
    for (name, stack) in &config.stacks {
        let Some(mut state) = known.remove(name) else {
            unknown.push(name.clone());
            continue;
        };
        state.traffic = match state.traffic.among(&stack.colors) {
            Ok(traffic) => traffic,
            Err(color) => {
                return Takeover::Refused {
                    stack: name.clone(),
                    color,
                };
            }
        };
        states.insert(name.clone(), state);
    }
    if unknown.is_empty() {
        Takeover::InForce(states)
    } else {
        Takeover::Waits(unknown)
    }
}
