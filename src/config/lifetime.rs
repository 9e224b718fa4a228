//! Lifetimes: references to what lives and dies with one color.
//!
//! What the labels of a container define, Traefik has only while that container runs. A router that every color shares
//! and that names such a thing is disabled, a 404 for everybody, once the color stops whose container it was.

use std::fmt;

use super::Config;
use crate::color::Color;

/// The providers whose definitions come and go with containers and jobs.
const PROVIDERS: [&str; 5] = ["docker", "swarm", "ecs", "nomad", "consulcatalog"];

/// With what something lives and dies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lifetime<'a> {
    /// A color, whose name is in its own.
    Of(&'a Color),
    /// A container of this service, as its name says, or of this stack.
    OfAContainer(&'a str),
}

/// With what a thing of this name lives and dies, where that can be told.
pub(super) fn lifetime<'a>(name: &str, config: &'a Config) -> Option<Lifetime<'a>> {
    let (name, provider) = name.rsplit_once('@')?;
    if !PROVIDERS.contains(&provider.to_ascii_lowercase().as_str()) {
        return None;
    }
    let stacks = || config.stacks.iter();
    let mut colors = stacks().flat_map(|(_, stack)| &stack.colors);
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let of_color = colors.find(|color| {
        words
            .clone()
            .any(|word| word.eq_ignore_ascii_case(color.as_str()))
    });
    if let Some(color) = of_color {
        return Some(Lifetime::Of(color));
    }
    let mut owners =
        stacks().flat_map(|(name, stack)| std::iter::once(name).chain(stack.services.keys()));
    owners
        .find(|owner| begins_with(&name.to_ascii_lowercase(), &owner.to_ascii_lowercase()))
        .map(|owner| Lifetime::OfAContainer(owner))
}

/// Whether a name is this one, or begins with it as a whole: `api-auth` with `api`, and `apiary` not.
fn begins_with(name: &str, owner: &str) -> bool {
    let rest = name.strip_prefix(owner);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// In a sentence whose subject is the thing.
impl fmt::Display for Lifetime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(color) => write!(
                f,
                "lives and dies with {color}: once its container stops, Traefik answers 404 here, whichever color has the traffic"
            ),
            Self::OfAContainer(owner) => write!(
                f,
                "seems to come from the labels of a container of `{owner}`: once that container stops, Traefik answers 404 here, whichever color has the traffic"
            ),
        }
    }
}
