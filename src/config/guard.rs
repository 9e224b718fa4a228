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

/// Resolves the guard of the stack at this path, which has these services.
pub(super) fn guard(
    raw: Option<Vec<RawGuard>>,
    timeout: Option<RawDuration>,
    services: &BTreeMap<String, Service>,
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
    if looks.len() > 1 {
        resolver
            .error_at_value(&at.index(1), "this is named twice")
            .hint("keep one of the two");
    }
    let can_be_asked = |service: &Service| {
        let mut servers = service.servers.values();
        service.health.is_some() && servers.any(|servers| servers.asked().next().is_some())
    };
    if can_tell && !services.values().any(can_be_asked) {
        resolver
            .error(&at, "there is no server that can be asked for its health")
            .hint("give a service whose servers are URLs its `health` path, such as `health: /health`");
    }
    Some(Guard {
        within: within.unwrap_or(WITHIN),
    })
}
