//! The plan: what comes next in a rollout, by what has happened. Pure: the clock is given, and nothing is awaited.
//!
//! ```text
//! verify → approve → before → [freeze] → SET → confirm → production → after → ended
//!    ↑                                            │           │          │
//!    └───────────────── the next step ────────────│───────────┘          │
//!                                                 └──→ back → confirmBack → backHooks → ended
//! ```

use std::time::Duration;

use jiff::Timestamp;

use super::analysis::Measured;
use super::gates::Gates;
use super::outcome::{At, Cause, Confirmed, Effect, End, Late, Outcome, WayBack};
use super::record::{Record, Stage, StepDone, Want, Wish};
use super::request::Kind;
use crate::hook::Stage as Moment;
use crate::verify::report::Report;

/// Whoever carries a rollout on gives its instances this long at least: the providers may have just come back, too. So
/// long it also watches production.
const GRACE: Duration = Duration::from_secs(10);

/// What is done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Verify the colors that get more, and look at production.
    Verify,
    /// Wait until a person approves it.
    AwaitApproval,
    /// Run the hooks of this moment.
    Hooks(Moment),
    /// Wait until then, when the freeze is over.
    Thaw(Timestamp),
    /// Set the key to the traffic of the step.
    Set,
    /// Wait for the instances until then.
    Confirm(Timestamp),
    /// Verify production, and watch it until then.
    Watch(Timestamp),
    /// Set the key to the traffic before.
    SetBack,
    /// Wait until then for the instances to have that.
    ConfirmBack(Timestamp),
    /// Stay where it is until somebody wants something.
    Hold,
    /// Let go of it: it is paused, and whoever wants it to go on says so.
    Leave,
    /// It has ended.
    End,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// The colors are ready.
    Ready,
    /// Something speaks against the change before it is made.
    Refused(Cause),
    /// The hooks have passed.
    HooksPassed,
    /// A hook has failed, and how.
    HookFailed(String),
    /// The freeze is over.
    Thawed,
    /// The key is set.
    Set,
    /// The key says so already.
    NotNeeded,
    /// The key is not set, or that is not known.
    NotSet(Cause),
    /// Every instance has the traffic.
    Confirmed(Confirmed),
    /// No provider runs that would bring it to Traefik, and that is how it is wanted.
    ToNobody,
    /// These do not have it, and the time is over.
    Late(Vec<Late>),
    /// The store could not be reached any more, and the time is over.
    StoreLost(String),
    /// Production has passed, and what was measured.
    Passed(Vec<Measured>),
    /// Production has not, and what was measured until then.
    Broken(Cause, Vec<Measured>),
    /// The key is set back.
    SetBack,
    /// It is not, or it could not be confirmed.
    WentBack(WayBack),
    /// Somebody else has set the key to this.
    Moved(String),
    /// Somebody wants something of it.
    Wanted(Wish),
    /// The operator wants to wait no longer.
    Interrupted(At, Vec<Late>),
}

/// What is done first, in a rollout that has just begun.
pub fn begin(record: &mut Record, gates: &Gates, now: Timestamp) -> Act {
    match record.frozen(gates) {
        Some(cause) => record.refuse(cause, now),
        None => carry_on(record, gates, now),
    }
}

/// What is done first by whoever carries a rollout on, by its stage.
pub fn carry_on(record: &mut Record, gates: &Gates, now: Timestamp) -> Act {
    if record.paused.is_some() && record.can_hold() {
        return Act::Hold;
    }
    let deadline = record.deadline.unwrap_or(now);
    match record.stage {
        Stage::Up => record.refuse(Cause::Abandoned, now),
        Stage::Verify if record.request.verify => Act::Verify,
        Stage::Verify => record.approve(gates, now),
        Stage::Approve => Act::AwaitApproval,
        Stage::Before => Act::Hooks(Moment::Before),
        Stage::Freeze => record.set(gates, now),
        Stage::Confirm => Act::Confirm(deadline.max(now + GRACE.min(record.request.timeout))),
        Stage::Production => {
            // What nobody has watched says nothing.
            let least = GRACE.min(record.request.watched(record.step));
            let until = deadline.max(now + least);
            record.deadline = Some(until);
            Act::Watch(until)
        }
        Stage::After => Act::Hooks(Moment::After),
        Stage::Back => Act::SetBack,
        Stage::ConfirmBack => {
            Act::ConfirmBack(deadline.max(now + GRACE.min(record.request.timeout)))
        }
        Stage::BackHooks => Act::Hooks(Moment::Back),
        Stage::Ended => Act::End,
    }
}

/// What is done next; none where what is under way goes on.
pub fn next(record: &mut Record, happened: Happened, gates: &Gates, now: Timestamp) -> Option<Act> {
    Some(match (record.stage, happened) {
        (Stage::Ended, _) => return None,
        (_, Happened::Wanted(wish)) => return record.wish(wish, gates, now),
        (_, Happened::Interrupted(at, late)) => return record.interrupted(at, late, now),
        (Stage::ConfirmBack, Happened::Moved(found)) => {
            record.back_at(WayBack::MovedSince { found }, now)
        }
        (Stage::BackHooks, Happened::Moved(_)) => return None,
        (_, Happened::Moved(found)) => record.over(Cause::Moved { found }, now),

        (Stage::Verify, Happened::Ready) => record.approve(gates, now),
        (Stage::Before, Happened::HooksPassed) if record.paused.is_some() => {
            record.enter(Stage::Freeze, None, now);
            Act::Hold
        }
        (Stage::Before, Happened::HooksPassed) => record.set(gates, now),
        (Stage::Freeze, Happened::Thawed) => record.set(gates, now),
        (_, Happened::Set) => {
            record.traffic = Some(record.to().to_owned());
            record.is_set(now)
        }
        (_, Happened::NotNeeded) => record.is_set(now),
        (_, Happened::Refused(cause) | Happened::NotSet(cause)) => {
            // A later step that can't be made leaves the one before it: that goes back, where the store does its part.
            match record.has_changed() && cause.end() == End::Refused {
                true => record.back(cause, now),
                false => record.over(cause, now),
            }
        }

        (Stage::Confirm, Happened::Confirmed(confirmed)) => {
            if let Some(done) = record.done.last_mut() {
                done.confirmed = Some(confirmed.shortened());
            }
            let until = now + record.request.watched(record.step);
            record.enter(Stage::Production, Some(until), now);
            match record.paused {
                Some(_) => Act::Hold,
                None => Act::Watch(until),
            }
        }
        (Stage::Confirm, Happened::ToNobody) => record.passed(now),
        (Stage::Confirm, Happened::Late(late)) => {
            let traffic = record.to().to_owned();
            record.back(Cause::Late { late, traffic }, now)
        }
        (_, Happened::StoreLost(reason)) => record.over(Cause::StoreLost { reason }, now),

        (Stage::Production, Happened::Passed(measured)) => {
            record.is_measured(measured);
            if record.request.kind == Kind::Rollback {
                return Some(record.passed(now));
            }
            if record.request.is_last(record.step) {
                record.enter(Stage::After, None, now);
                return Some(Act::Hooks(Moment::After));
            }
            record.step += 1;
            record.enter(Stage::Verify, None, now);
            carry_on(record, gates, now)
        }
        (Stage::Production, Happened::Broken(cause, measured)) => {
            record.is_measured(measured);
            record.back(cause, now)
        }
        (Stage::After, Happened::HooksPassed) => record.end(End::Done, None, None, now),
        (Stage::Before, Happened::HookFailed(why)) => match record.has_changed() {
            // A hook had moved traffic itself, in the name of this rollout.
            true => record.back(Cause::Hook { why }, now),
            false => record.refuse(Cause::Hook { why }, now),
        },
        (Stage::After, Happened::HookFailed(why)) => record.back(Cause::Hook { why }, now),

        (Stage::Back, Happened::SetBack) => {
            record.traffic = record.from.clone();
            let until = now + record.request.timeout;
            record.enter(Stage::ConfirmBack, Some(until), now);
            Act::ConfirmBack(until)
        }
        (Stage::Back, Happened::WentBack(way)) => {
            let cause = record.cause.take();
            record.end(End::Unknown, cause, Some(way), now)
        }
        (Stage::ConfirmBack, Happened::WentBack(way)) => record.back_at(way, now),
        (Stage::BackHooks, Happened::HooksPassed | Happened::HookFailed(_)) => {
            record.has_gone_back(now)
        }
        // Whatever else comes is of a stage that is over.
        _ => return None,
    })
}

impl Record {
    /// What keeps it from beginning now, where that is a freeze.
    pub fn frozen(&self, gates: &Gates) -> Option<Cause> {
        let (_, window) = gates.frozen.as_ref().filter(|_| self.heeds_freeze())?;
        let window = window.clone();
        Some(Cause::Frozen { window })
    }

    /// Whether it waits for the end of a freeze: a way back never does.
    fn heeds_freeze(&self) -> bool {
        self.request.kind != Kind::Rollback && !self.request.override_freeze
    }

    /// Whether it can stay where it is.
    fn can_hold(&self) -> bool {
        matches!(
            self.stage,
            Stage::Verify | Stage::Approve | Stage::Freeze | Stage::Production
        )
    }

    /// It ends because of this, before it has changed anything.
    pub fn refused(&mut self, cause: Cause) -> Outcome {
        let now = self.since.max(Timestamp::now());
        self.over(cause, now);
        self.outcome.clone().unwrap_or_default()
    }

    /// The color is up.
    pub fn is_up(&mut self, now: Timestamp) {
        self.enter(Stage::Verify, None, now);
    }

    fn enter(&mut self, stage: Stage, deadline: Option<Timestamp>, now: Timestamp) {
        self.stage = stage;
        self.since = now;
        self.deadline = deadline;
    }

    /// The colors are ready: the gates come, before the first step.
    fn approve(&mut self, gates: &Gates, now: Timestamp) -> Act {
        if self.step > 0 || self.request.kind == Kind::Rollback {
            return self.set(gates, now);
        }
        if gates.approve {
            self.enter(Stage::Approve, None, now);
            return Act::AwaitApproval;
        }
        self.before(now)
    }

    fn before(&mut self, now: Timestamp) -> Act {
        self.enter(Stage::Before, None, now);
        Act::Hooks(Moment::Before)
    }

    fn set(&mut self, gates: &Gates, now: Timestamp) -> Act {
        match &gates.frozen {
            Some((until, _)) if self.heeds_freeze() => {
                self.enter(Stage::Freeze, Some(*until), now);
                Act::Thaw(*until)
            }
            _ => Act::Set,
        }
    }

    /// The key says what it has to.
    fn is_set(&mut self, now: Timestamp) -> Act {
        self.done.push(StepDone {
            traffic: self.to().to_owned(),
            at: now,
            confirmed: None,
            measured: Vec::new(),
        });
        if !self.request.wait {
            return self.passed(now);
        }
        let until = now + self.request.timeout;
        self.enter(Stage::Confirm, Some(until), now);
        Act::Confirm(until)
    }

    /// The traffic is what it has to be, and nothing more is asked of it. What was a way back has its hooks.
    fn passed(&mut self, now: Timestamp) -> Act {
        match self.request.kind {
            Kind::Rollback => {
                self.enter(Stage::BackHooks, None, now);
                Act::Hooks(Moment::Back)
            }
            _ => self.end(End::Done, None, None, now),
        }
    }

    /// It can't stand: the way back, where there is one to go.
    fn back(&mut self, cause: Cause, now: Timestamp) -> Act {
        let stays = match () {
            () if !self.has_changed() => WayBack::NotNeeded,
            () if self.from.is_none() => WayBack::NotKnown,
            () if !self.request.go_back => WayBack::NotWanted,
            () => {
                self.paused = None;
                self.cause = Some(cause);
                self.enter(Stage::Back, None, now);
                return Act::SetBack;
            }
        };
        self.end(End::RolledBack, Some(cause), Some(stays), now)
    }

    /// It is back, as far as that is known.
    fn back_at(&mut self, way: WayBack, now: Timestamp) -> Act {
        self.way_back = Some(way);
        self.enter(Stage::BackHooks, None, now);
        Act::Hooks(Moment::Back)
    }

    /// The hooks of the way back are over. Where one has failed, that changes nothing of it.
    fn has_gone_back(&mut self, now: Timestamp) -> Act {
        let (cause, way) = (self.cause.take(), self.way_back.take());
        self.end(End::Done, cause, way, now)
    }

    fn refuse(&mut self, cause: Cause, now: Timestamp) -> Act {
        self.end(End::Refused, Some(cause), None, now)
    }

    /// It ends without a way back.
    fn over(&mut self, cause: Cause, now: Timestamp) -> Act {
        self.end(cause.end(), Some(cause), None, now)
    }

    fn end(
        &mut self,
        end: End,
        cause: Option<Cause>,
        way_back: Option<WayBack>,
        now: Timestamp,
    ) -> Act {
        let end = match (&way_back, &cause) {
            (None, _) | (_, None) => end,
            (Some(WayBack::Taken { .. }), _) => End::Conflict,
            (Some(WayBack::Refused { .. } | WayBack::Away { .. } | WayBack::Unknown { .. }), _) => {
                End::Unknown
            }
            (_, Some(Cause::Late { .. })) => End::Unconfirmed,
            (Some(WayBack::NotNeeded), _) => End::Refused,
            _ => End::RolledBack,
        };
        let effect = match (&way_back, &cause) {
            (Some(way), _) => way.effect(),
            (None, Some(Cause::WriteUnknown { .. })) => Effect::Unknown,
            (None, _) if self.has_changed() => Effect::Changed,
            (None, _) => Effect::None,
        };
        let confirmed = self.done.last().and_then(|done| done.confirmed.clone());
        self.outcome = Some(Outcome {
            end,
            effect,
            cause,
            way_back,
            confirmed,
            to_nobody: false,
            checks: Report::default(),
        });
        self.paused = None;
        self.wanted = None;
        self.ended = Some(now);
        self.enter(Stage::Ended, None, now);
        Act::End
    }

    /// Somebody wants something of it.
    fn wish(&mut self, wish: Wish, gates: &Gates, now: Timestamp) -> Option<Act> {
        self.wanted = None;
        match wish.what {
            Want::Pause if self.can_hold() => {
                self.paused.get_or_insert(wish);
                Some(Act::Hold)
            }
            // What is under way is brought to its end first.
            Want::Pause if matches!(self.stage, Stage::Before | Stage::Confirm) => {
                self.paused = Some(wish);
                None
            }
            Want::Resume if self.unpause(now) => match self.stage {
                Stage::Before | Stage::Confirm => None,
                _ => Some(carry_on(self, gates, now)),
            },
            Want::Resume if self.stage == Stage::Approve => {
                self.approved = Some(wish);
                Some(self.before(now))
            }
            Want::Abort => match self.stage {
                Stage::Back | Stage::ConfirmBack | Stage::BackHooks | Stage::Ended => None,
                _ if self.has_changed() => Some(self.back(Cause::Aborted { by: wish.by }, now)),
                _ => Some(self.refuse(Cause::Aborted { by: wish.by }, now)),
            },
            Want::Pause | Want::Resume => None,
        }
    }

    /// Takes the pause away, where there is one. Meanwhile nobody has watched production: that is made up for.
    fn unpause(&mut self, now: Timestamp) -> bool {
        let Some(paused) = self.paused.take() else {
            return false;
        };
        if let (Stage::Production, Some(deadline)) = (self.stage, self.deadline) {
            let left = deadline.duration_since(paused.at.max(self.since));
            self.deadline = Some(now + left);
        }
        true
    }

    /// The operator wants to wait no longer: a ramp is paused, anything else ends with the traffic that stands.
    fn interrupted(&mut self, at: At, late: Vec<Late>, now: Timestamp) -> Option<Act> {
        match self.stage {
            Stage::Back | Stage::ConfirmBack | Stage::Ended => return None,
            Stage::BackHooks => return Some(self.has_gone_back(now)),
            _ => {}
        }
        // Only a hook has moved traffic so far: that is no step to stay at.
        if self.has_changed() && self.done.is_empty() {
            return Some(self.back(Cause::Interrupted { at, late }, now));
        }
        if self.has_changed() && self.request.kind == Kind::Ramp {
            self.paused.get_or_insert_with(|| Wish {
                what: Want::Pause,
                by: self.by.clone(),
                at: now,
            });
            return Some(Act::Leave);
        }
        Some(self.over(Cause::Interrupted { at, late }, now))
    }
}

impl WayBack {
    /// What the rollout has done to the traffic, where this became of its way back.
    fn effect(&self) -> Effect {
        match self {
            Self::NotNeeded => Effect::None,
            Self::NotKnown
            | Self::NotWanted
            | Self::Taken { .. }
            | Self::Refused { .. }
            | Self::Away { .. } => Effect::Changed,
            Self::ForNobody
            | Self::Confirmed { .. }
            | Self::Late { .. }
            | Self::MovedSince { .. }
            | Self::StoreLost { .. } => Effect::RolledBack,
            Self::Unknown { .. } => Effect::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
