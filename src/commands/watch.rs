//! Production is watched after the key was set: every service answers, all the time, while the smoke tests run beside;
//! it goes back as soon as it does not.

use std::time::{Duration, Instant};

use super::back::Back;
use super::board::{Board, Lines};
use super::care::{Care, talk_unless_quiet};
use super::change::Change;
use super::done::Done;
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::wait::{Standing, look};
use super::{Exit, Failure};
use crate::store::Reading;
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

impl Care<'_> {
    /// Verifies production, and goes on as long as it has to; goes back where it fails.
    pub(super) async fn after(
        &self,
        change: &Change<'_>,
        done: &mut Done,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        let mut report = Report::default();
        let watched = tokio::select! {
            watched = self.watched(change, &mut report) => watched,
            reading = moved(change) => return Err(change.moved(&reading)),
            () = interrupt.received() => return Err(interrupted(change)),
        };
        let verdict = report.verdict();
        done.checks.lines.extend(report.lines);
        if let Err(broken) = watched {
            return Err(self.broken(change, &broken, done, interrupt).await);
        }
        if verdict == Verdict::Nothing {
            talk_unless_quiet(change.common, "note: nothing of production was verified");
        } else if !self.bake.is_zero() {
            let text = format!("production kept passing for {:?}", self.bake);
            talk_unless_quiet(change.common, &text);
        }
        Ok(())
    }

    /// Watches production as long as it has to be; what fails is the error. `report` gets the first round, and what
    /// fails.
    async fn watched(&self, change: &Change<'_>, report: &mut Report) -> Result<(), Report> {
        let began = Instant::now();
        // The smoke tests wait until every service has answered once.
        let first = self.round(change, Part::Answers, Lines::Talk).await;
        report.lines.extend(first.lines.iter().cloned());
        passed(first)?;
        let checked = tokio::select! {
            broken = self.answers_break(change) => Err(broken),
            checked = self.checks(change, began) => checked,
        };
        let checks = checked.inspect_err(|broken| report.lines.extend(broken.lines.clone()))?;
        let is_checked = !checks.lines.is_empty();
        report.lines.extend(checks.lines);
        if !is_checked && self.bake.is_zero() {
            return Ok(());
        }
        // What began to fail just now may not have counted yet.
        let last = passed(self.round(change, Part::Answers, Lines::Wrong).await);
        last.map(drop)
            .inspect_err(|broken| report.lines.extend(broken.lines.clone()))
    }

    /// Waits until a service does not answer as it should.
    async fn answers_break(&self, change: &Change<'_>) -> Report {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let round = self.round(change, Part::Answers, Lines::Wrong).await;
            if let Err(broken) = passed(round) {
                return broken;
            }
        }
    }

    /// Runs the smoke tests now, at intervals, and at the end of the bake; gives the first outcomes.
    async fn checks(&self, change: &Change<'_>, began: Instant) -> Result<Report, Report> {
        let mut progress = Progress::new(change.common.quiet || change.common.json);
        let first = passed(self.round(change, Part::Checks, Lines::Talk).await)?;
        loop {
            let again_at = Instant::now() + CHECK_EVERY;
            loop {
                let left = (began + self.bake).saturating_duration_since(Instant::now());
                let pause = again_at.saturating_duration_since(Instant::now()).min(left);
                if pause.is_zero() {
                    break;
                }
                progress.show(&format!(
                    "watching production for {:.0} s more",
                    left.as_secs_f64()
                ));
                tokio::time::sleep(LOOK_EVERY.min(pause)).await;
            }
            // Only the first are told as a whole: after them, what goes wrong.
            let is_last = began.elapsed() >= self.bake;
            if is_last && self.bake.is_zero() {
                return Ok(first);
            }
            passed(self.round(change, Part::Checks, Lines::Wrong).await)?;
            if is_last {
                return Ok(first);
            }
        }
    }

    async fn round(&self, change: &Change<'_>, part: Part, lines: Lines) -> Report {
        let board = Board::new(change.common, lines);
        let tell = |told: Told<'_>| board.tell(told);
        let now = Instant::now();
        let limits = Limits {
            again_until: now + PATIENCE.min(change.common.timeout),
            deadline: now + change.common.timeout,
        };
        let verify = self.verify(change, &tell);
        match part {
            Part::Answers => {
                // A router that is disabled stays so for everybody until somebody mends it: that is not waited for.
                let at_once = Limits {
                    again_until: now,
                    ..limits
                };
                let routers = verify.routers(&change.common.store, at_once).await;
                if !routers.outcome.is_good() {
                    return Report::new([routers]);
                }
                let answers = verify.answers(&change.to, limits).await;
                Report::new(std::iter::once(routers).chain(answers.lines))
            }
            Part::Checks => verify.checks(&change.to, limits).await,
        }
    }

    async fn broken(
        &self,
        change: &Change<'_>,
        report: &Report,
        done: &mut Done,
        interrupt: &mut Interrupt,
    ) -> Failure {
        let what = match report.verdict() {
            Verdict::Failed => format!("production fails on {}: {}", change.to, report.wrong()),
            _ => format!(
                "production could not be verified on {}: {}",
                change.to,
                report.wrong()
            ),
        };
        let back = Back {
            exit: Exit::RolledBack,
            why: what.clone(),
            what,
            without: Default::default(),
        };
        change.go_back(back, done, interrupt).await
    }
}

/// A report that nothing speaks against; one that something does is the error.
fn passed(report: Report) -> Result<Report, Report> {
    match report.measurable().verdict() {
        Verdict::Passed | Verdict::Nothing => Ok(report),
        Verdict::Failed | Verdict::Unmeasured => Err(report),
    }
}

/// Waits until somebody else has changed the key. While the store is away, what Traefik serves stands.
async fn moved(change: &Change<'_>) -> Reading {
    let (mut session, nobody) = (None, Default::default());
    let mut away = false;
    loop {
        let standing = look(
            &change.common.store,
            change.stack,
            &mut session,
            &change.to,
            &nobody,
        );
        match standing.await {
            Ok(Standing::Moved(reading)) => return reading,
            Ok(_) => away = false,
            Err(error) => {
                session = None;
                if !away {
                    let text =
                        format!("the store can't be reached: {error}; what Traefik serves stands");
                    talk_unless_quiet(change.common, &text);
                }
                away = true;
            }
        }
        match &mut session {
            // Told at once, or seen at the next look.
            Some(session) => {
                tokio::time::timeout(LOOK_EVERY, session.changed())
                    .await
                    .ok();
            }
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

fn interrupted(change: &Change<'_>) -> Failure {
    let message = format!(
        "interrupted: {} has the traffic, and every instance has confirmed it, but production was not verified to the end",
        change.to
    );
    Failure::new(Exit::Unconfirmed, message)
        .hint("`bluegreen verify production` does; go back with `bluegreen rollback`")
}
