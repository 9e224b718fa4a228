//! The smoke tests of the config, against a color or against production.

use futures_util::future::join_all;

use super::measure::{Limits, Pauses, measure};
use super::production::{self, Base};
use super::report::{Kind, Line, Outcome};
use super::{Verify, command, steps};
use crate::check::{Action, Check};
use crate::color::Color;
use crate::traffic::Traffic;

/// What a smoke test is run against.
pub(super) struct Target<'a> {
    /// `green`, or `production`.
    pub(super) name: &'a str,
    /// The color, or the traffic of production.
    pub(super) color: String,
    /// Where each service is reached.
    pub(super) bases: Vec<(&'a str, Base)>,
}

impl Target<'_> {
    /// Where a service is reached.
    pub(super) fn base(&self, service: &str) -> Option<&Base> {
        let mut bases = self.bases.iter();
        bases
            .find(|(name, _)| *name == service)
            .map(|(_, base)| base)
    }
}

/// The smoke tests of a color, each against every replica; none where a server is not well.
pub(super) async fn of_color(
    verify: &Verify<'_>,
    color: &Color,
    unwell: Option<&Line>,
    limits: Limits,
) -> Vec<Line> {
    let replicas = verify.replicas(color).max(1);
    let mut runs = Vec::new();
    for check in verify.stack.checks.iter().filter(|check| check.on_color) {
        for replica in 0..replicas {
            let services = verify.stack.services.keys();
            let bases = services.filter_map(|service| {
                let base = Base {
                    server: verify.replica(service, color, replica)?.to_owned(),
                    host: None,
                    headers: Vec::new(),
                };
                Some((service.as_str(), base))
            });
            let target = Target {
                name: color.as_str(),
                color: color.to_string(),
                bases: bases.collect(),
            };
            let name = match replicas {
                1 => check.name.clone(),
                _ => format!("{} (replica {})", check.name, replica + 1),
            };
            runs.push(run(verify, check, name, target, unwell, limits));
        }
    }
    join_all(runs).await
}

/// The smoke tests of production; none where a service does not answer.
pub(super) async fn of_production(
    verify: &Verify<'_>,
    traffic: &Traffic,
    unwell: Option<&Line>,
    limits: Limits,
) -> Vec<Line> {
    let checks = verify
        .stack
        .checks
        .iter()
        .filter(|check| check.on_production);
    let runs = checks.map(|check| {
        let services = verify.stack.services.keys();
        let bases = services.filter_map(|service| {
            Some((service.as_str(), production::base(verify.stack, service)?))
        });
        let target = Target {
            name: "production",
            color: traffic.to_string(),
            bases: bases.collect(),
        };
        let name = check.name.clone();
        run(verify, check, name, target, unwell, limits)
    });
    join_all(runs).await
}

async fn run(
    verify: &Verify<'_>,
    check: &Check,
    name: String,
    target: Target<'_>,
    unwell: Option<&Line>,
    limits: Limits,
) -> Line {
    if let Some(line) = unwell {
        let why = format!("not run, because {} {} is not well", line.kind, line.name);
        return verify.line(Line::skipped(Kind::Check, name, why));
    }
    if let Action::Steps(steps) = &check.action
        && let Some(step) = steps
            .iter()
            .find(|step| target.base(&step.service).is_none())
    {
        let why = format!(
            "where {} is, only Traefik knows; `on: [production]` asks through it",
            step.service
        );
        return verify.line(Line::skipped(Kind::Check, name, why));
    }
    let attempt = async || {
        let once = async {
            match &check.action {
                Action::Steps(steps) => steps::run(verify.name, check, steps, &target).await,
                Action::Command(line) => command::run(verify, line, &target).await,
            }
        };
        let late = |_| Outcome::Failed(format!("not done within {:?}", check.timeout));
        tokio::time::timeout(check.timeout, once)
            .await
            .unwrap_or_else(late)
    };
    measure(
        Kind::Check,
        name,
        limits,
        Pauses::SMOKE,
        verify.tell,
        attempt,
    )
    .await
}
