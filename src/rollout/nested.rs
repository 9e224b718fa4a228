//! A shift that a hook makes of its own rollout. It takes no lease, which the rollout's runner holds while it waits for
//! the hook; the key and the record of the rollout are written in one step, and the rollout goes on from there.

use std::collections::BTreeSet;
use std::time::Instant;

use jiff::Timestamp;

use super::applied::Asker;
use super::before::Before;
use super::confirm::{Waited, confirm};
use super::context::Context;
use super::outcome::{Cause, Confirmed, Effect, End, Outcome, shown};
use super::ready::ready;
use super::record::{Record, Stage};
use crate::history::Entry;
use crate::store::write::{Holder, Write, Written};
use crate::store::{Reading, StoreError};
use crate::traffic::Traffic;
use crate::verify::report::Report;

/// How often a record that others write at the same time is read again.
const ATTEMPTS: usize = 5;

/// Verifies the colors that get more, sets the key in the name of the rollout `of`, and waits for the instances. Production
/// is the rollout's business, and so is the way back. `shift` is the shift as a rollout of its own; it is given back as it
/// ended.
pub async fn shift(
    context: Context<'_>,
    before: Before,
    mut shift: Record,
    of: &str,
) -> (Record, Outcome) {
    let mut checks = Report::default();
    let outcome = match shifted(&context, before, &mut shift, of, &mut checks).await {
        Ok(confirmed) => Outcome {
            end: End::Done,
            effect: Effect::Changed,
            confirmed,
            ..Outcome::default()
        },
        Err(cause) => shift.refused(cause),
    };
    (shift, Outcome { checks, ..outcome })
}

async fn shifted(
    context: &Context<'_>,
    before: Before,
    shift: &mut Record,
    of: &str,
    checks: &mut Report,
) -> Result<Option<Confirmed>, Cause> {
    let traffic = shift.to().to_owned();
    let Some(to) = context.traffic(&traffic) else {
        return Err(Cause::NotInConfig { traffic });
    };
    let from = before.traffic.as_ref();
    let request = &shift.request;
    if request.verify {
        let production = Some((before.reports.as_slice(), from));
        let colors = to.gaining(from);
        ready(context, request, &colors, production, checks, &mut None).await?;
    }
    let set_at = Instant::now();
    set(context, shift, &to, &before.key.reading, of).await?;
    shift.traffic = Some(traffic.clone());
    if !shift.request.wait {
        return Ok(None);
    }
    let mut asker = Asker::new(context.stack.production.clone(), &before.reports);
    let until = Instant::now() + shift.request.timeout;
    let (nobody, mut late) = (BTreeSet::new(), Vec::new());
    match confirm(context, &to, until, &nobody, &mut asker, &mut late).await {
        Waited::Confirmed(names, proof) => Ok(Some(Confirmed::new(names, proof, set_at.elapsed()))),
        Waited::Late(late) => Err(Cause::Late { late, traffic }),
        Waited::Moved(reading) => Err(Cause::Moved {
            found: shown(&reading),
        }),
        Waited::StoreLost(reason) => Err(Cause::StoreLost { reason }),
    }
}

/// Sets the key, if it still holds what was expected, together with the record of the rollout.
async fn set(
    context: &Context<'_>,
    shift: &Record,
    to: &Traffic,
    expected: &Reading,
    of: &str,
) -> Result<(), Cause> {
    let key = &context.stack.key;
    let entry = Entry {
        at: Timestamp::now(),
        from: shift.from.clone().unwrap_or_default(),
        to: shift.to().to_owned(),
        by: shift.by.clone(),
        why: shift.why.clone(),
    };
    let mut unanswered = None;
    for _ in 0..ATTEMPTS {
        let attempt = async {
            let mut session = context.store.connect(key).await?;
            let is = session.read_one(key).await?.reading;
            if context.parse(&is).as_ref() == Some(to) {
                return Ok(Some(Written::Done));
            }
            let kept = session.rollout_of(key).await?.ok();
            let stored = kept.and_then(|kept| kept.record);
            let record = stored.as_deref().and_then(Record::of_json);
            let Some(mut record) = record.filter(|record| record.lets_hooks_shift(of)) else {
                return Ok(None);
            };
            record.traffic = Some(entry.to.clone());
            let write = Write {
                lease: Holder::Anybody,
                record: Some((stored, record.to_json())),
                change: Some((expected.clone(), entry.clone())),
                release: false,
            };
            session.write(key, &write).await.map(Some)
        };
        match attempt.await {
            Ok(Some(Written::Done)) => return Ok(()),
            Ok(Some(Written::Conflict(reading))) => {
                return Err(Cause::Moved {
                    found: shown(&reading),
                });
            }
            Ok(Some(Written::Stale(_) | Written::Held(_))) => {}
            Ok(None) => return Err(Cause::NoHookRuns),
            // It may be done: the key tells.
            Err(StoreError::Unknown(why)) => unanswered = Some(why),
            Err(StoreError::Unreachable(why)) if unanswered.is_some() => unanswered = Some(why),
            Err(error) => return Err(Cause::not_written(error)),
        }
    }
    Err(match unanswered {
        Some(reason) => Cause::WriteUnknown { reason },
        None => Cause::Busy {
            holder: "somebody".to_owned(),
        },
    })
}

impl Record {
    /// Whether it is this rollout, and runs hooks that may move traffic: once it goes back, none may.
    fn lets_hooks_shift(&self, id: &str) -> bool {
        self.id == id && matches!(self.stage, Stage::Before | Stage::After)
    }
}
