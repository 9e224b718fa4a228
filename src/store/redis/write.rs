//! Writing in one step: what is asked of the script, and what it answers.

use redis::Value;

use super::Connection;
use super::error::write_error;
use super::form::fields;
use crate::history;
use crate::lease::{self, Lease};
use crate::store::scripts::WRITE;
use crate::store::write::{Holder, LONGEST, Write, Written};
use crate::store::{Reading, StoreError, history_key, lease_key, rollout_key};
use crate::traffic::MAX_LENGTH;

impl Connection {
    /// See [`crate::store::Session::write`].
    pub(in crate::store) async fn write(
        &mut self,
        key: &str,
        write: &Write,
    ) -> Result<Written, StoreError> {
        let Write {
            lease: holder,
            record,
            change,
            release,
        } = write;
        let mut eval = redis::cmd("EVAL");
        eval.arg(WRITE).arg(4).arg(key).arg(history_key(key));
        eval.arg(rollout_key(key)).arg(lease_key(key));
        eval.arg(match holder {
            Holder::Anybody => "anybody",
            Holder::Held(_) => "held",
            Holder::Seized(_) => "seized",
        });
        let lease = holder.lease();
        eval.arg(lease.map(Lease::mark).unwrap_or_default());
        eval.arg(lease.map(Lease::to_json).unwrap_or_default());
        eval.arg(lease::LASTS.as_millis() as u64);
        eval.arg(if *release { "release" } else { "" }).arg(LONGEST);
        let (must_be, old, new): (_, &[u8], &[u8]) = match record {
            None => ("", b"", b""),
            Some((None, new)) => ("none", b"", new),
            Some((Some(old), new)) => ("value", old, new),
        };
        eval.arg(must_be).arg(old).arg(new);
        let (must_be, value): (_, &[u8]) = match change {
            None => ("", b""),
            Some((Reading::Missing, _)) => ("missing", b""),
            Some((Reading::Value(value), _)) => ("value", value),
            Some((Reading::WrongType(_), _)) => ("wrong type", b""),
            Some((Reading::TooLong(_), _)) => ("too long", b""),
        };
        eval.arg(must_be).arg(value);
        let to = change.as_ref().map_or("", |(_, entry)| &entry.to);
        eval.arg(to).arg(MAX_LENGTH).arg(history::KEPT);
        for (field, value) in change.iter().flat_map(|(_, entry)| fields(entry)) {
            eval.arg(field).arg(value);
        }
        let answer: Vec<Value> = eval
            .query_async(&mut self.redis)
            .await
            .map_err(write_error)?;
        written(answer)
    }
}

/// What came of it, by the script's answer.
fn written(answer: Vec<Value>) -> Result<Written, StoreError> {
    let mut answer = answer.into_iter();
    let mut text = || match answer.next() {
        Some(Value::BulkString(text)) => Some(text),
        _ => None,
    };
    let what = text().unwrap_or_default();
    let first = text();
    match what.as_slice() {
        b"done" => {
            let error = first.unwrap_or_default();
            if !error.is_empty() {
                let error = String::from_utf8_lossy(&error);
                tracing::warn!(%error, "the key is set, but the history could not be written");
            }
            Ok(Written::Done)
        }
        b"held" => Ok(Written::Held(Lease::of_json(&first.unwrap_or_default()))),
        b"stale" => Ok(Written::Stale(first)),
        b"conflict" => {
            let value = text().unwrap_or_default();
            Ok(Written::Conflict(
                match first.unwrap_or_default().as_slice() {
                    b"missing" => Reading::Missing,
                    b"value" => Reading::Value(value),
                    b"too long" => {
                        let length = std::str::from_utf8(&value).ok();
                        Reading::TooLong(length.and_then(|it| it.parse().ok()).unwrap_or_default())
                    }
                    _ => Reading::WrongType("the key holds no string".to_owned()),
                },
            ))
        }
        other => {
            let other = String::from_utf8_lossy(other);
            Err(StoreError::Unknown(format!("redis answered `{other}`")))
        }
    }
}
