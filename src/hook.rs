//! Hooks: what the operator wants done at a stage of a rollout. The config says them, [`crate::rollout::hook`] runs them.

use std::fmt;
use std::time::Duration;

use hyper::Method;
use hyper::header::HeaderName;

use crate::check::{Body, CommandLine, Expect};

/// The values that the texts of every hook have.
pub const GIVEN: [&str; 8] = [
    "stage", "stack", "color", "from", "to", "rollout", "by", "why",
];

/// The hooks of a stack. Those of a stage run one after the other; the first that fails ends them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hooks {
    /// After the color was verified, before the key is set.
    pub before: Vec<Hook>,
    /// After production has passed.
    pub after: Vec<Hook>,
    /// After the rollout has gone back.
    pub back: Vec<Hook>,
    /// Before a color is stopped.
    pub stop: Vec<Hook>,
}

impl Hooks {
    /// Those of a stage, in their order.
    pub fn of(&self, stage: Stage) -> &[Hook] {
        match stage {
            Stage::Before => &self.before,
            Stage::After => &self.after,
            Stage::Back => &self.back,
            Stage::Stop => &self.stop,
        }
    }
}

/// The stage of a rollout at which hooks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The color was verified, and the key is to be set.
    Before,
    /// Production has passed.
    After,
    /// The rollout has gone back.
    Back,
    /// A color is to be stopped.
    Stop,
}

/// Its key in the config.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Back => "back",
            Self::Stop => "stop",
        })
    }
}

/// A hook.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// What it does.
    pub action: Action,
    /// How long that may take.
    pub timeout: Duration,
}

/// What a hook does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A command, which is good with exit code 0.
    Command(CommandLine),
    /// An HTTP request.
    Call(Call),
}

/// An HTTP request. Its texts are templates, and its URL, headers and body may hold secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// An `http` or `https` URL.
    pub url: String,
    /// Request headers.
    pub headers: Vec<(HeaderName, String)>,
    /// What is sent.
    pub body: Body,
    /// What is expected of the answer.
    pub expect: Expect,
}
