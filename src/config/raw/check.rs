//! Smoke tests as they are written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A smoke test: steps, or a command.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Check", extend("required" = ["name"]))]
pub(in crate::config) struct RawCheck {
    /// What it is called where its outcome is told.
    #[serde(default)]
    pub(in crate::config) name: String,
    /// What it is run against: a color before it gets the traffic, production through Traefik, or both.
    #[serde(default = "on_color")]
    #[schemars(length(min = 1))]
    pub(in crate::config) on: Vec<RawTarget>,
    /// How long one run of it may take, such as `10s` or `2m`.
    #[serde(default = "timeout")]
    pub(in crate::config) timeout: RawDuration,
    /// Requests, one after the other; the first that is not answered as expected fails the check.
    #[serde(default)]
    pub(in crate::config) steps: Vec<RawStep>,
    /// Requests that are made after the steps, whatever came of them; one that needs a value that was not saved is left
    /// out.
    #[serde(default)]
    pub(in crate::config) cleanup: Vec<RawStep>,
    /// A command, which passes with exit code 0. It gets `COLOR`, `STACK` and for each service `NAME_URL` in its
    /// environment.
    pub(in crate::config) command: Option<RawCommand>,
}

/// What a check is run against.
#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Target")]
pub(in crate::config) enum RawTarget {
    // No doc comments: they would make each variant a schema of its own.
    Color,
    Production,
}

/// A time such as `10s` or `1m 30s`; a number is seconds.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Duration")]
pub(in crate::config) enum RawDuration {
    /// Seconds.
    Seconds(f64),
    /// A time with its units.
    Text(String),
}

/// A command line for the shell, or a program with its arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Command")]
pub(in crate::config) enum RawCommand {
    /// A command line for `sh -c`.
    Shell(String),
    /// A program with its arguments.
    Program(#[schemars(length(min = 1))] Vec<String>),
}

/// One request, and what is expected of its answer.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Step", extend("required" = ["service", "path"]))]
pub(in crate::config) struct RawStep {
    /// The service that is asked, one of the stack's.
    #[serde(default)]
    pub(in crate::config) service: String,
    /// The method.
    #[serde(default = "get")]
    pub(in crate::config) method: String,
    /// The path, with a query where there is one.
    #[serde(default)]
    pub(in crate::config) path: String,
    /// Request headers by name.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// A body in JSON.
    #[serde(default, deserialize_with = "given")]
    pub(in crate::config) json: Option<Value>,
    /// A body of text.
    pub(in crate::config) text: Option<String>,
    /// How long the answer may take, where that is less than the check may.
    pub(in crate::config) timeout: Option<RawDuration>,
    /// What is expected of the answer; a status of 2xx where nothing else is said.
    #[serde(default)]
    pub(in crate::config) expect: RawExpect,
    /// Values of the answer for later steps, by name: a JSONPath such as `$.id`, or `header:NAME`.
    #[serde(default)]
    pub(in crate::config) save: BTreeMap<String, String>,
}

/// What is expected of an answer.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Expect", extend("minProperties" = 1))]
pub(in crate::config) struct RawExpect {
    /// The status, or a list of those that are good; without it, any 2xx.
    pub(in crate::config) status: Option<RawStatus>,
    /// Response headers that must be there, with their values.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// Text that must be in the body, or a list of such texts.
    pub(in crate::config) contains: Option<RawTexts>,
    /// JSONPaths, such as `$.status`, with the values that are expected there.
    #[serde(default)]
    pub(in crate::config) json: Map<String, Value>,
}

/// A status of HTTP, or a list of them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Status")]
pub(in crate::config) enum RawStatus {
    /// A status.
    One(#[schemars(range(min = 100, max = 599))] u16),
    /// Those that are good.
    Many(#[schemars(length(min = 1), inner(range(min = 100, max = 599)))] Vec<u16>),
}

/// A text, or a list of texts.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Texts")]
pub(in crate::config) enum RawTexts {
    /// A text.
    One(String),
    /// Several texts.
    Many(#[schemars(length(min = 1))] Vec<String>),
}

fn on_color() -> Vec<RawTarget> {
    vec![RawTarget::Color]
}

fn timeout() -> RawDuration {
    RawDuration::Text("10s".to_owned())
}

fn get() -> String {
    "GET".to_owned()
}

/// What is there, also where it is `null`.
pub(super) fn given<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
