//! The analysis of a stack, resolved: by what the traffic of a color is judged.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::time;
use super::limit::{Errors, Latency, Query, errors, latency, queries};
use super::path::Path;
use super::raw::RawAnalysis;
use super::resolve::Resolver;
use super::service::check_path;
use super::step::service_named;
use super::{Service, address};

/// By what the traffic of a color is judged while it gets some.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// Where the figures come from.
    pub source: Source,
    /// What is said of the share of requests that are answered with 5xx.
    pub errors: Option<Errors>,
    /// What is said of how long the answers take.
    pub latency: Option<Latency>,
    /// The operator's own queries; none where the source is not a Prometheus.
    pub queries: Vec<Query>,
    /// The services that are judged, by name; at least one.
    pub services: Vec<String>,
    /// With fewer requests than this a service is not judged; at least 1.
    pub min_requests: u64,
    /// So many looks in a row must fail before it counts; at least 1.
    pub failures: u32,
    /// The time between two looks.
    pub every: Duration,
}

/// Where the figures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Each instance of Traefik, at the address from which it polls.
    Instances {
        /// The TCP port of the entrypoint that shows its metrics.
        port: u16,
        /// The path.
        path: String,
    },
    /// A Prometheus at this URL, which may end with a path and has no `/` at its end.
    Prometheus(String),
}

/// Resolves the analysis of a stack that has these services; none where it has no source.
pub(super) fn analysis(
    raw: RawAnalysis,
    path: &Path,
    services: &BTreeMap<String, Service>,
    resolver: &mut Resolver<'_>,
) -> Option<Analysis> {
    let RawAnalysis {
        metrics,
        prometheus,
        errors: raw_errors,
        latency: raw_latency,
        queries: raw_queries,
        services: named,
        min_requests,
        failures,
        every,
    } = raw;
    let judges = ["errors", "latency", "queries"].map(|key| path.key(key));
    let intact = judges.iter().all(|path| !resolver.findings.broken(path));
    if intact && raw_errors.is_none() && raw_latency.is_none() && raw_queries.is_empty() {
        resolver
            .error(path, "the analysis judges nothing")
            .hint("add `errors: { limit: 1% }` or `latency: { limit: 500ms }`");
    }
    if !raw_queries.is_empty() && metrics.is_some() && prometheus.is_none() {
        resolver
            .error(
                &path.key("queries"),
                "a Traefik's own metrics answer no queries",
            )
            .hint(
                "name a Prometheus, with `prometheus: http://127.0.0.1:9090` in place of `metrics`",
            );
    }
    let errors = raw_errors.map(|raw| errors(raw, &path.key("errors"), resolver));
    let latency = raw_latency.map(|raw| latency(raw, &path.key("latency"), resolver));
    let queries = queries(raw_queries, &path.key("queries"), resolver);
    let services = judged(named, &path.key("services"), services, resolver);
    let every = time(every, &path.key("every"), resolver);
    let source = match (metrics, prometheus) {
        (Some(metrics), None) => {
            check_path(
                &metrics.path,
                "the path",
                &path.key("metrics").key("path"),
                resolver,
            );
            Source::Instances {
                port: metrics.port,
                path: metrics.path,
            }
        }
        (None, Some(url)) => {
            let url = resolver.usable(&path.key("prometheus"), &url, address::prometheus)?;
            Source::Prometheus(url)
        }
        (Some(_), Some(_)) => {
            let other = resolver.tree.key_span(&path.key("metrics"));
            resolver
                .error(
                    &path.key("prometheus"),
                    "the figures come from one place, not from two",
                )
                .hint("remove `metrics` or `prometheus`")
                .other(other);
            return None;
        }
        (None, None) => {
            if !["metrics", "prometheus"]
                .iter()
                .any(|key| resolver.findings.broken(&path.key(key)))
            {
                resolver
                    .error(path, "nothing says where the figures come from")
                    .hint("add `metrics: { port: 8080 }`, where each Traefik shows its own, or `prometheus: http://127.0.0.1:9090`");
            }
            return None;
        }
    };
    Some(Analysis {
        source,
        errors,
        latency,
        queries,
        services,
        min_requests,
        failures,
        every,
    })
}

/// The services that are judged: those that are named, or all.
fn judged(
    named: Vec<String>,
    path: &Path,
    services: &BTreeMap<String, Service>,
    resolver: &mut Resolver<'_>,
) -> Vec<String> {
    for (i, name) in named.iter().enumerate() {
        let path = path.index(i);
        service_named(name, &path, services, resolver);
        if named[..i].contains(name) {
            let message = format!(
                "the service `{}` is named twice",
                resolver.shown(&path, name)
            );
            resolver
                .error_at_value(&path, message)
                .hint("keep one of the two");
        }
    }
    match named.is_empty() {
        true => services.keys().cloned().collect(),
        false => named,
    }
}
