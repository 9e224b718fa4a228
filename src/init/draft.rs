//! The draft: what is known of a bluegreen.yml, and what to say beside it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::color::Color;

/// A value as it is written in bluegreen.yml, and what to say beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The value.
    pub(super) value: String,
    /// The comment.
    pub(super) comment: Option<String>,
}

impl Said {
    /// A value that needs no comment.
    pub(super) fn plain(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            comment: None,
        }
    }

    /// A value with a comment.
    pub(super) fn with(value: impl Into<String>, comment: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            comment: Some(comment.into()),
        }
    }
}

/// A bluegreen.yml to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// The name of its stack.
    pub(super) stack: Said,
    /// The colors; the first has the traffic.
    pub(super) colors: Vec<Color>,
    /// Why that one is first.
    pub(super) first: Option<String>,
    /// The entrypoints of all services.
    pub(super) entry_points: Vec<String>,
    /// Where the host reaches the first of these.
    pub(super) production: Option<Said>,
    /// The compose project of each color, as far as it is known.
    pub(super) containers: BTreeMap<Color, String>,
    /// Why the containers are not to be taken as they are.
    pub(super) containers_unsure: Option<String>,
    /// What to say of the servers.
    pub(super) servers: Vec<String>,
    /// The services.
    pub(super) services: Vec<Service>,
    /// The verbatim part.
    pub(super) traefik: Map<String, Value>,
    /// The entrypoint of the marker.
    pub(super) marker: Option<(String, u16)>,
    /// The file that has a default certificate.
    pub(super) certificate: Option<String>,
}

/// A service of the stack.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    /// Its name.
    pub(super) name: String,
    /// Why it is commented out.
    pub(super) off: Option<String>,
    /// Its rule.
    pub(super) rule: Said,
    /// The servers of each color.
    pub(super) servers: BTreeMap<Color, Vec<Said>>,
    /// Its health path.
    pub(super) health: Option<Said>,
    /// Its entrypoints, where they are not those of the stack.
    pub(super) entry_points: Vec<String>,
    /// Other fields of its router.
    pub(super) router: Map<String, Value>,
    /// Fields of its load balancers.
    pub(super) load_balancer: Map<String, Value>,
}

impl Draft {
    /// The usual name of a color's compose project.
    pub(super) fn project(&self, color: &Color) -> String {
        format!("{}-{color}", self.stack.value)
    }

    /// The services that are not commented out.
    pub(super) fn on(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.off.is_none())
    }
}
