//! The config file as it is written: the types that make its JSON Schema, which in turn checks the file.
//!
//! Their doc comments are what an editor shows for each key. What is required has a default all the same: the schema
//! has told of what is missing by then, and the rest around it is read on.

mod analysis;
mod check;
mod gate;
mod hook;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

pub(super) use analysis::{RawAnalysis, RawErrors, RawLatency, RawQuery, RawShare};
pub(super) use check::{
    RawCheck, RawCommand, RawDuration, RawExpect, RawStatus, RawStep, RawTarget, RawTexts,
};
pub(super) use gate::{RawFreeze, RawGates};
pub(super) use hook::{RawCall, RawHook, RawHookList, RawHooks};

/// The config of bluegreen: the stacks, and what else the served document holds.
///
/// In every value, `${NAME}` and `${NAME:-default}` are replaced from the environment, and `$$` is a literal `$`.
/// Keys at the top that begin with `x-` are ignored: they are a home for YAML anchors.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "bluegreen.yml")]
pub(super) struct RawConfig {
    /// The stacks by name. A stack is the services that are deployed and switched together.
    #[serde(default)]
    pub(super) stacks: BTreeMap<String, RawStack>,
    /// Traefik's dynamic configuration, verbatim into the served document: middlewares, further routers, TLS.
    #[serde(default)]
    #[schemars(schema_with = "configuration")]
    pub(super) traefik: Map<String, Value>,
    /// Adds a router that names the document's revision, so that an instance can be asked what it has applied.
    pub(super) marker: Option<RawMarker>,
    /// `generated`: makes a default certificate, keeps it in the state folder, and serves it in the document. Without
    /// a default certificate, Traefik makes a key at every reload. Only one provider may define it.
    pub(super) default_certificate: Option<RawCertificate>,
    /// Whether a field that Traefik 3.7 does not know is only warned of, for a newer Traefik.
    #[serde(default, rename = "lenient")]
    pub(super) _lenient: bool,
}

/// The services that are deployed and switched together.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Stack", extend("required" = ["services"]))]
pub(super) struct RawStack {
    /// The key in the store that holds the traffic; no two stacks have the same.
    #[serde(default = "default_key")]
    pub(super) key: String,
    /// The names of the parallel deployments; the first has the traffic while the key has never been set.
    #[serde(default = "default_colors")]
    #[schemars(length(min = 2))]
    pub(super) colors: Vec<String>,
    /// Traefik's entrypoints for the routers; without it, Traefik's default ones.
    #[serde(default)]
    pub(super) entry_points: Vec<String>,
    /// Where this host reaches Traefik's entrypoint, such as `http://127.0.0.1:80`.
    pub(super) production: Option<String>,
    /// The response header by which a service names the color that answers.
    #[serde(default = "default_color_header")]
    pub(super) color_header: String,
    /// How to see a color that has no traffic.
    pub(super) preview: Option<RawPreview>,
    /// What the provider looks at before it follows a plain `SET` of the key that gives a color more traffic. A `flip` and
    /// whatever else has verified the color itself is not held up.
    #[schemars(length(min = 1))]
    pub(super) guard: Option<Vec<RawGuard>>,
    /// How long that may take, such as `2s`, the default.
    pub(super) guard_timeout: Option<RawDuration>,
    /// `leaveOutDead` of every service for which it is possible and that does not say otherwise.
    pub(super) leave_out_dead: Option<bool>,
    /// The services by name.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1))]
    pub(super) services: BTreeMap<String, RawService>,
    /// The compose project of each color.
    #[serde(default)]
    pub(super) containers: BTreeMap<String, String>,
    /// Smoke tests: what a color must do before it gets the traffic, and production after.
    #[serde(default)]
    pub(super) checks: Vec<RawCheck>,
    /// The command that brings a color up, for `deploy`; `{color}` in it is replaced.
    pub(super) up: Option<RawCommand>,
    /// How long `up` may take, such as `15m`; without it, as long as `--timeout` says.
    pub(super) up_timeout: Option<RawDuration>,
    /// The command that stops a color, for `deploy --stop-old`; `{color}` in it is replaced.
    pub(super) down: Option<RawCommand>,
    /// By what the traffic of a color is judged while it gets some.
    pub(super) analysis: Option<RawAnalysis>,
    /// What is done at the stages of a rollout.
    #[serde(default)]
    pub(super) hooks: RawHooks,
    /// What holds up a rollout before it moves traffic.
    #[serde(default)]
    pub(super) gates: RawGates,
}

/// What the guard looks at.
#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Guard")]
pub(super) enum RawGuard {
    // No doc comments: they would make each variant a schema of its own.
    Health,
    Analysis,
}

/// How to see a color that has no traffic.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Preview", extend("minProperties" = 1))]
pub(super) struct RawPreview {
    /// The request header that names the color, such as `X-Color`: `X-Color: green` reaches green.
    pub(super) header: Option<String>,
    /// The Traefik entrypoint that always shows the idle color.
    pub(super) entry_point: Option<String>,
    /// A Traefik rule that narrows who may: a secret header, `ClientIP`.
    pub(super) rule: Option<String>,
}

/// One thing that a stack serves: a routing rule, and for each color the servers behind it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Service", extend("required" = ["rule", "servers"]))]
pub(super) struct RawService {
    /// Traefik's rule of the router, such as ``Host(`api.example.com`)``.
    #[serde(default)]
    pub(super) rule: String,
    /// For each color of the stack a URL, a list of URLs, or `name@provider` for a service of another provider.
    #[serde(default)]
    pub(super) servers: BTreeMap<String, RawServers>,
    /// The path that answers with 2xx when a server is well, such as `/health`.
    pub(super) health: Option<String>,
    /// Whether a server of a color that has several is left out of the document while it does not answer its `health`.
    pub(super) leave_out_dead: Option<bool>,
    /// How production reaches the service, where its rule and the stack's `production` do not tell.
    pub(super) production: Option<RawProduction>,
    /// Verbatim fields of the Traefik router: `middlewares`, `tls`, `priority` and so on; not `rule` and `service`.
    #[serde(default)]
    #[schemars(schema_with = "router")]
    pub(super) router: Map<String, Value>,
    /// Verbatim fields of each color's load balancer: `sticky`, `healthCheck` and so on; not `servers`.
    #[serde(default)]
    #[schemars(schema_with = "load_balancer")]
    pub(super) load_balancer: Map<String, Value>,
}

/// How production reaches a service, where its rule and the stack's `production` do not tell.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Production", extend("minProperties" = 1))]
pub(super) struct RawProduction {
    /// The host to ask for, where the rule has only a pattern (`HostRegexp`), or to choose one of several.
    pub(super) host: Option<String>,
    /// The path to ask for in place of `health`, such as `/api/health`; it answers with 2xx.
    pub(super) path: Option<String>,
    /// Where this host reaches the service's entrypoint, in place of the stack's `production`; a list, where each of
    /// several is to be asked.
    pub(super) url: Option<RawTexts>,
}

/// A URL such as `http://127.0.0.1:8091`, a list of URLs, or `name@provider`.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Servers")]
pub(super) enum RawServers {
    /// A URL, or `name@provider` for a service that another Traefik provider defines.
    One(String),
    /// The URLs of several replicas.
    Many(#[schemars(length(min = 1))] Vec<String>),
}

/// Where an instance can be asked which document it has applied.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Marker", extend("required" = ["entryPoint", "port"]))]
pub(super) struct RawMarker {
    /// The Traefik entrypoint that gets the router.
    #[serde(default)]
    pub(super) entry_point: String,
    /// The TCP port of that entrypoint.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(super) port: u16,
}

/// Where Traefik's default certificate comes from.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Certificate")]
pub(super) enum RawCertificate {
    // No doc comment: it would make this variant a schema of its own.
    Generated,
}

fn default_key() -> String {
    "active".to_owned()
}

fn default_color_header() -> String {
    "X-Color".to_owned()
}

fn default_colors() -> Vec<String> {
    vec!["blue".to_owned(), "green".to_owned()]
}

fn configuration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "$ref": "#/$defs/traefik.Configuration" })
}

fn router(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "$ref": "#/$defs/traefik.Router" })
}

fn load_balancer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "$ref": "#/$defs/traefik.ServersLoadBalancer" })
}
