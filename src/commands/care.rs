//! The care around a flip: the color is verified before it gets the traffic, and production is looked at; after, it is
//! watched (`watch`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::board::{Board, Lines};
use super::change::Change;
use super::interrupt::Interrupt;
use super::{Common, Exit, Failure, talk};
use crate::color::Color;
use crate::registry::{Aged, revisions};
use crate::traffic::Traffic;
use crate::verify::measure::{Limits, Told};
use crate::verify::report::{Outcome, Report, Verdict, time};
use crate::verify::{Now, Verify, look, routers};

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
    /// Verifies the color, and that production is what has the traffic now, and so can be verified after.
    pub(super) async fn before(
        &self,
        change: &Change<'_>,
        from: Option<&Traffic>,
        reports: &[Aged],
        interrupt: &mut Interrupt,
    ) -> Result<Report, Failure> {
        let Change { common, stack, .. } = change;
        let routers = routers::judge(reports, change.name, stack);
        if let Outcome::Failed(why) = &routers {
            let note = format!("note: production is not well now: {why}");
            talk_unless_quiet(common, &note);
        }
        let color = self.color;
        talk_unless_quiet(common, &format!("verifying {color}"));
        let began = Instant::now();
        let board = Board::new(common, Lines::Talk);
        let tell = |told: Told<'_>| board.tell(told);
        let verify = self.verify(change, &tell);
        let limits = Limits::until(Instant::now() + common.timeout);
        let now = async {
            match from {
                Some(from) if !change.flags.no_wait => {
                    let revisions = match change.config.marker {
                        Some(_) => BTreeSet::new(),
                        None => revisions(reports),
                    };
                    look(stack, from, &revisions).await
                }
                // It is not asked after either; or there is nothing that it would have to show.
                _ => Now::NotKnown,
            }
        };
        let both = futures_util::future::join(verify.color(color, limits), now);
        let (report, now) = tokio::select! {
            both = both => both,
            () = interrupt.received() => {
                let message = format!("interrupted while {color} was verified; nothing was changed");
                return Err(Failure::new(Exit::Failed, message));
            }
        };
        let refused = |exit, what: &str, hint: &str| {
            let message = format!("{what}; nothing was changed");
            let hint = format!("{hint}; --no-verify goes on without");
            Err(Failure::new(exit, message)
                .hint(hint)
                .checks(report.clone()))
        };
        let again = "`bluegreen verify` shows it again";
        match report.verdict() {
            Verdict::Failed => {
                let what = format!("{color} is not ready: {}", report.wrong());
                return refused(Exit::Refused, &what, again);
            }
            Verdict::Unmeasured => {
                let what = format!(
                    "whether {color} is ready could not be found out: {}",
                    report.wrong()
                );
                return refused(Exit::Failed, &what, again);
            }
            Verdict::Nothing if now == Now::NotKnown && !change.checks_production() => {
                let what = format!("nothing of {color} or of production could be verified");
                let hint = "give the services a `health` path, or the stack `checks`, or `production: http://127.0.0.1:80`, \
                            where this host reaches Traefik's entrypoint";
                return refused(Exit::Refused, &what, hint);
            }
            Verdict::Nothing => talk_unless_quiet(
                common,
                &format!(
                    "note: nothing of {color} was verified: give the services a `health` path, or the stack `checks`"
                ),
            ),
            Verdict::Passed => {}
        }
        match now {
            Now::Well | Now::NotKnown => {}
            Now::Unreachable(why) => {
                let what = format!(
                    "Traefik can't be asked where production is, so it could not be verified after the flip: {why}"
                );
                return refused(Exit::Failed, &what, again);
            }
            // Where Traefik has disabled a router of this stack, what answers in its place says nothing of whose it is.
            Now::Foreign(why) if routers.is_good() => {
                let what =
                    format!("production is not where the traffic of this stack goes now: {why}");
                let hint = "does `production` name the entrypoint of this stack's Traefik? `bluegreen verify production` asks \
                            it again";
                return refused(Exit::Refused, &what, hint);
            }
            // That it is broken is what one flips for.
            Now::Unwell(why) | Now::Foreign(why) => {
                talk_unless_quiet(common, &format!("note: production is not well now: {why}"));
            }
        }
        if report.verdict() == Verdict::Passed {
            talk_unless_quiet(
                common,
                &format!("{color} is ready, after {}", time(began.elapsed())),
            );
        }
        Ok(report)
    }

    pub(super) fn verify<'b>(
        &'b self,
        change: &'b Change<'_>,
        tell: &'b dyn Fn(Told<'_>),
    ) -> Verify<'b> {
        Verify {
            name: change.name,
            stack: change.stack,
            folder: self.folder,
            tell,
        }
    }
}

pub(super) fn talk_unless_quiet(common: &Common, text: &str) {
    if !common.quiet && !common.json {
        talk(text);
    }
}
