//! Reading what is kept of rollouts: the record and the lease beside each key.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redis::{RedisResult, Value};

use super::error::read_error;
use super::form::timestamp;
use super::{Connection, REPORTS_AT_ONCE};
use crate::lease::{self, Lease};
use crate::store::write::LONGEST;
use crate::store::{Kept, StoreError, Unreadable, lease_key, no_record, rollout_key};

impl Connection {
    /// See [`crate::store::Session::rollouts`].
    pub(in crate::store) async fn rollouts(
        &mut self,
        keys: &[String],
    ) -> Result<BTreeMap<String, Result<Kept, Unreadable>>, StoreError> {
        self.track().await?;
        let mut rollouts = BTreeMap::new();
        for keys in keys.chunks(REPORTS_AT_ONCE) {
            let mut pipeline = redis::pipe();
            pipeline.cmd("TIME");
            for key in keys {
                for name in [rollout_key(key), lease_key(key)] {
                    pipeline.cmd("GETRANGE").arg(name).arg(0).arg(LONGEST);
                }
                pipeline.cmd("PTTL").arg(lease_key(key));
            }
            let mut answers = self.ask(pipeline).await?;
            // Without the right to it this host's clock has to do.
            let time = answers.next().and_then(Result::ok);
            let at = time.and_then(timestamp).unwrap_or_else(Timestamp::now);
            for key in keys {
                let (Some(record), Some(lease), Some(left)) =
                    (answers.next(), answers.next(), answers.next())
                else {
                    break;
                };
                let kept = match (record_of(key, record), lease_of(lease, left)) {
                    (Ok(record), Ok(lease)) => Ok(Kept { record, lease, at }),
                    (Err(StoreError::Refused(why)), _) | (_, Err(StoreError::Refused(why))) => {
                        Err(Unreadable(why.reason))
                    }
                    (Err(error), _) | (_, Err(error)) => return Err(error),
                };
                rollouts.insert(key.clone(), kept);
            }
        }
        Ok(rollouts)
    }
}

/// The record, by the answer of GETRANGE.
fn record_of(key: &str, answer: RedisResult<Value>) -> Result<Option<Vec<u8>>, StoreError> {
    match answer {
        Ok(Value::BulkString(record)) if record.len() > LONGEST => Err(StoreError::refused(
            no_record(key, format!("it has more than {LONGEST} bytes")),
        )),
        Ok(Value::BulkString(record)) => Ok(Some(record).filter(|record| !record.is_empty())),
        Ok(other) => Err(StoreError::refused(no_record(key, format!("{other:?}")))),
        Err(error) if error.code() == Some("WRONGTYPE") => {
            Err(StoreError::refused(no_record(key, "it is no string")))
        }
        Err(error) => Err(read_error(error)),
    }
}

/// The lease, by the answers of GETRANGE and PTTL. Without the right to the latter it is taken to run out.
fn lease_of(
    lease: RedisResult<Value>,
    left: RedisResult<Value>,
) -> Result<Option<Lease>, StoreError> {
    let lasts = lease::LASTS.as_millis() as i64;
    if matches!(left, Ok(Value::Int(left)) if !(0..=lasts).contains(&left)) {
        return Ok(None);
    }
    match lease {
        Ok(Value::BulkString(lease)) if !lease.is_empty() && lease.len() <= LONGEST => {
            Ok(Some(Lease::of_json(&lease)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
        Err(error) => Err(read_error(error)),
    }
}
