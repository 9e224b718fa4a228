//! The limits of an analysis, resolved: how bad the figures of a color's traffic may be.

use std::time::Duration;

use super::check::time;
use super::path::Path;
use super::raw::{RawErrors, RawLatency, RawQuery, RawShare};
use super::resolve::Resolver;

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

/// Resolves what is said of the errors.
pub(super) fn errors(raw: RawErrors, path: &Path, resolver: &mut Resolver<'_>) -> Errors {
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

/// Resolves what is said of the latency.
pub(super) fn latency(raw: RawLatency, path: &Path, resolver: &mut Resolver<'_>) -> Latency {
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

/// Resolves the operator's queries.
pub(super) fn queries(raw: Vec<RawQuery>, path: &Path, resolver: &mut Resolver<'_>) -> Vec<Query> {
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
