//! The care around a flip: the color is verified before it gets the traffic, production after.

use std::pin::pin;
use std::time::{Duration, Instant};

use super::back::Back;
use super::board::{Board, Lines};
use super::change::Change;
use super::done::Done;
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::wait::{Standing, look};
use super::{Common, Exit, Failure, talk};
use crate::color::Color;
use crate::registry::Aged;
use crate::store::Reading;
use crate::verify::measure::{Limits, Told};
use crate::verify::report::{Outcome, Report, Verdict, time};
use crate::verify::{Scope, Verify, reachable, routers};

/// How long production may fail a check before it counts: one lost request is no reason to go back, and an outage lasts
/// as long as this at least.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often production is looked at while it is watched.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the smoke tests are run meanwhile: they may leave something behind each time.
const SMOKE_EVERY: Duration = Duration::from_secs(10);

/// The care that is taken.
pub struct Care<'a> {
    /// The color that gets the traffic.
    pub color: &'a Color,
    /// The folder of the config.
    pub folder: &'a std::path::Path,
    /// How long production has to keep passing.
    pub bake: Duration,
}

impl Care<'_> {
    /// Verifies the color, and that production can be verified after.
    pub(super) async fn before(
        &self,
        change: &Change<'_>,
        reports: &[Aged],
        interrupt: &mut Interrupt,
    ) -> Result<Report, Failure> {
        let Change { common, stack, .. } = change;
        if let Outcome::Failed(why) = routers::judge(reports, change.name, stack) {
            let note = format!("note: production is not well before the flip either: {why}");
            talk_unless_quiet(common, &note);
        }
        let color = self.color;
        talk_unless_quiet(common, &format!("verifying {color}"));
        let began = Instant::now();
        let board = Board::new(common, Lines::Talk);
        let tell = |told: Told<'_>| board.tell(told);
        let verify = self.verify(change, &tell);
        let limits = Limits::until(Instant::now() + common.timeout);
        let both = futures_util::future::join(verify.color(color, limits), reachable(stack));
        let (report, reachable) = tokio::select! {
            both = both => both,
            () = interrupt.received() => {
                let message = format!("interrupted while {color} was verified; nothing was changed");
                return Err(Failure::new(Exit::Failed, message));
            }
        };
        let hint = "`bluegreen verify` shows it again; --no-verify goes on without";
        let refused = |exit, what: &str| {
            let message = format!("{what}; nothing was changed");
            Err(Failure::new(exit, message)
                .hint(hint)
                .checks(report.clone()))
        };
        match report.verdict() {
            Verdict::Failed => {
                return refused(
                    Exit::Refused,
                    &format!("{color} is not ready: {}", report.wrong()),
                );
            }
            Verdict::Unmeasured => {
                let what = format!(
                    "whether {color} is ready could not be found out: {}",
                    report.wrong()
                );
                return refused(Exit::Failed, &what);
            }
            Verdict::Nothing => talk_unless_quiet(
                common,
                &format!(
                    "note: nothing of {color} was verified: give the services a `health` path, or the stack `checks`"
                ),
            ),
            Verdict::Passed => {}
        }
        if let (Err(why), false) = (reachable, change.flags.no_wait) {
            let what = format!(
                "Traefik can't be asked where production is, so it could not be verified after the flip: {why}"
            );
            return refused(Exit::Failed, &what);
        }
        if report.verdict() == Verdict::Passed {
            talk_unless_quiet(
                common,
                &format!("{color} is ready, after {}", time(began.elapsed())),
            );
        }
        Ok(report)
    }

    /// Verifies production, and goes on as long as it has to; goes back where it fails.
    pub(super) async fn after(
        &self,
        change: &Change<'_>,
        done: &mut Done,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        let common = change.common;
        let began = Instant::now();
        let mut progress = Progress::new(common.quiet || common.json);
        let mut smoke_at = began;
        let mut first = true;
        let mut moved = pin!(moved(change));
        loop {
            let left = (began + self.bake).saturating_duration_since(Instant::now());
            // The last round is a whole one, too.
            let whole = Instant::now() >= smoke_at || left < LOOK_EVERY;
            let scope = if whole { Scope::All } else { Scope::Answers };
            // Only the first round is told as a whole: after it, what goes wrong.
            let lines = if first { Lines::Talk } else { Lines::Wrong };
            let report = tokio::select! {
                report = self.round(change, scope, lines) => report,
                reading = &mut moved => return Err(change.moved(&reading)),
                () = interrupt.received() => return Err(interrupted(change)),
            };
            if whole {
                smoke_at = Instant::now() + SMOKE_EVERY;
            }
            let passed = match report.measurable().verdict() {
                Verdict::Passed => true,
                Verdict::Nothing => {
                    talk_unless_quiet(common, "note: nothing of production was verified");
                    return Ok(());
                }
                Verdict::Failed | Verdict::Unmeasured => false,
            };
            if first || !passed {
                done.checks.lines.extend(report.lines.iter().cloned());
            }
            if !passed {
                return Err(self.broken(change, &report, done, interrupt).await);
            }
            if left.is_zero() {
                break;
            }
            first = false;
            progress.show(&format!(
                "watching production for {:.0} s more",
                left.as_secs_f64()
            ));
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY.min(left)) => {}
                reading = &mut moved => return Err(change.moved(&reading)),
                () = interrupt.received() => return Err(interrupted(change)),
            }
        }
        drop(progress);
        if !self.bake.is_zero() {
            talk_unless_quiet(
                common,
                &format!("production kept passing for {:?}", self.bake),
            );
        }
        Ok(())
    }

    async fn round(&self, change: &Change<'_>, scope: Scope, lines: Lines) -> Report {
        let board = Board::new(change.common, lines);
        let tell = |told: Told<'_>| board.tell(told);
        let now = Instant::now();
        let limits = Limits {
            again_until: now + PATIENCE.min(change.common.timeout),
            deadline: now + change.common.timeout,
        };
        let verify = self.verify(change, &tell);
        let routers = verify.routers(&change.common.store, limits);
        let production = verify.production(&change.to, scope, limits);
        let (routers, production) = futures_util::future::join(routers, production).await;
        // What says why goes before what follows from it.
        Report::new(std::iter::once(routers).chain(production.lines))
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

    fn verify<'b>(&'b self, change: &'b Change<'_>, tell: &'b dyn Fn(Told<'_>)) -> Verify<'b> {
        Verify {
            name: change.name,
            stack: change.stack,
            folder: self.folder,
            tell,
        }
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

pub(super) fn talk_unless_quiet(common: &Common, text: &str) {
    if !common.quiet && !common.json {
        talk(text);
    }
}
