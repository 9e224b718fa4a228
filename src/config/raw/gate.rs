//! Gates as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

/// What holds up a rollout before it moves traffic.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Gates", extend("minProperties" = 1))]
pub(in crate::config) struct RawGates {
    /// Whether a person has to approve each rollout.
    #[serde(default)]
    pub(in crate::config) approve: bool,
    /// When no traffic is moved.
    #[serde(default)]
    pub(in crate::config) freeze: Vec<RawFreeze>,
}

/// A time in which no traffic is moved, again and again.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Freeze", extend("required" = ["from", "to", "timeZone"]))]
pub(in crate::config) struct RawFreeze {
    /// When it begins, as a cron expression such as `0 17 * * FRI`.
    #[serde(default)]
    pub(in crate::config) from: String,
    /// When it ends, as a cron expression such as `0 8 * * MON`.
    #[serde(default)]
    pub(in crate::config) to: String,
    /// Where the clocks are by which that is meant, such as `Europe/Berlin` or `UTC`.
    #[serde(default)]
    pub(in crate::config) time_zone: String,
    /// Why, in a few words.
    #[serde(default)]
    pub(in crate::config) why: String,
}
