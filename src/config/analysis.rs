//! The analysis of a stack, resolved: by what the traffic of a color is judged.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::time;
use super::path::Path;
use super::raw::{RawAnalysis, RawErrors, RawLatency, RawQuery, RawShare};
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

/// What is said of the share of 5xx; it has a limit of one kind at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Errors {
    /// The highest share, from 0 to below 1.
    pub limit: Option<f64>,
    /// How much higher than the other color's it may be, from 0 to below 1.
    pub more: Option<f64>,
}

/// What is said of how long the answers take; it has a limit of one kind at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// Which quantile, above 0 and below 1.
    pub quantile: f64,
    /// The longest that it may be.
    pub limit: Option<Duration>,
    /// How many times the other color's it may be; at least 1.
    pub times: Option<f64>,
}

/// A query of the operator's own; it has a limit on one side at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What it is called where its outcome is told.
    pub name: String,
    /// The PromQL, with `{color}`, `{service}` and `{since}`.
    pub query: String,
    /// The most that its number may be.
    pub at_most: Option<f64>,
    /// The least that it may be.
    pub at_least: Option<f64>,
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

fn errors(raw: RawErrors, path: &Path, resolver: &mut Resolver<'_>) -> Errors {
    let RawErrors { limit, more } = raw;
    Errors {
        limit: limit.map(|raw| share(raw, &path.key("limit"), resolver)),
        more: more.map(|raw| share(raw, &path.key("more"), resolver)),
    }
}

/// A share that can be exceeded.
fn share(raw: RawShare, path: &Path, resolver: &mut Resolver<'_>) -> f64 {
    let text = match raw {
        RawShare::Percent(text) => text,
        RawShare::Bare(number) => number.to_string(),
    };
    // Shifted in its text, so that 7 of 1000 are not more than `0.7%`.
    let percent = text.trim().strip_suffix('%').map(str::trim);
    let share = percent.and_then(|number| format!("{number}e-2").parse().ok());
    match share.filter(|share: &f64| share.is_finite() && *share >= 0.0) {
        Some(share) if share < 1.0 => share,
        Some(_) => {
            resolver
                .error_at_value(path, "no share is higher than this, so it is no limit")
                .hint("write what is too much, such as `1%`");
            0.0
        }
        None => {
            let message = format!("`{}` is no share", resolver.shown(path, &text));
            resolver
                .error_at_value(path, message)
                .hint("write it in percent, such as `1%`");
            0.0
        }
    }
}

fn latency(raw: RawLatency, path: &Path, resolver: &mut Resolver<'_>) -> Latency {
    let RawLatency {
        quantile,
        limit,
        times,
    } = raw;
    if !(quantile > 0.0 && quantile < 1.0) {
        resolver
            .error_at_value(&path.key("quantile"), "a quantile is between 0 and 1")
            .hint("write it as in `0.95`: 95 of 100 answers take no longer");
    }
    let named = |key: &str| path.key(key);
    if limit.is_none()
        && times.is_none()
        && !["limit", "times"]
            .iter()
            .any(|key| resolver.findings.broken(&named(key)))
    {
        resolver
            .error(path, "this has no limit")
            .hint("add `limit: 500ms`, or `times: 1.5` for a comparison with the other color");
    }
    if times.is_some_and(|times| times < 1.0) {
        resolver
            .error_at_value(
                &named("times"),
                "below 1, a color that is as fast as the other one would fail",
            )
            .hint("write how many times as long is still good, such as `1.5`");
    }
    Latency {
        quantile,
        limit: limit.map(|raw| time(raw, &named("limit"), resolver)),
        times,
    }
}

fn queries(raw: Vec<RawQuery>, path: &Path, resolver: &mut Resolver<'_>) -> Vec<Query> {
    let mut queries: Vec<Query> = Vec::new();
    for (i, raw) in raw.into_iter().enumerate() {
        let path = path.index(i);
        let RawQuery {
            name,
            query,
            at_most,
            at_least,
        } = raw;
        let at = path.key("name");
        if !resolver.findings.broken(&at) {
            if name.trim().is_empty() || name.contains(char::is_control) {
                resolver
                    .error_at_value(&at, "this can't be the name of a query")
                    .hint("say in a few words what it gives, such as `queue length`");
            } else if queries.iter().any(|query| query.name == name) {
                let message = format!(
                    "another query is named `{}` too",
                    resolver.shown(&at, &name)
                );
                resolver
                    .error_at_value(&at, message)
                    .hint("give it a name of its own: by it you will know which one failed");
            }
        }
        let at = path.key("query");
        if query.trim().is_empty() && !resolver.findings.broken(&at) {
            resolver
                .error_at_value(&at, "the query is empty")
                .hint("write PromQL that gives one number");
        }
        let unread = ["atMost", "atLeast"]
            .iter()
            .any(|key| resolver.findings.broken(&path.key(key)));
        match (at_most, at_least) {
            (None, None) if !unread => {
                resolver
                    .error(&path, "this query has no limit")
                    .hint("add `atMost` or `atLeast`");
            }
            (Some(most), Some(least)) if most < least => {
                let other = resolver.tree.value_span(&path.key("atMost"));
                resolver
                    .error_at_value(
                        &path.key("atLeast"),
                        "no number is at least this and at most that",
                    )
                    .hint("swap the two, or remove one")
                    .other(other);
            }
            _ => {}
        }
        queries.push(Query {
            name,
            query,
            at_most,
            at_least,
        });
    }
    queries
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
