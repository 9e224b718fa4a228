//! Production is watched after the key was set: every service answers, all the time, while the smoke tests run beside.

use std::time::{Duration, Instant};

use super::context::Context;
use super::event::Event;
use super::outcome::Cause;
use crate::traffic::Traffic;
use crate::verify::measure::{Limits, Told};
use crate::verify::report::{Report, Verdict};

/// How long production may fail a check before it counts: one lost request is no reason to go back, and an outage lasts
/// as long as this at least.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often production is looked at while it is watched.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the smoke tests are run meanwhile: they may leave something behind each time.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// What is asked of production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// That every service answers, and no router is disabled.
    Answers,
    /// The smoke tests.
    Checks,
}

/// Production, as it is watched.
pub(super) struct Production<'a> {
    pub(super) context: &'a Context<'a>,
    /// The traffic that it serves.
    pub(super) traffic: &'a Traffic,
    /// How long one round may take.
    pub(super) timeout: Duration,
    /// Until when it is watched.
    pub(super) until: Instant,
    /// For how long that is; nothing where one round is enough.
    pub(super) long: Duration,
}

impl Production<'_> {
    /// Verifies it, and goes on as long as it has to; `report` gets the first round, and what fails.
    ///
    /// # Errors
    ///
    /// What fails.
    pub(super) async fn watch(&self, report: &mut Report) -> Result<(), Cause> {
        let broken = match self.watched(report).await {
            Ok(()) => return Ok(()),
            Err(broken) => broken,
        };
        let (traffic, wrong) = (self.traffic.to_string(), broken.wrong());
        Err(match broken.verdict() {
            Verdict::Failed => Cause::ProductionFails { traffic, wrong },
            _ => Cause::ProductionUnknown { traffic, wrong },
        })
    }

    async fn watched(&self, report: &mut Report) -> Result<(), Report> {
        // The smoke tests wait until every service has answered once.
        let first = self.round(Part::Answers, false).await;
        report.lines.extend(first.lines.iter().cloned());
        passed(first)?;
        let checked = tokio::select! {
            broken = self.answers_break() => Err(broken),
            checked = self.checks() => checked,
        };
        let checks = checked.inspect_err(|broken| report.lines.extend(broken.lines.clone()))?;
        let is_checked = !checks.lines.is_empty();
        report.lines.extend(checks.lines);
        if !is_checked && self.long.is_zero() {
            return Ok(());
        }
        // What began to fail just now may not have counted yet.
        let last = passed(self.round(Part::Answers, true).await);
        last.map(drop)
            .inspect_err(|broken| report.lines.extend(broken.lines.clone()))
    }

    /// Waits until a service does not answer as it should.
    async fn answers_break(&self) -> Report {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let round = self.round(Part::Answers, true).await;
            if let Err(broken) = passed(round) {
                return broken;
            }
        }
    }

    /// Runs the smoke tests now, at intervals, and at the end; gives the first outcomes.
    async fn checks(&self) -> Result<Report, Report> {
        let first = passed(self.round(Part::Checks, false).await)?;
        loop {
            let again_at = Instant::now() + CHECK_EVERY;
            loop {
                let left = self.until.saturating_duration_since(Instant::now());
                let pause = again_at.saturating_duration_since(Instant::now()).min(left);
                if pause.is_zero() {
                    break;
                }
                (self.context.tell)(Event::Watching(left));
                tokio::time::sleep(LOOK_EVERY.min(pause)).await;
            }
            // Only the first are told as a whole: after them, what goes wrong.
            let is_last = Instant::now() >= self.until;
            if is_last && self.long.is_zero() {
                return Ok(first);
            }
            passed(self.round(Part::Checks, true).await)?;
            if is_last {
                return Ok(first);
            }
        }
    }

    async fn round(&self, part: Part, quietly: bool) -> Report {
        let tell = self.context.tell;
        tell(Event::Round { quietly });
        let check = |told: Told<'_>| tell(Event::Check(told));
        let now = Instant::now();
        let limits = Limits {
            again_until: now + PATIENCE.min(self.timeout),
            deadline: now + self.timeout,
        };
        let verify = self.context.verify(&check);
        match part {
            Part::Answers => {
                // A router that is disabled stays so for everybody until somebody mends it: that is not waited for.
                let at_once = Limits {
                    again_until: now,
                    ..limits
                };
                let routers = verify.routers(self.context.store, at_once).await;
                if !routers.outcome.is_good() {
                    return Report::new([routers]);
                }
                let answers = verify.answers(self.traffic, limits).await;
                Report::new(std::iter::once(routers).chain(answers.lines))
            }
            Part::Checks => verify.checks(self.traffic, limits).await,
        }
    }
}

/// A report that nothing speaks against; one that something does is the error.
fn passed(report: Report) -> Result<Report, Report> {
    match report.measurable().verdict() {
        Verdict::Passed | Verdict::Nothing => Ok(report),
        Verdict::Failed | Verdict::Unmeasured => Err(report),
    }
}
