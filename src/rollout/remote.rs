//! A rollout that runs elsewhere: handing one over to the providers, and saying what is wanted of it.

use jiff::SignedDuration;

use super::outcome::Cause;
use super::record::{Record, Want, Wish};
use crate::lease::Lease;
use crate::store::write::{Holder, Write, Written};
use crate::store::{Kept, Session, StoreError, Unreadable};

/// For how long a rollout that was handed over, and that nobody has begun, keeps its place.
const KEEPS_ITS_PLACE: SignedDuration = SignedDuration::from_secs(30);

/// How often a record that others write at the same time is read again.
const ATTEMPTS: usize = 5;

/// Why a wish was not noted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotNoted {
    /// No rollout runs; the last one, where there was any.
    #[error("no rollout runs")]
    NoneRuns(Option<Box<Record>>),
    /// The rollout that runs has another id.
    #[error("another rollout runs")]
    Another(Box<Record>),
    /// What is in its place can't be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Others write it all the time.
    #[error("others write the record of the rollout at the same time")]
    Busy,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What of a record keeps others from beginning a rollout in its place: one that waits for a provider.
pub fn keeps_its_place(kept: &Kept) -> Option<Record> {
    let record = Record::of_json(kept.record.as_ref()?)?;
    let waits = !record.has_ended() && record.runner.is_none();
    (waits && kept.at.duration_since(record.since) < KEEPS_ITS_PLACE).then_some(record)
}

/// Hands a rollout over to the providers: whichever comes first runs it.
///
/// # Errors
///
/// Why it can't be.
pub async fn hand_over(session: &mut Session, key: &str, record: &Record) -> Result<(), Cause> {
    for _ in 0..ATTEMPTS {
        let kept = session.rollout_of(key).await.map_err(Cause::not_written)?;
        let stored = match &kept {
            Ok(kept) => {
                if let Some(other) = keeps_its_place(kept) {
                    let holder = other.whose();
                    return Err(Cause::Busy { holder });
                }
                kept.record.clone()
            }
            // The record replaces it.
            Err(_) => None,
        };
        let write = Write {
            lease: Holder::Held(Lease::new(record.by.clone(), record.what())),
            record: Some((stored, record.to_json())),
            change: None,
            release: true,
        };
        match session
            .write(key, &write)
            .await
            .map_err(Cause::not_written)?
        {
            Written::Done | Written::Conflict(_) => return Ok(()),
            Written::Held(lease) => {
                let holder = lease.to_string();
                return Err(Cause::Busy { holder });
            }
            Written::Stale(_) => {}
        }
    }
    let holder = "somebody".to_owned();
    Err(Cause::Busy { holder })
}

/// Notes in the record of the rollout that runs what is wanted of it, for its runner to do; with `id`, of that one only.
/// Gives the record as it is then.
///
/// # Errors
///
/// Why it was not noted.
pub async fn want(
    session: &mut Session,
    key: &str,
    id: Option<&str>,
    what: Want,
    by: &str,
) -> Result<Record, NotNoted> {
    for _ in 0..ATTEMPTS {
        let kept = session.rollout_of(key).await??;
        let record = kept.record.as_deref().and_then(Record::of_json);
        let Some(mut record) = record else {
            return Err(NotNoted::NoneRuns(None));
        };
        if id.is_some_and(|id| id != record.id) {
            return Err(NotNoted::Another(Box::new(record)));
        }
        if record.has_ended() {
            return Err(NotNoted::NoneRuns(Some(Box::new(record))));
        }
        record.wanted = Some(Wish {
            what,
            by: by.to_owned(),
            at: kept.at,
        });
        let write = Write {
            lease: Holder::Anybody,
            record: Some((kept.record, record.to_json())),
            change: None,
            release: false,
        };
        match session.write(key, &write).await? {
            Written::Done => return Ok(record),
            _ => continue,
        }
    }
    Err(NotNoted::Busy)
}

/// Whether nobody runs a rollout that has not ended.
pub fn is_abandoned(record: &Record, kept: &Kept) -> bool {
    !record.has_ended() && kept.lease.is_none()
}
