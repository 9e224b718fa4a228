//! The analysis as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::RawDuration;

/// By what the traffic of a color is judged while it gets some: from `metrics` or from `prometheus`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Analysis")]
pub(in crate::config) struct RawAnalysis {
    /// Where each Traefik shows its own metrics, at the address from which it polls.
    pub(in crate::config) metrics: Option<RawMetrics>,
    /// The URL of a Prometheus that scrapes every Traefik, in place of `metrics`.
    pub(in crate::config) prometheus: Option<String>,
    /// The share of requests that are answered with 5xx.
    pub(in crate::config) errors: Option<RawErrors>,
    /// How long the answers take.
    pub(in crate::config) latency: Option<RawLatency>,
    /// Queries of your own; they need `prometheus`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) queries: Vec<RawQuery>,
    /// The services that are judged; without it, all of the stack.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) services: Vec<String>,
    /// With fewer requests than this a service is not judged.
    #[serde(default = "min_requests")]
    #[schemars(range(min = 1))]
    pub(in crate::config) min_requests: u64,
    /// So many looks in a row must fail before it counts.
    #[serde(default = "failures")]
    #[schemars(range(min = 1))]
    pub(in crate::config) failures: u32,
    /// The time between two looks.
    #[serde(default = "every")]
    pub(in crate::config) every: RawDuration,
}

/// Where each Traefik shows its own metrics.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Metrics", extend("required" = ["port"]))]
pub(in crate::config) struct RawMetrics {
    /// The TCP port of the entrypoint that shows them.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(in crate::config) port: u16,
    /// The path.
    #[serde(default = "path")]
    pub(in crate::config) path: String,
}

/// The share of requests that are answered with 5xx.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Errors", extend("minProperties" = 1))]
pub(in crate::config) struct RawErrors {
    /// The most that there may be, such as `1%`.
    pub(in crate::config) limit: Option<RawShare>,
    /// How much more there may be than on the other color: with `1%`, at most 3 % where that has 2 %.
    pub(in crate::config) more: Option<RawShare>,
}

/// A share in percent, such as `1%`.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Share")]
pub(in crate::config) enum RawShare {
    /// A number with a `%`.
    Percent(String),
    /// A number without one, which is a mistake that can be told better than by its type.
    Bare(f64),
}

/// How long the answers take.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Latency", extend("minProperties" = 1))]
pub(in crate::config) struct RawLatency {
    /// The share of the answers that take no longer: 0.95 is the 95th percentile.
    #[serde(default = "quantile")]
    pub(in crate::config) quantile: f64,
    /// The longest that it may be, such as `500ms`.
    pub(in crate::config) limit: Option<RawDuration>,
    /// How many times as long as on the other color it may be, such as `1.5`.
    pub(in crate::config) times: Option<f64>,
}

/// A query of your own.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Query", extend("required" = ["name", "query"]))]
pub(in crate::config) struct RawQuery {
    /// What it is called where its outcome is told.
    #[serde(default)]
    pub(in crate::config) name: String,
    /// PromQL that gives one number. `{color}`, `{service}` and `{since}` in it are replaced; with `{service}`, it is
    /// asked for each service.
    #[serde(default)]
    pub(in crate::config) query: String,
    /// The most that the number may be.
    pub(in crate::config) at_most: Option<f64>,
    /// The least that it may be.
    pub(in crate::config) at_least: Option<f64>,
}

fn path() -> String {
    "/metrics".to_owned()
}

fn quantile() -> f64 {
    0.95
}

fn min_requests() -> u64 {
    20
}

fn failures() -> u32 {
    2
}

fn every() -> RawDuration {
    RawDuration::Text("5s".to_owned())
}
