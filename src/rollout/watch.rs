//! Production is watched after the key was set: every service answers, all the time, while the smoke tests run beside, and
//! the figures are looked at.

use std::time::{Duration, Instant};

use futures_util::future::{join, try_join};
use tokio::sync::oneshot;

use super::analysis::Measured;
use super::context::Context;
use super::event::Event;
use super::looks::Looks;
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
    /// That before the rollout, where it is known.
    pub(super) from: Option<&'a Traffic>,
    /// How long one round may take.
    pub(super) timeout: Duration,
    /// Until when it is watched.
    pub(super) until: Instant,
    /// For how long that is; nothing where one round is enough.
    pub(super) long: Duration,
    /// For how long it is watched after the steps that are to come.
    pub(super) to_come: Duration,
}

/// What fails, and what was seen of it.
enum Broken {
    /// An answer, or a smoke test.
    Answers(Report),
    /// The figures.
    Figures(Report),
}

impl Production<'_> {
    /// Verifies it, and goes on as long as it has to; `report` gets the first round, the figures in the end, and what
    /// fails. Gives whether that is nothing, and what was measured.
    pub(super) async fn watch(&self, report: &mut Report) -> (Result<(), Cause>, Vec<Measured>) {
        // Figures say something only once some time has passed.
        let mut looks = match self.long.is_zero() {
            true => None,
            false => Looks::begin(self.context, self.traffic, self.from),
        };
        let watched = self.watched(&mut looks, report).await;
        let watched = watched.map_err(|broken| self.cause(&broken, report));
        let measured = looks.map(|looks| looks.measured());
        (watched, measured.unwrap_or_default())
    }

    /// Why it goes back; the report gets what was seen of it.
    fn cause(&self, broken: &Broken, report: &mut Report) -> Cause {
        let (Broken::Answers(seen) | Broken::Figures(seen)) = broken;
        let (traffic, wrong) = (self.traffic.to_string(), seen.wrong());
        report.lines.extend(seen.lines.iter().cloned());
        match broken {
            Broken::Figures(_) => Cause::AnalysisFails { traffic, wrong },
            Broken::Answers(seen) if seen.verdict() == Verdict::Failed => {
                Cause::ProductionFails { traffic, wrong }
            }
            Broken::Answers(_) => Cause::ProductionUnknown { traffic, wrong },
        }
    }

    async fn watched(
        &self,
        looks: &mut Option<Looks<'_>>,
        report: &mut Report,
    ) -> Result<(), Broken> {
        let first_look = async {
            if let Some(looks) = looks.as_mut() {
                looks.first().await;
            }
        };
        // The smoke tests wait until every service has answered once.
        let (first, ()) = join(self.round(Part::Answers, false), first_look).await;
        report
            .lines
            .extend(passed(first).map_err(Broken::Answers)?.lines);
        let (checked, are_checked) = oneshot::channel();
        let checks = async {
            let checks = self.checks().await.map_err(Broken::Answers)?;
            // The figures are looked at for as long as the checks take, and then once more.
            checked.send(()).ok();
            Ok(checks)
        };
        let figures = async {
            let Some(looks) = looks.as_mut() else {
                return Ok(Report::default());
            };
            tokio::select! {
                broken = looks.fail() => return Err(Broken::Figures(broken)),
                _ = are_checked => {}
            }
            looks.last().await.map_err(Broken::Figures)
        };
        let (checks, figures) = tokio::select! {
            broken = self.answers_break() => Err(Broken::Answers(broken)),
            both = try_join(checks, figures) => both,
        }?;
        let is_checked = !checks.lines.is_empty();
        report.lines.extend(checks.lines);
        report.lines.extend(figures.lines);
        if is_checked || !self.long.is_zero() {
            // What began to fail just now may not have counted yet.
            passed(self.round(Part::Answers, true).await).map_err(Broken::Answers)?;
        }
        Ok(())
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
                let to_come = self.to_come;
                (self.context.tell)(Event::Watching { left, to_come });
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
