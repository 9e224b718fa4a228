//! The engine: it does what the plan says, keeps the record, and hears what others want meanwhile.

use std::pin::pin;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::act::{Back, Job, Ran};
use super::applied::Asker;
use super::before::Before;
use super::confirm::LOOK_AGAIN;
use super::context::Context;
use super::event::Event;
use super::gates::Gates;
use super::interrupts::Interrupts;
use super::keeper::{Keeper, Seen, busy};
use super::outcome::{At, Cause, Confirmed, Outcome, shown};
use super::plan::{self, Act, Happened};
use super::record::{Lost, Record, Stage, Want};
use super::way_back::set_back;
use crate::history::{Entry, WENT_BACK};
use crate::registry::Aged;
use crate::store::write::Written;
use crate::store::{Reading, Session, StoreError};
use crate::traffic::Traffic;
use crate::verify::report::Report;

/// How long a provider that has just been started may take to report.
const FIRST_REPORT: Duration = Duration::from_millis(1500);

/// How a rollout left the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Left {
    /// It has ended; what came of it.
    Ended(Box<Outcome>),
    /// It is paused, and nobody runs it here any more.
    Paused,
    /// Somebody else runs it, or has taken its place.
    Lost(Lost),
}

/// A rollout that is run here.
pub struct Engine<'a> {
    context: Context<'a>,
    record: Record,
    keeper: &'a mut Keeper,
    interrupts: &'a mut Interrupts,
    /// What the key has to hold for the next step.
    expected: Reading,
    /// What the key told before the rollout; none where a guard may not follow it.
    told: Option<Traffic>,
    /// The traffic before the rollout, where it is known.
    from: Option<Traffic>,
    /// What the providers said before it.
    reports: Vec<Aged>,
    asker: Asker,
    /// What was verified.
    checks: Report,
    /// Who has the newest step, with all names.
    confirmed: Option<Confirmed>,
    /// By how much the store's clock is ahead of this host's.
    ahead: SignedDuration,
    /// When the key was last set.
    set_at: Instant,
    /// Whether nobody has to have it, because no provider runs.
    to_nobody: bool,
    /// Whether it was told that the store is away.
    told_away: bool,
    /// The step that was told last.
    told_step: Option<usize>,
}

impl<'a> Engine<'a> {
    /// To run a rollout that has this record, by what is there before.
    pub fn new(
        context: Context<'a>,
        mut record: Record,
        keeper: &'a mut Keeper,
        before: &Before,
        interrupts: &'a mut Interrupts,
    ) -> Self {
        record.runner = Some(keeper.runner());
        let from = record.from.as_ref();
        let from = from.and_then(|text| context.traffic(text));
        Self {
            context,
            from,
            keeper,
            interrupts,
            expected: before.key.reading.clone(),
            told: before
                .key
                .tells(&context.stack.colors, context.stack.guard.is_some()),
            reports: before.reports.clone(),
            asker: Asker::new(context.stack.production.clone(), &before.reports),
            checks: Report::default(),
            confirmed: None,
            ahead: before.key.at.duration_since(Timestamp::now()),
            set_at: Instant::now(),
            to_nobody: record.request.without_provider && !before.provider_runs(),
            told_away: false,
            told_step: None,
            record,
        }
    }

    /// Runs a rollout that has just begun, over the connection that it was prepared on; gives its record in the end, too.
    pub async fn run(mut self, mut session: Session) -> (Record, Left) {
        let waits = self.record.request.wait && !self.to_nobody;
        let runs = match waits && !self.reports.iter().any(Aged::runs) {
            false => Ok(true),
            true => self.provider_runs(&mut session).await,
        };
        // A connection that is idle while the color is verified may break without anybody noticing.
        if !self.record.request.verify {
            self.keeper.go_on_over(session);
        }
        let act = match runs {
            Ok(true) => {
                let (gates, now) = (self.gates(), self.now());
                plan::begin(&mut self.record, &gates, now)
            }
            Ok(false) => self.next(Happened::Refused(Cause::NoProvider)),
            Err(error) => self.next(Happened::Refused(Cause::not_written(error))),
        };
        self.follow(act).await
    }

    /// Carries on a rollout that somebody else has begun.
    pub async fn carry_on(mut self) -> (Record, Left) {
        // Somebody may have wanted something, or have set the key, while nobody was there.
        let is = self.record.traffic.as_ref().or(self.record.from.as_ref());
        let is = is.and_then(|text| self.context.traffic(text));
        let found = self.context.parse(&self.expected);
        let act = match (self.record.wanted.take(), is, found) {
            (_, Some(is), Some(found)) if is != found => {
                let found = shown(&self.expected);
                self.planned(Happened::Moved(found))
            }
            (Some(wish), ..) => self.planned(Happened::Wanted(wish)),
            _ => None,
        };
        let (gates, now) = (self.gates(), self.now());
        let act = act.unwrap_or_else(|| plan::carry_on(&mut self.record, &gates, now));
        self.follow(act).await
    }

    async fn follow(mut self, act: Act) -> (Record, Left) {
        let left = match self.acts(act).await {
            Ok(left) => left,
            Err(lost) => Left::Lost(lost),
        };
        (self.record, left)
    }

    async fn acts(&mut self, mut act: Act) -> Result<Left, Lost> {
        loop {
            self.tell_step();
            act = match act {
                Act::End => {
                    // Where another one has taken its place, what came of it is said here all the same.
                    if let Err(lost) = self.save(true).await
                        && self.keeper.is_carried_on(&self.record).await
                    {
                        return Err(lost);
                    }
                    return Ok(Left::Ended(Box::new(self.outcome())));
                }
                Act::Leave => {
                    self.save(true).await?;
                    return Ok(Left::Paused);
                }
                Act::Set => self.set().await?,
                Act::SetBack => self.set_back().await?,
                Act::ConfirmBack(until) => {
                    self.save(false).await?;
                    let from = self.from.clone();
                    let way = self.back().confirm_back(from.as_ref(), until).await;
                    self.next(Happened::WentBack(way))
                }
                Act::Hooks(moment) if self.context.stack.hooks.of(moment).is_empty() => {
                    self.next(Happened::HooksPassed)
                }
                act => match self.save(false).await? {
                    Some(instead) => instead,
                    None => self.perform(act).await?,
                },
            };
        }
    }

    /// Tells once which step of several it is at.
    fn tell_step(&mut self) {
        let (step, of) = (self.record.step, self.record.request.steps.len());
        let is_at_it = matches!(
            self.record.stage,
            Stage::Verify | Stage::Freeze | Stage::Confirm | Stage::Production
        );
        if of > 1 && is_at_it && self.told_step.replace(step) != Some(step) {
            let to = self.record.to();
            let step = step + 1;
            (self.context.tell)(Event::Step { step, of, to });
        }
    }

    /// What came of it, with all that only its runner has.
    fn outcome(&mut self) -> Outcome {
        let mut outcome = self.record.outcome.clone().unwrap_or_default();
        outcome.to_nobody = self.to_nobody;
        outcome.checks = std::mem::take(&mut self.checks);
        if outcome.confirmed.is_some() {
            outcome.confirmed = self.confirmed.take().or(outcome.confirmed);
        }
        outcome
    }

    /// Does what takes its time, and hears what others want meanwhile.
    async fn perform(&mut self, act: Act) -> Result<Act, Lost> {
        let (mut late, mut verifying) = (Vec::new(), None);
        let ran = {
            let record = self.record.clone();
            let (from, set_at, ahead) = (self.from.clone(), self.set_at, self.ahead);
            let job = Job {
                context: &self.context,
                record: &record,
                from: from.as_ref(),
                reports: &self.reports,
                asker: &mut self.asker,
                checks: &mut self.checks,
                late: &mut late,
                verifying: &mut verifying,
                interrupts: &mut *self.interrupts,
                set_at,
                ahead,
            };
            let mut doing = pin!(job.run(&act, self.to_nobody));
            loop {
                tokio::select! {
                    ran = &mut doing => break ran,
                    seen = self.keeper.news() => {
                        let mut hearing = Hearing {
                            context: &self.context,
                            record: &mut self.record,
                            keeper: self.keeper,
                            expected: &mut self.expected,
                            told_away: &mut self.told_away,
                        };
                        let Some(happened) = hearing.hear(seen)? else {
                            continue;
                        };
                        let now = Timestamp::now() + self.ahead;
                        let gates = Gates::at(&self.context.stack.gates, now);
                        if let Some(act) = plan::next(&mut self.record, happened, &gates, now) {
                            return Ok(act);
                        }
                        // It is heeded once what is under way is done; everybody is to see that it is known.
                        self.keeper.write(&self.record, None, false).await.ok();
                    }
                }
            }
        };
        // A hook may have moved traffic in the rollout's name just now.
        if matches!(act, Act::Hooks(_))
            && let Some(instead) = self.write(false).await?
        {
            return Ok(instead);
        }
        let happened = match ran {
            Ran::Happened(happened) => happened,
            Ran::Interrupted => {
                let at = match self.record.stage {
                    Stage::Verify => verifying.map_or(At::Begin, |color: crate::color::Color| {
                        let color = color.to_string();
                        At::Verify { color }
                    }),
                    Stage::Confirm => At::Confirm,
                    Stage::Approve | Stage::Before | Stage::Freeze => At::Gate,
                    Stage::After => At::After,
                    _ => At::Production,
                };
                if self.record.stage == Stage::BackHooks {
                    (self.context.tell)(Event::BackHookFailed("a hook was interrupted"));
                }
                Happened::Interrupted(at, late)
            }
        };
        if let Happened::Confirmed(confirmed) = &happened {
            self.confirmed = Some(confirmed.clone());
            if self.record.request.verify {
                (self.context.tell)(Event::Confirmed(confirmed));
            }
        }
        Ok(self.next(happened))
    }

    /// The wait for the way back.
    fn back(&mut self) -> Back<'_> {
        Back {
            context: &self.context,
            asker: &mut self.asker,
            interrupts: self.interrupts,
            without: self.record.late_names(),
            ahead: self.ahead,
        }
    }

    /// Sets the key to the traffic of the step, if it is still what it was.
    async fn set(&mut self) -> Result<Act, Lost> {
        if self.interrupts.has_come() {
            return Ok(self.next(Happened::Interrupted(At::Begin, Vec::new())));
        }
        let to = self.record.to().to_owned();
        let Some(traffic) = self.context.traffic(&to) else {
            return Ok(self.next(Happened::NotSet(Cause::NotInConfig { traffic: to })));
        };
        let (gates, now) = (self.gates(), self.now());
        let is = match &self.record.traffic {
            Some(text) => self.context.traffic(text),
            None => self.told.clone(),
        };
        if is.as_ref() == Some(&traffic) {
            self.set_at = Instant::now();
            return Ok(self.next(Happened::NotNeeded));
        }
        let is = self.record.traffic.clone();
        let is = is.or_else(|| self.record.from.clone());
        let entry = self.entry(is.unwrap_or_default(), to, self.record.reason());
        let mut then = self.record.clone();
        let act = plan::next(&mut then, Happened::Set, &gates, now).unwrap_or(Act::End);
        let release = act == Act::End;
        self.set_at = Instant::now();
        loop {
            let change = Some((&self.expected, &entry));
            let within = self.record.request.timeout;
            let began = self.keeper.has_begun();
            let written = self.keeper.write_surely(&then, change, release, within);
            match written.await {
                Ok(Written::Done) => {
                    self.expected = Reading::Value(then.to().as_bytes().to_owned());
                    self.record = then;
                    return Ok(act);
                }
                Ok(Written::Conflict(found)) => {
                    // After the first step only a valid value is somebody's.
                    if began && self.record.has_changed() && self.context.parse(&found).is_none() {
                        self.expected = found;
                        continue;
                    }
                    let found = shown(&found);
                    return Ok(self.next(Happened::Moved(found)));
                }
                Ok(Written::Held(lease)) if began => return Err(Lost(lease.to_string())),
                Ok(Written::Held(lease)) => {
                    let holder = lease.to_string();
                    return Ok(self.next(Happened::Refused(Cause::Busy { holder })));
                }
                Ok(Written::Stale(None)) => self.keeper.take_over(None),
                Ok(Written::Stale(Some(bytes))) if !began => {
                    return Ok(self.next(Happened::Refused(busy(&bytes))));
                }
                Ok(Written::Stale(Some(bytes))) => {
                    // What is to be set, and in place of what, may be something else now.
                    return Ok(self.merge(bytes)?.unwrap_or(Act::Set));
                }
                Err(error) => {
                    return Ok(self.next(Happened::NotSet(Cause::not_written(error))));
                }
            }
        }
    }

    /// Sets the key to what was before, where it can't stand.
    async fn set_back(&mut self) -> Result<Act, Lost> {
        let from = self.record.from.clone().unwrap_or_default();
        let is = self.record.traffic.clone().unwrap_or_default();
        let Some(traffic) = self.context.traffic(&is) else {
            return Ok(self.next(Happened::WentBack(super::outcome::WayBack::NotKnown)));
        };
        (self.context.tell)(Event::GoingBack(&from));
        let why = self.record.cause.as_ref().map(ToString::to_string);
        let why = format!("{WENT_BACK}{}", why.unwrap_or_default());
        let entry = self.entry(is, from.clone(), why);
        let mut then = self.record.clone();
        let (gates, now) = (self.gates(), self.now());
        let act = plan::next(&mut then, Happened::SetBack, &gates, now).unwrap_or(Act::End);
        let back = set_back(
            &self.context,
            self.keeper,
            &then,
            &traffic,
            &entry,
            self.interrupts,
        );
        match back.await? {
            None => {
                self.expected = Reading::Value(from.into_bytes());
                self.record = then;
                Ok(act)
            }
            Some(way) => Ok(self.next(Happened::WentBack(way))),
        }
    }

    /// Writes the record where it has changed; gives what comes instead of what was to come next.
    async fn save(&mut self, release: bool) -> Result<Option<Act>, Lost> {
        if !self.keeper.has_begun() {
            // Where it has ended nothing was begun: nobody needs to hear of it.
            let begun = match self.record.has_ended() {
                true => Ok(()),
                false => self.keeper.begin(&self.record).await,
            };
            return Ok(begun.err().map(|cause| self.next(Happened::Refused(cause))));
        }
        match self.keeper.is_up_to_date(&self.record, release) {
            true => Ok(None),
            false => self.write(release).await,
        }
    }

    /// Writes the record, and sees in the same step what others have written into it; gives what comes instead of what
    /// was to come next.
    async fn write(&mut self, release: bool) -> Result<Option<Act>, Lost> {
        loop {
            match self.keeper.write(&self.record, None, release).await {
                Ok(Written::Done | Written::Conflict(_)) => return Ok(None),
                Ok(Written::Held(lease)) => return Err(Lost(lease.to_string())),
                Ok(Written::Stale(None)) => self.keeper.take_over(None),
                Ok(Written::Stale(Some(bytes))) => {
                    if let Some(act) = self.merge(bytes)? {
                        return Ok(Some(act));
                    }
                }
                // What is in the store is written with the next stage.
                Err(error) => {
                    tracing::debug!(%error, "the record of the rollout could not be written");
                    return Ok(None);
                }
            }
        }
    }

    /// The record in the store is another one: what somebody wants of this rollout, or another rollout.
    fn merge(&mut self, bytes: Vec<u8>) -> Result<Option<Act>, Lost> {
        let theirs = self.record.is_still_run(&bytes, self.keeper.token())?;
        self.keeper.take_over(Some(bytes));
        if theirs.traffic != self.record.traffic
            && let Some(text) = &theirs.traffic
        {
            // A hook has moved traffic in its name.
            self.expected = Reading::Value(text.clone().into_bytes());
            self.record.traffic = theirs.traffic;
        }
        let wanted = theirs.wanted;
        Ok(wanted.and_then(|wish| self.planned(Happened::Wanted(wish))))
    }

    /// What the plan says.
    fn planned(&mut self, happened: Happened) -> Option<Act> {
        let (gates, now) = (self.gates(), self.now());
        plan::next(&mut self.record, happened, &gates, now)
    }

    /// The same, of something that always leads on.
    fn next(&mut self, happened: Happened) -> Act {
        self.planned(happened).unwrap_or(Act::End)
    }

    fn entry(&self, from: String, to: String, why: String) -> Entry {
        Entry {
            at: Timestamp::now(),
            from,
            to,
            by: self.record.by.clone(),
            why,
        }
    }

    /// Now, by the store's clock.
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.ahead
    }

    fn gates(&self) -> Gates {
        Gates::at(&self.context.stack.gates, self.now())
    }

    /// Whether a provider runs; one that has just been started gets the time for its first report.
    async fn provider_runs(&self, session: &mut Session) -> Result<bool, StoreError> {
        let until = Instant::now() + FIRST_REPORT.min(self.record.request.timeout);
        while Instant::now() < until {
            // Told at once, or seen at the next look.
            tokio::time::timeout(LOOK_AGAIN, session.changed())
                .await
                .ok();
            let reports = session.reports(&self.context.stack.key).await?;
            if reports.iter().any(Aged::runs) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is needed to make something of what others have done.
struct Hearing<'a> {
    context: &'a Context<'a>,
    record: &'a mut Record,
    keeper: &'a mut Keeper,
    expected: &'a mut Reading,
    told_away: &'a mut bool,
}

impl Hearing<'_> {
    /// What was seen in the store, as something that has happened to this rollout; none where that is nothing.
    ///
    /// # Errors
    ///
    /// Where somebody else has taken its place.
    fn hear(&mut self, seen: Seen) -> Result<Option<Happened>, Lost> {
        let tell = self.context.tell;
        let found = match seen {
            Ok(found) => found,
            Err(why) => {
                let is_watched = self.record.stage == Stage::Production;
                if is_watched && !std::mem::replace(self.told_away, true) {
                    tell(Event::StoreAway(&why));
                }
                return Ok(None);
            }
        };
        *self.told_away = false;
        let bytes = match found.kept {
            Ok(kept) => kept.record,
            // It is written anew with the next stage.
            Err(_) => return Ok(self.moved(&found.key)),
        };
        if self.keeper.is_stored(bytes.as_ref()) {
            return Ok(self.moved(&found.key));
        }
        let Some(bytes) = bytes else {
            self.keeper.take_over(None);
            return Ok(self.moved(&found.key));
        };
        let theirs = match self.record.is_still_run(&bytes, self.keeper.token()) {
            Ok(theirs) => theirs,
            // What the key says now is what counts.
            Err(lost) => return self.moved(&found.key).map_or(Err(lost), |it| Ok(Some(it))),
        };
        self.keeper.take_over(Some(bytes));
        if theirs.traffic != self.record.traffic {
            // A hook has moved traffic in its name.
            self.record.traffic = theirs.traffic;
            *self.expected = found.key.clone();
        }
        let Some(wish) = theirs.wanted else {
            return Ok(self.moved(&found.key));
        };
        let approves = self.record.stage == Stage::Approve && self.record.paused.is_none();
        tell(match wish.what {
            Want::Pause => Event::Paused(&wish),
            Want::Resume if approves => Event::Approved(&wish),
            Want::Resume | Want::Abort => Event::Resumed(&wish),
        });
        Ok(Some(Happened::Wanted(wish)))
    }

    /// Whether somebody else has set the key: to a valid value that is not what this rollout has set, or, before it has set
    /// any, not what was there.
    fn moved(&self, is: &Reading) -> Option<Happened> {
        let traffic = self.context.parse(is)?;
        let moved = match &self.record.traffic {
            Some(text) => self
                .context
                .traffic(text)
                .is_none_or(|ours| ours != traffic),
            None => is != self.expected,
        };
        moved.then(|| Happened::Moved(shown(is)))
    }
}
