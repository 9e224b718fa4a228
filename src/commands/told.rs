//! What is said of a rollout in the end: the sentence, the exit code and the JSON object, all derived from its outcome.

use serde_json::{Value, json};

use super::{Common, Exit, Failure, NOTHING_CHANGED, print_outcome, talk, talk_unless_quiet};
use crate::printable::{self, Printable};
use crate::registry::first_few;
use crate::rollout::engine::Left;
use crate::rollout::outcome::{At, Cause, Confirmed, End, Late, Outcome, Proof, WayBack};
use crate::rollout::record::Record;
use crate::store::{Refusal, StoreError};

/// A rollout that is to be told of.
pub(super) struct Told<'a> {
    /// Flags that all commands know.
    pub(super) common: &'a Common,
    /// The stack's key.
    pub(super) key: &'a str,
    /// Its record in the end.
    pub(super) record: &'a Record,
}

/// What there is to say of what was done, once everything is.
#[must_use = "it is printed last"]
pub(super) struct Said {
    /// Printable already.
    text: Option<String>,
    nobody_polls: bool,
}

impl Said {
    /// Prints it. Where that does not come through, what was done stands all the same.
    pub(super) fn print(self) {
        let Some(text) = self.text else {
            return;
        };
        print_outcome(&text);
        if self.nobody_polls {
            talk("note: no Traefik polls any provider: nobody had to confirm");
        }
    }
}

impl Told<'_> {
    /// What there is to say; `more` goes into the JSON object.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where it did not end as it was asked to.
    pub(super) fn of(&self, left: &Left, more: Value) -> Result<Said, Failure> {
        match left {
            Left::Ended(outcome) if outcome.end == End::Done => Ok(self.said(outcome, more)),
            Left::Ended(outcome) => Err(self.failure(outcome)),
            Left::Paused => Err(self.paused()),
            Left::Lost(lost) => {
                let what = self.record.request.kind.word();
                let message = match self.record.has_changed() {
                    true => format!(
                        "{} has taken the place of this {what}; what it does stands",
                        lost.0
                    ),
                    false => format!(
                        "{} has taken the place of this {what} meanwhile, which has changed nothing",
                        lost.0
                    ),
                };
                Err(Failure::new(Exit::Conflict, message)
                    .hint("look with `bluegreen rollout` and `bluegreen history`"))
            }
        }
    }

    /// The providers run it now.
    pub(super) fn handed_over(&self) -> Said {
        let Self { common, record, .. } = *self;
        let (stack, id) = (&record.stack, &record.id);
        let what = record.what();
        talk_unless_quiet(
            common,
            &format!(
                "{stack}: {what} is handed over to the providers: `bluegreen rollout` shows how far it is"
            ),
        );
        let object = || json!({ "exit": 0, "stack": stack, "id": id, "to": record.request.goal(), "detached": true });
        Said {
            text: Some(match common.json {
                true => printable::json(&format!("{:#}", object())),
                false => id.clone(),
            }),
            nobody_polls: false,
        }
    }

    fn said(&self, outcome: &Outcome, more: Value) -> Said {
        let record = self.record;
        let confirmed = outcome.confirmed.as_ref();
        if !self.common.json {
            let sentence = || Printable(&self.sentence(outcome)).to_string();
            return Said {
                text: (!self.common.quiet).then(sentence),
                nobody_polls: confirmed.is_some_and(|it| it.count == 0),
            };
        }
        let applied = confirmed.filter(|it| it.count > 0);
        let mut object = json!({
            "exit": 0, "stack": record.stack, "from": record.from, "to": record.request.goal(),
            "changed": record.has_changed(), "instances": confirmed.map(|it| &it.instances),
            "applied": applied.and_then(|it| it.proof.word()),
            "seconds": confirmed.map_or(0.0, |it| it.seconds), "checks": outcome.checks.json(),
        });
        if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
            object.extend(more);
        }
        Said {
            text: Some(printable::json(&format!("{object:#}"))),
            nobody_polls: false,
        }
    }

    /// What was done, in a sentence.
    fn sentence(&self, outcome: &Outcome) -> String {
        let record = self.record;
        // A hook may have moved it since the last step.
        let to = record.traffic.as_deref().unwrap_or(record.request.goal());
        let name = &record.stack;
        let what = if record.has_changed() {
            format!("{name}: {} → {to}", self.from())
        } else {
            format!("{name}: {to} already has the traffic")
        };
        match &outcome.confirmed {
            None if outcome.to_nobody => format!(
                "{what}; no provider runs: the next one that starts serves it, and until then Traefik serves what it has"
            ),
            None => format!("{what}; not waited for any instance"),
            Some(confirmed) => match proof(confirmed) {
                Some(proof) => format!("{what}, {proof}"),
                None => what,
            },
        }
    }

    /// The traffic before, which may not be known.
    fn from(&self) -> &str {
        self.record.from.as_deref().unwrap_or("unknown")
    }

    /// It is paused, and nobody runs it here any more.
    fn paused(&self) -> Failure {
        let record = self.record;
        let message = format!(
            "interrupted: the {} to {} is paused at step {} of {}; {} has the traffic",
            record.request.kind.word(),
            record.request.goal(),
            record.step + 1,
            record.request.steps.len(),
            record.traffic.as_deref().unwrap_or_default()
        );
        Failure::new(Exit::Unconfirmed, message).hint(format!(
            "`bluegreen rollout resume` goes on, `bluegreen rollout abort` goes back to {}",
            self.from()
        ))
    }

    /// It did not end as it was asked to.
    pub(super) fn failure(&self, outcome: &Outcome) -> Failure {
        let failure = match (&outcome.cause, &outcome.way_back) {
            (Some(cause), Some(way)) => self.went_back(outcome, cause, way),
            (Some(cause), None) => self.stopped(outcome, cause),
            (None, _) => Failure::new(
                exit(outcome),
                "what became of it is not known: the record of the rollout does not tell",
            )
            .hint("look with `bluegreen status`"),
        };
        match self.record.request.verify {
            true => failure.checks(outcome.checks.clone()),
            false => failure,
        }
    }

    /// It ended where it was.
    fn stopped(&self, outcome: &Outcome, cause: &Cause) -> Failure {
        let Self {
            common,
            key,
            record,
        } = *self;
        let to = record.to();
        let failure = |message: String| Failure::new(exit(outcome), message);
        let nothing = |what: &str| failure(format!("{what}; nothing was changed"));
        let again = "`bluegreen verify` shows it again; --no-verify goes on without";
        let status = "look with `bluegreen status`, once the store answers";
        match cause {
            Cause::Busy { holder } => nothing(&format!("{holder} is changing `{key}` already"))
                .hint(
                    "wait for them, or look with `bluegreen rollout`; should they be gone, a provider carries it on. \
                     `bluegreen rollback` goes back at once, whoever is at it",
                ),
            Cause::NotInConfig { traffic } => nothing(&format!(
                "the config of whoever runs it has no color of the traffic `{traffic}`"
            ))
            .hint("give all providers, and whoever changes the traffic, the same config"),
            Cause::NotUp { why } => nothing(why),
            Cause::Abandoned => nothing("whoever brought the color up is gone"),
            Cause::NoProvider => nothing(&format!(
                "no `bluegreen serve` reports to {}: nobody would bring the change to Traefik",
                common.store
            ))
            .hint("start it, or set the key all the same with --no-wait"),
            Cause::Frozen { window } => nothing(&format!("refused: {window}"))
                .hint("wait until then, or go on with --override-freeze and a --why"),
            Cause::NotReady { color, wrong } => {
                nothing(&format!("{color} is not ready: {wrong}")).hint(again)
            }
            Cause::ReadyUnknown { color, wrong } => nothing(&format!(
                "whether {color} is ready could not be found out: {wrong}"
            ))
            .hint(again),
            Cause::NothingToVerify { color } => nothing(&format!(
                "nothing of {color} or of production could be verified"
            ))
            .hint(
                "give the services a `health` path, or the stack `checks`, or `production: http://127.0.0.1:80`, where \
                 this host reaches Traefik's entrypoint; --no-verify goes on without",
            ),
            Cause::ProductionAway { why } => nothing(&format!(
                "Traefik can't be asked where production is, so it could not be verified after the flip: {why}"
            ))
            .hint(again),
            Cause::ProductionForeign { why } => nothing(&format!(
                "production is not where the traffic of this stack goes now: {why}"
            ))
            .hint(
                "does `production` name the entrypoint of this stack's Traefik? `bluegreen verify production` asks it \
                 again; --no-verify goes on without",
            ),
            Cause::Hook { why } => nothing(why).hint("mend it, and try again"),
            Cause::NoHookRuns => nothing(
                "the rollout that this is a hook of runs no hook that may move traffic: only `before` and `after` may",
            ),
            Cause::Aborted { by } => nothing(&format!("aborted by {by}")),
            Cause::Interrupted { at, late } => self.interrupted(at, late),
            Cause::StoreAway { reason } => {
                let error = StoreError::Unreachable(reason.clone());
                Failure::store(&common.store, &error, NOTHING_CHANGED)
            }
            Cause::StoreRefused { reason, may_pass } => {
                let refusal = Refusal {
                    reason: reason.clone(),
                    may_pass: *may_pass,
                };
                Failure::store(&common.store, &StoreError::Refused(refusal), NOTHING_CHANGED)
            }
            Cause::WriteUnknown { reason } => failure(format!(
                "{reason}: whether `{key}` was set to {to} is not known; it may still be done"
            ))
            .hint(status),
            Cause::StoreLost { reason } => failure(format!(
                "`{key}` was set to {to}, but then the store could not be reached ({reason}): whether every instance has \
                 it is not known"
            ))
            .hint(status),
            Cause::Moved { found } if record.has_changed() => failure(format!(
                "somebody else has changed `{key}` to {found} meanwhile; that stands"
            ))
            .hint("look at `bluegreen history`"),
            Cause::Moved { found } => nothing(&format!(
                "somebody else changed `{key}` meanwhile: it is {found}"
            ))
            .hint("look at `bluegreen history`, and flip again if that is what you want"),
            Cause::Late { .. }
            | Cause::ProductionFails { .. }
            | Cause::AnalysisFails { .. }
            | Cause::ProductionUnknown { .. } => failure(self.what(cause)),
        }
    }

    fn interrupted(&self, at: &At, late: &[Late]) -> Failure {
        let to = self.record.to();
        let nothing = |what: &str| {
            let message = format!("interrupted{what}; nothing was changed");
            Failure::new(Exit::Failed, message)
        };
        match at {
            At::Begin => nothing(""),
            At::Verify { color } => nothing(&format!(" while {color} was verified")),
            At::Gate => nothing(" before the key was set"),
            At::Confirm => Failure::new(
                Exit::Unconfirmed,
                format!(
                    "interrupted: {to} has the traffic, but not every instance has confirmed: {}",
                    first_few(late.iter())
                ),
            )
            .hint(format!(
                "look with `bluegreen status`; `bluegreen rollback` goes back to {}",
                self.from()
            )),
            At::Production => Failure::new(
                Exit::Unconfirmed,
                format!(
                    "interrupted: {to} has the traffic, and every instance has confirmed it, but production was not \
                     verified to the end"
                ),
            )
            .hint("`bluegreen verify production` does; go back with `bluegreen rollback`"),
            At::After => Failure::new(
                Exit::Unconfirmed,
                format!(
                    "interrupted: {to} has the traffic, and production has passed, but the hooks after that are not done"
                ),
            )
            .hint("go back with `bluegreen rollback`"),
        }
    }

    /// What went wrong after the change.
    fn what(&self, cause: &Cause) -> String {
        match cause {
            Cause::Late { late, traffic } => format!(
                "not every instance confirmed {traffic} in {:?}: {}",
                self.record.request.timeout,
                first_few(late.iter())
            ),
            cause => cause.to_string(),
        }
    }

    fn went_back(&self, outcome: &Outcome, cause: &Cause, way: &WayBack) -> Failure {
        let what = self.what(cause);
        let (from, to) = (self.from(), self.record.to());
        let status = "look with `bluegreen status`";
        let rollback = "look with `bluegreen status`; go back with `bluegreen rollback`";
        let (became, hint) = match way {
            WayBack::NotNeeded => (
                format!("nothing was changed, {to} had the traffic before"),
                status,
            ),
            WayBack::NotKnown => (
                format!("{to} keeps the traffic: what was before is not known"),
                rollback,
            ),
            WayBack::NotWanted => (format!("{to} keeps the traffic (--no-rollback)"), rollback),
            WayBack::ForNobody => (
                format!("rolled back to {from}, which nobody had to confirm"),
                status,
            ),
            WayBack::Confirmed { others } => {
                let whom = match others {
                    true => "the other instances have",
                    false => "every instance has",
                };
                (
                    format!("rolled back to {from}, which {whom} confirmed"),
                    status,
                )
            }
            WayBack::Late { late } => {
                let names = first_few(late.iter().map(|late| &late.name));
                (
                    format!("rolled back to {from}, which is not confirmed by {names}"),
                    status,
                )
            }
            WayBack::MovedSince { found } => (
                format!("rolled back to {from}, and changed by somebody to {found} since"),
                status,
            ),
            WayBack::StoreLost { reason } => (
                format!("rolled back to {from}, but the store can't be reached any more: {reason}"),
                status,
            ),
            WayBack::Taken { found } => (
                format!(
                    "not rolled back, because somebody else has changed the key to {found} meanwhile"
                ),
                "look at `bluegreen history`",
            ),
            WayBack::Refused { reason } => (
                format!(
                    "not rolled back to {from}, which the store still refuses: {reason}; {to} keeps the traffic"
                ),
                rollback,
            ),
            WayBack::Away { reason } => (
                format!(
                    "not rolled back to {from}, because the store can't be reached: {reason}; {to} keeps the traffic"
                ),
                rollback,
            ),
            WayBack::Unknown { reason } => (
                format!("it is not known whether it could be rolled back to {from}: {reason}"),
                rollback,
            ),
        };
        Failure::new(exit(outcome), format!("{what}; {became}")).hint(hint)
    }
}

/// The exit code of a rollout that did not end as it was asked to.
fn exit(outcome: &Outcome) -> Exit {
    match outcome.end {
        End::RolledBack => Exit::RolledBack,
        End::Unconfirmed => Exit::Unconfirmed,
        End::Conflict => Exit::Conflict,
        End::Unknown | End::Done => Exit::Store,
        End::Refused => match &outcome.cause {
            Some(
                Cause::NotReady { .. }
                | Cause::NothingToVerify { .. }
                | Cause::ProductionForeign { .. }
                | Cause::ProductionFails { .. }
                | Cause::AnalysisFails { .. }
                | Cause::ProductionUnknown { .. }
                | Cause::Hook { .. }
                | Cause::NoHookRuns
                | Cause::Frozen { .. },
            ) => Exit::Refused,
            _ => Exit::Failed,
        },
    }
}

/// Who has it, since when; none where there is nobody.
pub(super) fn proof(confirmed: &Confirmed) -> Option<String> {
    let one = match confirmed.count {
        0 => return None,
        count => count == 1,
    };
    let s = if one { "" } else { "s" };
    let (word, more) = match confirmed.proof {
        Proof::Everywhere => ("applied", ""),
        Proof::AtProduction if one => ("applied", ""),
        Proof::AtProduction => ("confirmed", "; applied by the one at production"),
        Proof::NoProduction => (
            "confirmed",
            "; not asked whether Traefik routes by it: the config names no `production`",
        ),
        Proof::NoAnswer => (
            "confirmed",
            "; whether Traefik routes by it is not known: production does not answer for the marker",
        ),
    };
    Some(format!(
        "{word} by {} instance{s} in {:.0} ms: {}{more}",
        confirmed.count,
        confirmed.seconds * 1000.0,
        first_few(confirmed.instances.iter())
    ))
}
