//! Hooks as they are written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::check::{RawCommand, RawDuration, RawExpect, given};

/// What is done at the stages of a rollout.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Hooks", extend("minProperties" = 1))]
pub(in crate::config) struct RawHooks {
    /// After the color was verified, before the key is set: migrations, warm-up. Where one fails, the rollout is refused.
    pub(in crate::config) before: Option<RawHookList>,
    /// After production has passed. Where one fails, the rollout goes back.
    pub(in crate::config) after: Option<RawHookList>,
    /// After the rollout has gone back.
    pub(in crate::config) back: Option<RawHookList>,
    /// Before a color is stopped. Where one fails, the color is not stopped.
    pub(in crate::config) stop: Option<RawHookList>,
}

/// A hook, or a list of hooks, of which each runs after the one before.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "HookList")]
pub(in crate::config) enum RawHookList {
    /// A hook.
    One(Box<RawHook>),
    /// Several hooks.
    Many(#[schemars(length(min = 1))] Vec<RawHook>),
}

/// A hook: a command, or an HTTP request.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Hook")]
pub(in crate::config) struct RawHook {
    /// A command, which is good with exit code 0; `{color}` in it is replaced. It gets `STACK`, `COLOR` and more in its
    /// environment.
    pub(in crate::config) command: Option<RawCommand>,
    /// An HTTP request.
    pub(in crate::config) http: Option<RawCall>,
    /// How long it may take, such as `10s` or `2m`.
    #[serde(default = "timeout")]
    pub(in crate::config) timeout: RawDuration,
}

/// An HTTP request of a hook, and what is expected of its answer.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Call", extend("required" = ["url"]))]
pub(in crate::config) struct RawCall {
    /// The method.
    #[serde(default = "post")]
    pub(in crate::config) method: String,
    /// The URL, with `http` or `https`.
    #[serde(default)]
    pub(in crate::config) url: String,
    /// Request headers by name.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// A body in JSON; without it and `text`, one that says what the rollout is.
    #[serde(default, deserialize_with = "given")]
    pub(in crate::config) json: Option<Value>,
    /// A body of text.
    pub(in crate::config) text: Option<String>,
    /// What is expected of the answer; a status of 2xx where nothing else is said.
    #[serde(default)]
    pub(in crate::config) expect: RawExpect,
}

fn timeout() -> RawDuration {
    RawDuration::Text("60s".to_owned())
}

fn post() -> String {
    "POST".to_owned()
}
