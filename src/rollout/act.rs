//! What takes its time in a rollout, one function an act: it ends with what has happened.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::applied::Asker;
use super::confirm::{Waited, confirm};
use super::context::Context;
use super::event::Event;
use super::gates::Gates;
use super::hook::{self, Said};
use super::interrupts::Interrupts;
use super::outcome::{Cause, Confirmed, Late, WayBack, shown};
use super::plan::{Act, Happened};
use super::ready::ready;
use super::record::Record;
use super::watch::Production;
use crate::color::Color;
use crate::hook::Stage as Moment;
use crate::registry::Aged;
use crate::traffic::Traffic;
use crate::verify::report::{Report, Verdict};

/// How an act ended.
pub(super) enum Ran {
    /// By itself.
    Happened(Happened),
    /// The operator wants to wait no longer.
    Interrupted,
}

/// What an act works with.
pub(super) struct Job<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) record: &'a Record,
    /// The traffic before the rollout.
    pub(super) from: Option<&'a Traffic>,
    /// What the providers said before it.
    pub(super) reports: &'a [Aged],
    pub(super) asker: &'a mut Asker,
    pub(super) checks: &'a mut Report,
    /// Those who are waited for, in the end.
    pub(super) late: &'a mut Vec<Late>,
    /// The color that is verified, in the end.
    pub(super) verifying: &'a mut Option<Color>,
    pub(super) interrupts: &'a mut Interrupts,
    /// When the key was set.
    pub(super) set_at: Instant,
    /// By how much the store's clock is ahead of this host's.
    pub(super) ahead: SignedDuration,
}

impl Job<'_> {
    /// Does it, until the operator wants to wait no longer.
    pub(super) async fn run(self, act: &Act, to_nobody: bool) -> Ran {
        let Self {
            context,
            record,
            from,
            reports,
            asker,
            checks,
            late,
            verifying,
            interrupts,
            set_at,
            ahead,
        } = self;
        let Some(to) = context.traffic(record.to()) else {
            let traffic = record.to().to_owned();
            let cause = Cause::NotInConfig { traffic };
            return Ran::Happened(Happened::Refused(cause));
        };
        let tell = context.tell;
        let acting = async {
            match act {
                Act::Verify => {
                    let is = record.traffic.as_deref();
                    let is = is.and_then(|text| context.traffic(text));
                    let colors = to.gaining(is.as_ref().or(from));
                    let production = (record.step == 0).then_some((reports, from));
                    let request = &record.request;
                    let ready = ready(context, request, &colors, production, checks, verifying);
                    match ready.await {
                        Ok(()) => Happened::Ready,
                        Err(cause) => Happened::Refused(cause),
                    }
                }
                Act::AwaitApproval => {
                    tell(Event::AwaitingApproval);
                    std::future::pending().await
                }
                Act::Hold => std::future::pending().await,
                Act::Thaw(until) => {
                    let gates = Gates::at(&context.stack.gates, Timestamp::now() + ahead);
                    if let Some((_, window)) = &gates.frozen {
                        tell(Event::Frozen(window));
                    }
                    tokio::time::sleep_until(instant(*until, ahead).into()).await;
                    Happened::Thawed
                }
                Act::Hooks(moment) => hooks(context, record, from, *moment).await,
                Act::Confirm(_) if to_nobody => Happened::ToNobody,
                Act::Confirm(until) => {
                    let nobody = BTreeSet::new();
                    let until = instant(*until, ahead);
                    match confirm(context, &to, until, &nobody, asker, late).await {
                        Waited::Confirmed(names, proof) => {
                            Happened::Confirmed(Confirmed::new(names, proof, set_at.elapsed()))
                        }
                        Waited::Late(late) => Happened::Late(late),
                        Waited::Moved(reading) => Happened::Moved(shown(&reading)),
                        Waited::StoreLost(reason) => Happened::StoreLost(reason),
                    }
                }
                Act::Watch(until) => {
                    let production = Production {
                        context,
                        traffic: &to,
                        from,
                        timeout: record.request.timeout,
                        until: instant(*until, ahead),
                        long: record.request.watched(record.step),
                        to_come: record.request.watched_after(record.step),
                    };
                    if !record.request.verify {
                        tokio::time::sleep_until(production.until.into()).await;
                        return Happened::Passed(Vec::new());
                    }
                    watch(&production, record, checks).await
                }
                // These are the engine's own.
                Act::Set | Act::SetBack | Act::ConfirmBack(_) | Act::Leave | Act::End => {
                    Happened::Ready
                }
            }
        };
        tokio::select! {
            happened = acting => Ran::Happened(happened),
            () = interrupts.received() => Ran::Interrupted,
        }
    }
}

/// Runs the hooks of a moment.
async fn hooks(
    context: &Context<'_>,
    record: &Record,
    from: Option<&Traffic>,
    moment: Moment,
) -> Happened {
    let goal = record.request.goal();
    let Some(goal) = context.traffic(goal) else {
        return Happened::HookFailed(format!("the config has no color of the traffic `{goal}`"));
    };
    let gaining = goal.gaining(from).into_iter();
    let Some(color) = gaining.max_by_key(|color| goal.weight(color)) else {
        return Happened::HooksPassed;
    };
    let tell = |said: Said<'_>| (context.tell)(said.into());
    let told = hook::Told::of(record, moment, &color);
    match hook::run(&context.stack.hooks, &told, context.place, &tell).await {
        Ok(()) => Happened::HooksPassed,
        Err(failed) => {
            let why = failed.to_string();
            if moment == Moment::Back {
                (context.tell)(Event::BackHookFailed(&why));
            }
            Happened::HookFailed(why)
        }
    }
}

async fn watch(production: &Production<'_>, record: &Record, checks: &mut Report) -> Happened {
    let tell = production.context.tell;
    let mut report = Report::default();
    let (watched, measured) = production.watch(&mut report).await;
    let verdict = report.verdict();
    checks.lines.extend(report.lines);
    if let Err(cause) = watched {
        return Happened::Broken(cause, measured);
    }
    if verdict == Verdict::Nothing {
        tell(Event::NothingOfProduction);
    } else if record.request.steps.len() > 1 {
        tell(Event::StepPassed {
            step: record.step + 1,
            of: record.request.steps.len(),
            to: record.to(),
            measured: &measured,
        });
    } else if !production.long.is_zero() {
        tell(Event::KeptPassing {
            long: production.long,
            measured: &measured,
        });
    }
    Happened::Passed(measured)
}

/// The wait after the key was set back.
pub(super) struct Back<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) asker: &'a mut Asker,
    pub(super) interrupts: &'a mut Interrupts,
    /// The instances that need not confirm it.
    pub(super) without: BTreeSet<String>,
    /// By how much the store's clock is ahead of this host's.
    pub(super) ahead: SignedDuration,
}

impl Back<'_> {
    /// Waits until the instances have the traffic that was set back.
    pub(super) async fn confirm_back(self, from: Option<&Traffic>, until: Timestamp) -> WayBack {
        let Some(from) = from else {
            return WayBack::ForNobody;
        };
        let until = instant(until, self.ahead);
        let mut late = Vec::new();
        let waited = {
            let confirmed = confirm(
                self.context,
                from,
                until,
                &self.without,
                self.asker,
                &mut late,
            );
            tokio::select! {
                waited = confirmed => Some(waited),
                () = self.interrupts.received() => None,
            }
        };
        match waited {
            Some(Waited::Confirmed(names, _)) if names.is_empty() => WayBack::ForNobody,
            Some(Waited::Confirmed(..)) => WayBack::Confirmed {
                others: !self.without.is_empty(),
            },
            Some(Waited::Late(late)) => WayBack::Late { late },
            Some(Waited::Moved(reading)) => WayBack::MovedSince {
                found: shown(&reading),
            },
            Some(Waited::StoreLost(reason)) => WayBack::StoreLost { reason },
            None => WayBack::Late { late },
        }
    }
}

/// Longer than any wait: what has no end has this one.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// A time by the store's clock as one by this host's.
fn instant(at: Timestamp, ahead: SignedDuration) -> Instant {
    let left = Duration::try_from(at.duration_since(Timestamp::now() + ahead));
    Instant::now() + left.unwrap_or_default().min(LONGEST)
}
