//! What is asked of the engine: data, as it is in the store, so that whoever carries a rollout on has all of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What somebody wants of a stack's traffic, and with how much care.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The command that it comes from.
    pub kind: Kind,
    /// The traffic values that are set one after the other; the last one is the goal. At least one.
    pub steps: Vec<String>,
    /// How long production has to keep passing after each step but the last, in seconds.
    #[serde(rename = "intervalSeconds", with = "seconds", default)]
    pub interval: Duration,
    /// How long production has to keep passing after the last step, in seconds.
    #[serde(rename = "bakeSeconds", with = "seconds", default)]
    pub bake: Duration,
    /// How long each wait may take, in seconds.
    #[serde(rename = "timeoutSeconds", with = "seconds", default = "usual")]
    pub timeout: Duration,
    /// Whether the colors that get more are verified before, and production after.
    #[serde(default = "yes")]
    pub verify: bool,
    /// Whether the instances are waited for.
    #[serde(default = "yes")]
    pub wait: bool,
    /// Whether it goes back where it can't stand.
    #[serde(default = "yes")]
    pub go_back: bool,
    /// Whether it is made although no provider runs that would bring it to Traefik.
    #[serde(default)]
    pub without_provider: bool,
    /// Whether it is made although a freeze window is open.
    #[serde(default)]
    pub override_freeze: bool,
}

/// The command that a rollout comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// All the traffic to one color.
    Flip,
    /// The same, once `up` has brought the color up.
    Deploy,
    /// To what the history says was before.
    Rollback,
    /// To weights.
    Shift,
    /// To a color by steps.
    Ramp,
}

impl Kind {
    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flip => "flip",
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Shift => "shift",
            Self::Ramp => "ramp",
        }
    }
}

impl Request {
    /// The traffic in the end.
    pub fn goal(&self) -> &str {
        self.steps.last().map_or("", String::as_str)
    }

    /// Whether a step is the last one.
    pub fn is_last(&self, step: usize) -> bool {
        step + 1 >= self.steps.len()
    }

    /// How long production is watched after all the steps that come after this one.
    pub fn watched_after(&self, step: usize) -> Duration {
        let later = step + 1..self.steps.len();
        later.map(|step| self.watched(step)).sum()
    }

    /// How long production is watched after a step.
    pub fn watched(&self, step: usize) -> Duration {
        if self.is_last(step) {
            self.bake
        } else {
            self.interval
        }
    }
}

fn yes() -> bool {
    true
}

/// As long as `--timeout` is where nobody says.
fn usual() -> Duration {
    Duration::from_secs(60)
}

/// A duration as a number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
    }
}
