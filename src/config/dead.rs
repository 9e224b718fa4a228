//! Whether dead servers of a service are left out of the document, resolved.

use std::collections::BTreeMap;

use super::path::Path;
use super::resolve::Resolver;
use super::{Servers, Service};

/// Resolves what a stack says for all its services, and each of them for itself.
pub(super) fn leave_out(
    of_stack: Option<bool>,
    own: &BTreeMap<String, Option<bool>>,
    services: &mut BTreeMap<String, Service>,
    path: &Path,
    resolver: &mut Resolver<'_>,
) {
    let top = path.key("services");
    for (name, service) in &mut *services {
        let own = own.get(name).copied().flatten();
        let problem = problem(service);
        let at = top.key(name);
        if let (Some(true), Some((problem, hint))) = (own, problem)
            && !resolver.findings.broken(&at)
        {
            resolver.error(&at.key("leaveOutDead"), problem).hint(hint);
        }
        let wanted = own.or(of_stack).unwrap_or(false);
        service.leaves_out_dead = wanted && problem.is_none();
    }
    let none = !services.values().any(|service| service.leaves_out_dead);
    if of_stack == Some(true) && none && !resolver.findings.broken(&top) {
        resolver
            .error(&path.key("leaveOutDead"), "there is no service with several servers of a color and a `health` path: this has no effect")
            .hint("list a color's replicas and give the service its `health` path, or remove this");
    }
}

/// Why none of its servers can be left out, and what to do.
fn problem(service: &Service) -> Option<(&'static str, &'static str)> {
    let several = |servers: &Servers| match servers {
        Servers::Urls(urls) => urls.len() > 1 && servers.asked().next().is_some(),
        Servers::Reference(_) => false,
    };
    if service.health.is_none() {
        let hint = "give the service its `health` path, such as `health: /health`";
        return Some((
            "without a `health` path nobody knows which servers are dead",
            hint,
        ));
    }
    let none = !service.servers.values().any(several);
    none.then_some((
        "no color has several servers that can be asked: the only one is never left out",
        "list the replicas of a color by their URLs, or remove this",
    ))
}
