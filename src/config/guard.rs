//! The guard of a stack, resolved.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::time;
use super::path::Path;
use super::raw::{RawDuration, RawGuard};
use super::resolve::Resolver;
use super::{Guard, Service};

/// How long the servers may take to answer, where the config does not say.
const WITHIN: Duration = Duration::from_secs(2);

/// Resolves the guard of the stack at this path, which has these services, and perhaps an analysis.
pub(super) fn guard(
    raw: Option<Vec<RawGuard>>,
    timeout: Option<RawDuration>,
    (services, analysis): (&BTreeMap<String, Service>, bool),
    path: &Path,
    resolver: &mut Resolver<'_>,
) -> Option<Guard> {
    let at = path.key("guardTimeout");
    let within = timeout.map(|raw| time(raw, &at, resolver));
    let is_broken = |key: &str| resolver.findings.broken(&path.key(key));
    let can_tell = !is_broken("guard") && !is_broken("services");
    let Some(looks) = raw else {
        if within.is_some() && can_tell {
            resolver
                .error(&at, "there is no guard: this has no effect")
                .hint("add `guard: [health]`, or remove this");
        }
        return None;
    };
    let at = path.key("guard");
    for (i, look) in looks.iter().enumerate() {
        if looks[..i].contains(look) {
            resolver
                .error_at_value(&at.index(i), "this is named twice")
                .hint("keep one of the two");
        }
        if *look == RawGuard::Analysis && !analysis {
            resolver
                .error_at_value(&at.index(i), "the stack has no `analysis`")
                .hint("add one, which says by what figures a color is judged, or guard by `health` alone");
        }
    }
    let has = |look| looks.contains(&look);
    let health = has(RawGuard::Health);
    if within.is_some() && !health && can_tell {
        resolver
            .error(
                &path.key("guardTimeout"),
                "no server is asked for its health: this has no effect",
            )
            .hint("add `health` to the guard, or remove this");
    }
    let can_be_asked = |service: &Service| {
        let mut servers = service.servers.values();
        service.health.is_some() && servers.any(|servers| servers.asked().next().is_some())
    };
    if health && can_tell && !services.values().any(can_be_asked) {
        resolver
            .error(&at, "there is no server that can be asked for its health")
            .hint("give a service whose servers are URLs its `health` path, such as `health: /health`");
    }
    Some(Guard {
        health,
        analysis: has(RawGuard::Analysis) && analysis,
        within: within.unwrap_or(WITHIN),
    })
}
