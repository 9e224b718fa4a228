//! The record: what a rollout is and how far it has come, as `{active}:rollout` keeps it.
//!
//! It is written by its runner alone, in one step with the key and the lease; others only say what they want of it. All
//! of its times are by the store's clock, so that whoever carries it on elsewhere reads them alike.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::analysis::Measured;
use super::outcome::{Cause, Confirmed, Outcome, WayBack};
use super::request::{Kind, Request};

/// How many figures a record keeps, of all its steps: the store takes no more than 64 kB, and there may be thousands.
const FIGURES_KEPT: usize = 100;

/// A rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its name.
    pub id: String,
    /// The stack.
    pub stack: String,
    /// What was asked for.
    pub request: Request,
    /// Who asked.
    pub by: String,
    /// Why, in their words; empty where they said nothing.
    #[serde(default)]
    pub why: String,
    /// When it began.
    pub began: Timestamp,
    /// Where it is.
    pub stage: Stage,
    /// Which of the request's steps it is at, from 0.
    pub step: usize,
    /// Since when it has been at that stage.
    pub since: Timestamp,
    /// When the stage is over, where it has an end of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The traffic before; none where nobody knows it.
    #[serde(default)]
    pub from: Option<String>,
    /// The traffic that it has set last; none where it has set none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<String>,
    /// Who runs it; none until somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<Runner>,
    /// Who has approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Wish>,
    /// Somebody has paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Wish>,
    /// What somebody wants of it, for its runner to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Wish>,
    /// What came of each step that is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<StepDone>,
    /// Why it goes back, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What became of the way back, while its hooks run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<WayBack>,
    /// What came of it, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The color is brought up by whoever deploys it. Nobody else can carry that on.
    Up,
    /// The colors that get more traffic are verified.
    Verify,
    /// A person has to approve it.
    Approve,
    /// The hooks before the first change run.
    Before,
    /// A freeze window is open: its end is waited for.
    Freeze,
    /// The key is set, and every instance is waited for.
    Confirm,
    /// Production is verified, and watched.
    Production,
    /// The hooks after the last step run.
    After,
    /// The key is to be set back.
    Back,
    /// The key is set back, and that is waited for.
    ConfirmBack,
    /// The hooks of the way back run.
    BackHooks,
    /// It has ended.
    Ended,
}

impl Stage {
    /// It in words, as in `abandoned while green was verified`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Up => "bringing the color up",
            Self::Verify => "verifying",
            Self::Approve => "waiting for approval",
            Self::Before => "hooks before",
            Self::Freeze => "waiting for the end of a freeze",
            Self::Confirm => "waiting for the instances",
            Self::Production => "watching production",
            Self::After => "hooks after",
            Self::Back => "going back",
            Self::ConfirmBack => "waiting for the instances to go back",
            Self::BackHooks => "hooks after going back",
            Self::Ended => "ended",
        }
    }
}

/// The rollout is somebody else's by now, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost(pub String);

/// Who runs a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    /// Who: `user@host` of a command, or the name of a provider.
    pub name: String,
    /// The token of their lease.
    pub token: String,
}

/// What somebody wants of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// What.
    #[serde(rename = "do")]
    pub what: Want,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What can be wanted of a rollout that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Want {
    /// Stay where it is.
    Pause,
    /// Go on; where a person has to approve it, that is the approval.
    Resume,
    /// Go back.
    Abort,
}

impl Want {
    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
        }
    }

    /// What was done where it was heeded.
    pub fn done(self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Abort => "aborted",
        }
    }
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepDone {
    /// The traffic of the step.
    pub traffic: String,
    /// When the key was set.
    pub at: Timestamp,
    /// Who has it; none where nobody was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmed>,
    /// What it was measured at, service by service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<Measured>,
}

impl Record {
    /// The traffic of the step that it is at.
    pub fn to(&self) -> &str {
        let steps = &self.request.steps;
        steps
            .get(self.step)
            .or(steps.last())
            .map_or("", String::as_str)
    }

    /// A rollout that begins now.
    pub fn new(
        stack: &str,
        request: Request,
        by: String,
        why: String,
        from: Option<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: format!("{:016x}", fastrand::u64(..)),
            stack: stack.to_owned(),
            stage: Stage::Verify,
            request,
            by,
            why,
            began: now,
            step: 0,
            since: now,
            deadline: None,
            from,
            traffic: None,
            runner: None,
            approved: None,
            paused: None,
            wanted: None,
            done: Vec::new(),
            cause: None,
            way_back: None,
            outcome: None,
            ended: None,
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    /// Whether it has changed the traffic.
    pub fn has_changed(&self) -> bool {
        self.traffic.is_some()
    }

    /// The step that was made last is measured. Where there is no room for all, those that are judged are kept.
    pub(super) fn is_measured(&mut self, mut measured: Vec<Measured>) {
        let most = (FIGURES_KEPT / self.request.steps.len().max(1)).max(1);
        if measured.len() > most {
            measured.sort_by_key(|one| !one.judged);
            measured.truncate(most);
        }
        if let Some(done) = self.done.last_mut() {
            done.measured = measured;
        }
    }

    /// Why the traffic is changed, as the history says it.
    pub(super) fn reason(&self) -> String {
        let approved = self.approved.as_ref();
        match (self.why.as_str(), approved) {
            (why, None) => why.to_owned(),
            ("", Some(wish)) => format!("approved by {}", wish.by),
            (why, Some(wish)) => format!("{why}; approved by {}", wish.by),
        }
    }

    /// The instances that are not waited for on the way back: they have not come to the new traffic either.
    pub(super) fn late_names(&self) -> BTreeSet<String> {
        match &self.cause {
            Some(Cause::Late { late, .. }) => late.iter().map(|late| late.name.clone()).collect(),
            _ => BTreeSet::new(),
        }
    }

    /// As the store keeps it.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What the store keeps; none where another version wrote it in another form.
    pub fn of_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Checks that what is in the store is this rollout, run under this token.
    ///
    /// # Errors
    ///
    /// Who has taken its place.
    pub(super) fn is_still_run(&self, stored: &[u8], token: &str) -> Result<Self, Lost> {
        match Self::of_json(stored) {
            Some(other) if other.id != self.id => Err(Lost(other.whose())),
            Some(record) => match &record.runner {
                Some(runner) if runner.token == token => Ok(record),
                Some(runner) => Err(Lost(runner.name.clone())),
                None => Err(Lost("somebody".to_owned())),
            },
            None => Err(Lost("somebody whose record can't be read".to_owned())),
        }
    }

    /// Who began it, and what it is, as in `ann@host (flip to green)`.
    pub fn whose(&self) -> String {
        format!("{} ({})", self.by, self.what())
    }

    /// It in short, as in `flip to green`.
    pub fn what(&self) -> String {
        let (word, goal) = (self.request.kind.word(), self.request.goal());
        match self.request.kind {
            Kind::Deploy => format!("{word} {goal}"),
            _ => format!("{word} to {goal}"),
        }
    }
}
