//! The config file, `bluegreen.yml`: read, checked as a whole, and resolved.
//!
//! Only the resolved form, [`Config`], travels through the program: it has passed every check.

mod address;
mod analysis;
mod check;
mod dangling;
mod dead;
mod files;
mod findings;
mod frame;
mod gate;
mod guard;
mod hook;
mod interpolate;
mod keys;
mod kinds;
mod lifetime;
mod limit;
mod load;
mod merge;
mod names;
mod node;
mod path;
mod preview;
mod raw;
mod report;
mod request;
mod resolve;
mod rule;
mod schema;
mod service;
mod shape;
mod step;
mod syntax;
mod tokens;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::check::{Check, CommandLine};
use crate::color::Color;
use crate::gate::Gates;
use crate::hook::Hooks;

pub use analysis::{Analysis, Source};
pub use limit::{Errors, Latency, Query};
pub(crate) use load::foreign;
pub use load::{Loaded, load, parse};
pub use report::{Mistake, Place, Report, Severity};
pub use schema::json_schema;
pub use tokens::tokens;

/// A config that has passed every check: what `serve` renders and the commands work on.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The stacks by name; at least one.
    pub stacks: BTreeMap<String, Stack>,
    /// The verbatim part of the served document: Traefik's dynamic configuration, merged over all files.
    pub traefik: Map<String, Value>,
    /// The router that names the document's revision, so that an instance can be asked what it applied.
    pub marker: Option<Marker>,
    /// Whether the provider makes a default certificate and serves it in the document.
    pub generated_certificate: bool,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
}

/// The services that are deployed and switched together.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// The key in the store that holds its traffic value.
    pub key: String,
    /// Its colors, at least two; the first has the traffic while the key has never been set.
    pub colors: Vec<Color>,
    /// Traefik's entrypoints for its routers; empty for Traefik's default ones.
    pub entry_points: Vec<String>,
    /// Where this host reaches Traefik's entrypoint, as an `http` or `https` URL.
    pub production: Option<String>,
    /// The response header by which a service names the color that answers.
    pub color_header: String,
    /// How a color is seen that has no traffic.
    pub preview: Option<Preview>,
    /// What stands before a plain `SET` of the key, where something does.
    pub guard: Option<Guard>,
    /// Its services by name; at least one.
    pub services: BTreeMap<String, Service>,
    /// The compose project of each color, where it is known.
    pub containers: BTreeMap<Color, String>,
    /// Its smoke tests.
    pub checks: Vec<Check>,
    /// The command that brings a color up.
    pub up: Option<CommandLine>,
    /// How long that may take, where it is said.
    pub up_timeout: Option<Duration>,
    /// The command that stops a color.
    pub down: Option<CommandLine>,
    /// By what the traffic of a color is judged.
    pub analysis: Option<Analysis>,
    /// What is done at the stages of a rollout.
    pub hooks: Hooks,
    /// What holds up a rollout.
    pub gates: Gates,
}

impl Stack {
    /// Whether dead servers of any of its services are left out of the document.
    pub fn leaves_out_dead(&self) -> bool {
        self.services
            .values()
            .any(|service| service.leaves_out_dead)
    }
}

/// How a color is seen that has no traffic; it has a header or an entrypoint, or both.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The request header that names the color.
    pub header: Option<String>,
    /// The Traefik entrypoint that shows the idle color.
    pub entry_point: Option<String>,
    /// A Traefik rule that a request must meet besides.
    pub rule: Option<String>,
}

/// What stands before a plain `SET` of the key that would give a color more traffic; at least one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The health of the color's servers. At least one of the services can be asked for it.
    pub health: bool,
    /// The stack's analysis of the traffic that the color has already, where it has some.
    pub analysis: bool,
    /// How long the servers may take to answer.
    pub within: Duration,
}

/// One thing that a stack serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Traefik's rule of its router.
    pub rule: String,
    /// What is behind it, for every color of the stack.
    pub servers: BTreeMap<Color, Servers>,
    /// The path that tells whether a server is well.
    pub health: Option<String>,
    /// Whether a server of a color that has several is left out of the document while it is dead. There is one that can be
    /// asked for its health then.
    pub leaves_out_dead: bool,
    /// How production reaches it, as far as its rule and the stack do not tell.
    pub production: Production,
    /// Verbatim fields of its Traefik router.
    pub router: Map<String, Value>,
    /// Verbatim fields of each color's Traefik load balancer.
    pub load_balancer: Map<String, Value>,
}

/// How production reaches a service, as far as its rule and the stack do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Production {
    /// The host to ask for.
    pub host: Option<String>,
    /// The path to ask for, which answers with 2xx.
    pub path: Option<String>,
    /// The URLs of the entrypoints where it is asked for; empty for the stack's.
    pub urls: Vec<String>,
}

/// What is behind one color of a service.
#[derive(Clone, Debug, PartialEq)]
pub enum Servers {
    /// The URLs of its servers; at least one.
    Urls(Vec<String>),
    /// A service that another Traefik provider defines, as `name@provider`.
    Reference(String),
}

impl Servers {
    /// The URLs of those that can be asked for their health: HTTP/2 without TLS begins in a way of its own.
    pub fn asked(&self) -> impl Iterator<Item = &String> {
        let urls = match self {
            Self::Urls(urls) => urls.as_slice(),
            Self::Reference(_) => &[],
        };
        urls.iter().filter(|url| !url.starts_with("h2c:"))
    }
}

/// Where an instance can be asked which document it has applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Marker {
    /// The Traefik entrypoint that gets the router.
    pub entry_point: String,
    /// That entrypoint's TCP port.
    pub port: u16,
}
