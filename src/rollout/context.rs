//! What a rollout works with: the store, the config, and who is told.

use super::event::Event;
use super::place::Place;
use crate::config::{Config, Stack};
use crate::store::{Reading, Store};
use crate::traffic::Traffic;
use crate::verify::Verify;
use crate::verify::measure::Told;

/// What a rollout works with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The store.
    pub store: &'a Store,
    /// The config.
    pub config: &'a Config,
    /// The stack's name.
    pub name: &'a str,
    /// The stack.
    pub stack: &'a Stack,
    /// Where its commands run.
    pub place: &'a Place,
    /// Is told of what happens.
    pub tell: &'a dyn Fn(Event<'_>),
}

impl Context<'_> {
    /// A traffic value of the stack; none where the config does not know it.
    pub(super) fn traffic(&self, text: &str) -> Option<Traffic> {
        Traffic::parse(text.as_bytes(), &self.stack.colors).ok()
    }

    /// The traffic that a key holds; none where that is no valid value.
    pub(super) fn parse(&self, reading: &Reading) -> Option<Traffic> {
        match reading {
            Reading::Value(value) => Traffic::parse(value, &self.stack.colors).ok(),
            Reading::Missing | Reading::WrongType(_) | Reading::TooLong(_) => None,
        }
    }

    pub(super) fn verify<'b>(&'b self, tell: &'b dyn Fn(Told<'_>)) -> Verify<'b> {
        Verify {
            name: self.name,
            stack: self.stack,
            folder: &self.place.folder,
            tell,
        }
    }
}
