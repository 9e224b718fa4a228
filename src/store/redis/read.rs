//! Reading keys, and the newest change of each, without ever reading what is far too long to be either.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use redis::{ErrorKind, Pipeline, RedisError, RedisResult, Value};

use super::Connection;
use super::error::{in_words, read_error, unreachable};
use super::form::{entries, timestamp};
use crate::history::{Entry, MOST_BYTES};
use crate::store::{KeyState, Reading, StoreError, Unreadable, history_key, too_much_history};
use crate::traffic::MAX_LENGTH;

/// A history that was short is measured again so often: at every read where nothing changes, but not at every change.
const MEASURE_AGAIN: Duration = Duration::from_millis(900);

impl Connection {
    /// See [`crate::store::Session::read`].
    pub(in crate::store) async fn read(
        &mut self,
        keys: &[String],
    ) -> Result<BTreeMap<String, KeyState>, StoreError> {
        self.track().await?;
        let mut first = redis::pipe();
        first.cmd("TIME");
        let mut asked = Vec::new();
        for key in keys {
            first.cmd("GETRANGE").arg(key).arg(0).arg(MAX_LENGTH);
            let short_since = self.short_histories.get(key);
            let for_size = short_since.is_none_or(|since| since.elapsed() >= MEASURE_AGAIN);
            let for_newest = short_since.is_some();
            if for_size {
                ask_size(&mut first, &history_key(key));
            }
            if for_newest {
                ask_newest(&mut first, &history_key(key), 1);
            }
            asked.push((key, for_size, for_newest));
        }
        let mut answers = self.ask(first).await?;
        // Without the right to it this host's clock has to do.
        let time = answers.next().and_then(Result::ok);
        let at = time.and_then(timestamp).unwrap_or_else(Timestamp::now);

        // What is not known of a key by now is asked in a second round trip.
        let mut second = redis::pipe();
        let mut known = Vec::new();
        for (key, for_size, for_newest) in asked {
            let value = match answers.next() {
                Some(Ok(Value::BulkString(value))) if value.len() > MAX_LENGTH => {
                    second.cmd("STRLEN").arg(key);
                    None
                }
                Some(Ok(Value::BulkString(value))) if !value.is_empty() => {
                    Some(Ok(Value::BulkString(value)))
                }
                // Empty, or not there; no string; or without the right to a part of it.
                _ => {
                    second.cmd("GET").arg(key);
                    None
                }
            };
            let size = for_size.then(|| answers.next().map_or(0, size));
            let mut newest = for_newest.then(|| answers.next()).flatten();
            match size {
                Some(size @ MOST_BYTES..) => {
                    self.short_histories.remove(key);
                    newest = Some(Err(too_much(&history_key(key), size)));
                }
                Some(_) => {
                    self.short_histories.insert(key.clone(), Instant::now());
                }
                None => {}
            }
            if newest.is_none() {
                ask_newest(&mut second, &history_key(key), 1);
            }
            known.push((value, newest));
        }
        let mut answers = self.ask(second).await?;
        let mut answer = |known: Option<RedisResult<Value>>| {
            let answer = known.or_else(|| answers.next());
            answer.unwrap_or_else(|| Err((ErrorKind::Parse, "redis answered too little").into()))
        };
        let mut states = BTreeMap::new();
        for (key, (value, newest)) in keys.iter().zip(known) {
            let reading = reading(answer(value))?;
            let newest = answer(newest).and_then(entries);
            let newest = newest.map(|recorded| recorded.into_iter().next());
            let state = KeyState {
                reading,
                newest: newest.map_err(|error| Unreadable(in_words(&error))),
                peers: None,
                dead: None,
                at,
            };
            states.insert(key.clone(), state);
        }
        Ok(states)
    }

    /// The newest entries of a stream that has the form of a history, the newest first.
    pub(in crate::store) async fn entries(
        &mut self,
        name: &str,
        most: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut pipeline = redis::pipe();
        ask_size(&mut pipeline, name);
        let size = self.ask(pipeline).await?.next().map_or(0, size);
        if size >= MOST_BYTES {
            return Err(read_error(too_much(name, size)));
        }
        let mut pipeline = redis::pipe();
        ask_newest(&mut pipeline, name, most);
        let mut answers = self.ask(pipeline).await?;
        let recorded = answers.next().unwrap_or(Ok(Value::Nil)).and_then(entries);
        let recorded = recorded.map_err(read_error)?;
        Ok(recorded
            .into_iter()
            .map(|recorded| recorded.entry)
            .collect())
    }

    /// The answers to all commands. Where there is none, nothing is asked.
    pub(super) async fn ask(
        &mut self,
        mut pipeline: Pipeline,
    ) -> Result<std::vec::IntoIter<RedisResult<Value>>, StoreError> {
        let mut answers = Vec::new();
        if !pipeline.is_empty() {
            pipeline.ignore_errors();
            let asked = pipeline.query_async(&mut self.redis).await;
            answers = asked.map_err(unreachable)?;
        }
        Ok(answers.into_iter())
    }
}

/// How large a history is. No sample of it tells of the one entry that is too large.
fn ask_size(pipeline: &mut Pipeline, name: &str) {
    let usage = pipeline.cmd("MEMORY").arg("USAGE").arg(name);
    usage.arg("SAMPLES").arg(0);
}

/// In bytes; nothing where there is none, or no right to ask.
fn size(answer: RedisResult<Value>) -> u64 {
    let size = answer
        .ok()
        .and_then(|size| redis::from_redis_value(size).ok());
    size.unwrap_or_default()
}

fn too_much(name: &str, size: u64) -> RedisError {
    let words = too_much_history(name, size);
    (ErrorKind::Client, "the history", words).into()
}

fn ask_newest(pipeline: &mut Pipeline, name: &str, most: usize) {
    let range = pipeline.cmd("XREVRANGE").arg(name);
    range.arg("+").arg("-").arg("COUNT").arg(most);
}

/// What a key holds, by the answer of GET, or that of STRLEN where it is too long.
fn reading(answer: RedisResult<Value>) -> Result<Reading, StoreError> {
    match answer {
        Ok(Value::Nil) => Ok(Reading::Missing),
        Ok(Value::BulkString(value)) if value.len() <= MAX_LENGTH => Ok(Reading::Value(value)),
        Ok(Value::BulkString(value)) => Ok(Reading::TooLong(value.len() as u64)),
        Ok(Value::Int(bytes)) => Ok(Reading::TooLong(bytes.unsigned_abs())),
        Ok(other) => Ok(Reading::WrongType(format!("{other:?}"))),
        Err(error) if error.code() == Some("WRONGTYPE") => {
            Ok(Reading::WrongType("the key holds no string".to_owned()))
        }
        // LOADING, NOPERM, MASTERDOWN: nothing is known of the key.
        Err(error) => Err(unreachable(error)),
    }
}
