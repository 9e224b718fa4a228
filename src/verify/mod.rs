//! Verifying: whether a color can take the traffic, and whether production serves it.
//!
//! Each check is measured by itself, all of them side by side, and again while it fails and there is time: what is
//! verified may still be starting.
//!
//! - [`report`]: what came of it, a line a check;
//! - [`measure`]: one check, again and again;
//! - [`presence`]: whether anybody is there at all;
//! - `containers`, [`health`], `smoke`: what is checked of a color; `engine`: where Docker is;
//! - `production`: what is checked through Traefik, by requests that `rule` makes; `answer`: who gave the answer;
//!   `applied`: by which document it routes; [`routers`]: which routers it has disabled; `now`: what production is before
//!   a change;
//! - `steps`, `command`: the two kinds of smoke tests; `ask`: one HTTP request.

mod answer;
mod applied;
pub(crate) mod ask;
mod command;
mod containers;
mod engine;
pub mod health;
pub mod measure;
mod now;
pub mod presence;
mod production;
pub mod report;
pub mod routers;
mod rule;
mod smoke;
pub(crate) mod steps;

use std::path::Path;

use futures_util::future::join;

use self::measure::{Limits, Tell};
use self::report::{Line, Outcome, Report};
use crate::color::Color;
use crate::config::{Servers, Stack};
use crate::traffic::Traffic;

pub use self::applied::routes_by;
pub use self::now::{Now, look};

/// What is verified: a stack, and where commands of its checks run.
pub struct Verify<'a> {
    /// The stack's name.
    pub name: &'a str,
    /// The stack.
    pub stack: &'a Stack,
    /// The folder of the config.
    pub folder: &'a Path,
    /// Is told of each outcome, and of what is waited for.
    pub tell: &'a Tell<'a>,
}

impl Verify<'_> {
    /// Verifies that a color can take the traffic: its containers, the health of each server, and the smoke tests once
    /// all servers are well.
    pub async fn color(&self, color: &Color, limits: Limits) -> Report {
        let containers = containers::check(self, color, limits);
        let servers = async {
            let health = health::check(self, color, limits).await;
            let unwell = health.iter().find(|line| !line.outcome.is_good());
            let smoke = smoke::of_color(self, color, unwell, limits).await;
            (health, smoke)
        };
        let (containers, (health, smoke)) = join(containers, servers).await;
        Report::new(containers.into_iter().chain(health).chain(smoke))
    }

    /// Verifies that production serves this traffic: every service answers through Traefik, by a color that has a share
    /// of it, and then the smoke tests pass.
    pub async fn production(&self, traffic: &Traffic, limits: Limits) -> Report {
        let answers = production::check(self, traffic, limits).await;
        // What can't be measured here, a smoke test may.
        let is_unwell =
            |line: &&Line| matches!(line.outcome, Outcome::Failed(_) | Outcome::Unmeasured(_));
        let unwell = answers.iter().find(is_unwell);
        let smoke = smoke::of_production(self, traffic, unwell, limits).await;
        Report::new(answers.into_iter().chain(smoke))
    }

    /// The first part of [`production`](Self::production): every service answers.
    pub async fn answers(&self, traffic: &Traffic, limits: Limits) -> Report {
        Report::new(production::check(self, traffic, limits).await)
    }

    /// The other part: the smoke tests.
    pub async fn checks(&self, traffic: &Traffic, limits: Limits) -> Report {
        Report::new(smoke::of_production(self, traffic, None, limits).await)
    }

    /// The URL of a service's replica; with fewer replicas than that they are counted round.
    fn replica(&self, service: &str, color: &Color, replica: usize) -> Option<&str> {
        match self.stack.services.get(service)?.servers.get(color)? {
            Servers::Urls(urls) => urls.get(replica % urls.len().max(1)).map(String::as_str),
            Servers::Reference(_) => None,
        }
    }

    /// How many replicas the service with the most of them has.
    fn replicas(&self, color: &Color) -> usize {
        let servers = self.stack.services.values();
        let counts = servers.filter_map(|service| match service.servers.get(color)? {
            Servers::Urls(urls) => Some(urls.len()),
            Servers::Reference(_) => None,
        });
        counts.max().unwrap_or(0)
    }

    fn line(&self, line: Line) -> Line {
        (self.tell)(measure::Told::Line(&line));
        line
    }
}
