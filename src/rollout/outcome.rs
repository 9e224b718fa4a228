//! What came of a rollout: how it ended, what that did to the traffic, and why. Exit codes, words and JSON are derived
//! from it; nothing is read out of a message.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::registry::first_few;
use crate::store::{Reading, StoreError};
use crate::verify::report::Report;

/// How many names of instances a record keeps.
const NAMES_KEPT: usize = 50;

/// What came of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What it did to the traffic.
    pub effect: Effect,
    /// Why it did not end as it was asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What became of the way back, where there was one to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<WayBack>,
    /// Who has the traffic of the last step that was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmed>,
    /// Whether no provider runs that would bring it to Traefik.
    #[serde(default)]
    pub to_nobody: bool,
    /// What was verified. Only its runner has it.
    #[serde(skip)]
    pub checks: Report,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// As it was asked to.
    Done,
    /// Before it changed anything.
    Refused,
    /// It could not stand, and went back, or would have.
    RolledBack,
    /// Not every instance confirmed in time, or somebody did not wait for that.
    Unconfirmed,
    /// Somebody else has changed the traffic.
    Conflict,
    /// The store does not tell.
    #[default]
    Unknown,
}

/// What a rollout did to the traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Nothing.
    None,
    /// It is what was asked for, or a step on the way there.
    Changed,
    /// It was changed, and is what it was before.
    RolledBack,
    /// That is not known.
    #[default]
    Unknown,
}

/// Why a rollout did not end as it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "what",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Cause {
    /// Somebody else is at it.
    Busy {
        /// Who, and what they do.
        holder: String,
    },
    /// The config of whoever runs it does not know this traffic.
    NotInConfig {
        /// The traffic.
        traffic: String,
    },
    /// The color could not be brought up.
    NotUp {
        /// Why.
        why: String,
    },
    /// Whoever brought the color up is gone.
    Abandoned,
    /// No provider reports to the store.
    NoProvider,
    /// A freeze window is open.
    Frozen {
        /// Until when, and why, in words.
        window: String,
    },
    /// A check of a color failed.
    NotReady {
        /// The color.
        color: String,
        /// What is wrong.
        wrong: String,
    },
    /// Whether a color is ready could not be found out.
    ReadyUnknown {
        /// The color.
        color: String,
        /// What is wrong.
        wrong: String,
    },
    /// Neither the color nor production has anything that could be verified.
    NothingToVerify {
        /// The color.
        color: String,
    },
    /// Traefik can't be asked where production is.
    ProductionAway {
        /// Why.
        why: String,
    },
    /// Another site answers where production is.
    ProductionForeign {
        /// What it answers.
        why: String,
    },
    /// A hook failed.
    Hook {
        /// What failed, and how.
        why: String,
    },
    /// What a hook asked for is not done: the rollout runs no hook that may ask for it.
    NoHookRuns,
    /// The operator interrupted it.
    Interrupted {
        /// Where it was.
        at: At,
        /// The instances that were still waited for.
        late: Vec<Late>,
    },
    /// Somebody aborted it.
    Aborted {
        /// Who.
        by: String,
    },
    /// The store has refused.
    StoreRefused {
        /// In its words.
        reason: String,
        /// Whether that may end by itself.
        may_pass: bool,
    },
    /// The store could not be reached before anything was changed.
    StoreAway {
        /// Why.
        reason: String,
    },
    /// The key was set, but then the store could not be reached.
    StoreLost {
        /// Why.
        reason: String,
    },
    /// The store did not answer whether it has set the key.
    WriteUnknown {
        /// Why.
        reason: String,
    },
    /// Somebody else has changed the key.
    Moved {
        /// What it holds.
        found: String,
    },
    /// Not every instance confirmed in time.
    Late {
        /// Those that did not.
        late: Vec<Late>,
        /// The traffic that they do not have.
        traffic: String,
    },
    /// Production failed a check.
    ProductionFails {
        /// The traffic then.
        traffic: String,
        /// What is wrong.
        wrong: String,
    },
    /// The figures of the traffic are beyond their limits.
    AnalysisFails {
        /// The traffic then.
        traffic: String,
        /// What is wrong.
        wrong: String,
    },
    /// Production could not be verified.
    ProductionUnknown {
        /// The traffic then.
        traffic: String,
        /// What is wrong.
        wrong: String,
    },
}

/// Where a rollout was when it was interrupted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum At {
    /// Before anything was begun.
    Begin,
    /// A color was verified.
    Verify {
        /// Which.
        color: String,
    },
    /// A person, or the end of a freeze, was waited for; or a hook ran.
    Gate,
    /// The instances were waited for.
    Confirm,
    /// Production was verified.
    Production,
    /// Production had passed, and hooks ran after that.
    After,
}

/// What became of the way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "what",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum WayBack {
    /// Nothing had been changed: the traffic was that before.
    NotNeeded,
    /// What was before is not known: the new traffic stands.
    NotKnown,
    /// Nobody wanted it: the new traffic stands.
    NotWanted,
    /// The traffic is what it was before, and nobody had to confirm that.
    ForNobody,
    /// It is, and every instance confirmed it, or every one but those that were late before.
    Confirmed {
        /// Whether some were not waited for.
        others: bool,
    },
    /// It is, but these have not confirmed it.
    Late {
        /// Those that have not.
        late: Vec<Late>,
    },
    /// It was, and somebody has changed the key since.
    MovedSince {
        /// What it holds.
        found: String,
    },
    /// It is, but the store can't be reached any more.
    StoreLost {
        /// Why.
        reason: String,
    },
    /// Somebody else has changed the key meanwhile, and that stands.
    Taken {
        /// What it holds.
        found: String,
    },
    /// The store refuses: the new traffic stands.
    Refused {
        /// In its words.
        reason: String,
    },
    /// The store can't be reached: the new traffic stands.
    Away {
        /// Why.
        reason: String,
    },
    /// It is not known whether the key could be set.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Who is waited for, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// The name of the instance, or who else.
    pub name: String,
    /// What it lacks.
    pub why: String,
}

/// `edge-1 (has not fetched it)`
impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.why)
    }
}

/// Who has a traffic, and how that is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The names of the instances; in a record, the first of them.
    pub instances: Vec<String>,
    /// How many there are.
    pub count: usize,
    /// How it is known.
    pub proof: Proof,
    /// How long it took after the key was set, in seconds.
    pub seconds: f64,
}

/// What is known of the instances that have confirmed a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Proof {
    /// Each of them routes by it.
    Everywhere,
    /// The one at production does.
    AtProduction,
    /// Nothing more: the config does not say where production is.
    NoProduction,
    /// Nothing more: production does not answer for the marker.
    NoAnswer,
}

impl Proof {
    /// Who is known to route by it, in a word.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Everywhere => Some("everywhere"),
            Self::AtProduction => Some("production"),
            Self::NoProduction | Self::NoAnswer => None,
        }
    }
}

impl Confirmed {
    /// These instances, so long after the key was set.
    pub(super) fn new(instances: Vec<String>, proof: Proof, after: Duration) -> Self {
        Self {
            count: instances.len(),
            instances,
            proof,
            seconds: after.as_secs_f64(),
        }
    }

    /// As a record keeps it: there may be thousands.
    pub(super) fn shortened(mut self) -> Self {
        self.instances.truncate(NAMES_KEPT);
        self
    }
}

impl Outcome {
    /// Whether it ended before it changed anything, or is back, because somebody aborted it.
    pub fn is_aborted(&self) -> bool {
        let undone = matches!(self.effect, Effect::None | Effect::RolledBack);
        undone && matches!(self.cause, Some(Cause::Aborted { .. }))
    }
}

impl End {
    /// It in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::RolledBack => "rolled back",
            Self::Unconfirmed => "unconfirmed",
            Self::Conflict => "superseded",
            Self::Unknown => "unknown",
        }
    }
}

impl Cause {
    /// Why nothing was written.
    pub(super) fn not_written(error: StoreError) -> Self {
        match error {
            StoreError::Unreachable(reason) => Self::StoreAway { reason },
            StoreError::Unknown(reason) => Self::WriteUnknown { reason },
            StoreError::Refused(refusal) => Self::StoreRefused {
                reason: refusal.reason,
                may_pass: refusal.may_pass,
            },
        }
    }

    /// How a rollout ends that ends because of this, where it has changed the traffic or not.
    pub(super) fn end(&self) -> End {
        match self {
            Self::Interrupted {
                at: At::Confirm | At::Production | At::After,
                ..
            }
            | Self::Late { .. } => End::Unconfirmed,
            Self::StoreAway { .. } | Self::StoreLost { .. } | Self::WriteUnknown { .. } => {
                End::Unknown
            }
            Self::Busy { .. } | Self::Moved { .. } => End::Conflict,
            _ => End::Refused,
        }
    }
}

/// It in short, as the history says why a rollout went back.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { late, traffic } => {
                let names = first_few(late.iter().map(|late| &late.name));
                write!(f, "{traffic} was not confirmed in time by {names}")
            }
            Self::ProductionFails { traffic, wrong } => {
                write!(f, "production fails on {traffic}: {wrong}")
            }
            Self::AnalysisFails { traffic, wrong } => {
                write!(f, "the figures fail on {traffic}: {wrong}")
            }
            Self::ProductionUnknown { traffic, wrong } => {
                write!(f, "production could not be verified on {traffic}: {wrong}")
            }
            Self::Hook { why } => f.write_str(why),
            Self::Aborted { by } => write!(f, "aborted by {by}"),
            Self::NotReady { color, wrong } => write!(f, "{color} is not ready: {wrong}"),
            Self::ReadyUnknown { color, wrong } => {
                write!(
                    f,
                    "whether {color} is ready could not be found out: {wrong}"
                )
            }
            Self::StoreRefused { reason, .. } => write!(f, "the store refuses: {reason}"),
            Self::Interrupted { .. } => f.write_str("interrupted"),
            Self::Busy { holder } => write!(f, "{holder} was at it already"),
            Self::NotInConfig { traffic } => {
                write!(f, "the config of its runner has no color of `{traffic}`")
            }
            Self::NotUp { why } => f.write_str(why),
            Self::Abandoned => f.write_str("its runner was gone before it had changed anything"),
            Self::NoProvider => f.write_str("no provider reports to the store"),
            Self::Frozen { window } => f.write_str(window),
            Self::NothingToVerify { color } => {
                write!(f, "nothing of {color} or of production could be verified")
            }
            Self::ProductionAway { why } => {
                write!(f, "Traefik can't be asked where production is: {why}")
            }
            Self::ProductionForeign { why } => {
                write!(
                    f,
                    "production is not where the traffic of this stack goes: {why}"
                )
            }
            Self::NoHookRuns => f.write_str("no hook of it runs"),
            Self::StoreAway { reason } => write!(f, "the store could not be reached: {reason}"),
            Self::StoreLost { reason } => {
                write!(f, "the store could not be reached any more: {reason}")
            }
            Self::WriteUnknown { reason } => {
                write!(f, "whether the key was set is not known: {reason}")
            }
            Self::Moved { found } => write!(f, "somebody else set the key to {found}"),
        }
    }
}

/// A reading in words; garbage is shown shortened.
pub fn shown(reading: &Reading) -> String {
    match reading {
        Reading::Missing => "gone".to_owned(),
        Reading::WrongType(_) => "not a string".to_owned(),
        Reading::TooLong(bytes) => format!("far too long ({bytes} bytes)"),
        Reading::Value(value) => {
            let text = String::from_utf8_lossy(&value[..value.len().min(40)]);
            format!("`{}`", text.trim())
        }
    }
}
