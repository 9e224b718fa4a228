//! Before the change: whether the colors that get more are ready, and whether production is this stack's.

use std::collections::BTreeSet;
use std::time::Instant;

use futures_util::future::join;

use super::context::Context;
use super::event::Event;
use super::outcome::Cause;
use super::request::Request;
use crate::color::Color;
use crate::registry::{Aged, revisions};
use crate::traffic::Traffic;
use crate::verify::measure::{Limits, Told};
use crate::verify::report::{Outcome, Report, Verdict};
use crate::verify::{Now, look, routers};

/// Verifies the colors, one after the other; what was verified goes into the report. With `production`, the reports and
/// the traffic before the first change, it also looks whether production can be verified after. `verifying` holds the
/// color that it is at.
///
/// # Errors
///
/// What speaks against the change.
pub(super) async fn ready(
    context: &Context<'_>,
    request: &Request,
    colors: &[Color],
    production: Option<(&[Aged], Option<&Traffic>)>,
    report: &mut Report,
    verifying: &mut Option<Color>,
) -> Result<(), Cause> {
    for (nth, color) in colors.iter().enumerate() {
        *verifying = Some(color.clone());
        let production = production.filter(|_| nth == 0);
        one(context, request, color, production, report).await?;
    }
    Ok(())
}

async fn one(
    context: &Context<'_>,
    request: &Request,
    color: &Color,
    production: Option<(&[Aged], Option<&Traffic>)>,
    all: &mut Report,
) -> Result<(), Cause> {
    let Context { stack, tell, .. } = *context;
    let routers = production.map(|(reports, _)| routers::judge(reports, context.name, stack));
    if let Some(Outcome::Failed(why)) = &routers {
        tell(Event::ProductionUnwell(why));
    }
    tell(Event::Verifying(color.as_str()));
    tell(Event::Round { quietly: false });
    let began = Instant::now();
    let check = |told: Told<'_>| tell(Event::Check(told));
    let verify = context.verify(&check);
    let limits = Limits::until(Instant::now() + request.timeout);
    let now = async {
        match production {
            Some((reports, Some(from))) if request.wait => {
                let revisions = match context.config.marker {
                    Some(_) => BTreeSet::new(),
                    None => revisions(reports),
                };
                look(stack, from, &revisions).await
            }
            // It is not asked after either; or there is nothing that it would have to show.
            _ => Now::NotKnown,
        }
    };
    let (report, now) = join(verify.color(color, limits), now).await;
    all.lines.extend(report.lines.iter().cloned());
    let color = color.to_string();
    match report.verdict() {
        Verdict::Failed => {
            let wrong = report.wrong();
            return Err(Cause::NotReady { color, wrong });
        }
        Verdict::Unmeasured => {
            let wrong = report.wrong();
            return Err(Cause::ReadyUnknown { color, wrong });
        }
        // Before a later step production has passed.
        Verdict::Nothing
            if production.is_some()
                && now == Now::NotKnown
                && !checks_production(context, request) =>
        {
            return Err(Cause::NothingToVerify { color });
        }
        Verdict::Nothing => tell(Event::NothingOfColor(&color)),
        Verdict::Passed => {}
    }
    match now {
        Now::Well | Now::NotKnown => {}
        Now::Unreachable(why) => return Err(Cause::ProductionAway { why }),
        // Where Traefik has disabled a router of this stack, what answers in its place says nothing of whose it is.
        Now::Foreign(why) if routers.is_none_or(|routers| routers.is_good()) => {
            return Err(Cause::ProductionForeign { why });
        }
        // That it is broken is what one flips for.
        Now::Unwell(why) | Now::Foreign(why) => tell(Event::ProductionUnwell(&why)),
    }
    if report.verdict() == Verdict::Passed {
        tell(Event::Ready {
            color: &color,
            after: began.elapsed(),
        });
    }
    Ok(())
}

/// Whether smoke tests of production are run after.
fn checks_production(context: &Context<'_>, request: &Request) -> bool {
    let mut checks = context.stack.checks.iter();
    request.wait && checks.any(|check| check.on_production)
}
