//! What is written in one step, under the lock: the key with its history, the record of its rollout, and the lease.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::disk::{Disk, now_ms};
use crate::history::Entry;
use crate::lease::{self, Lease};
use crate::store::write::{Holder, LONGEST, Write, Written};
use crate::store::{Kept, Reading, StoreError, Unreadable, lease_key, no_record, rollout_key};

/// A lease with the time until which it lasts, in milliseconds since the epoch.
#[derive(Serialize, Deserialize)]
struct Lasting {
    until: u128,
    lease: Lease,
}

/// What is in a file that may be too long, or none that can be read.
enum Content {
    Bytes(Vec<u8>),
    Missing,
    NoFile,
    TooLong,
}

impl Disk {
    /// See [`crate::store::Session::write`].
    pub(super) fn write(&self, key: &str, write: &Write) -> Result<Written, StoreError> {
        let held = match &write.lease {
            Holder::Anybody => None,
            _ => self.lease(key)?,
        };
        if let (Some(held), Holder::Held(lease)) = (&held, &write.lease)
            && !lease.is_same(held)
        {
            return Ok(Written::Held(held.clone()));
        }
        if let Some((old, _)) = &write.record {
            let is = self.record_of(key)?.unwrap_or_default();
            if is != *old {
                return Ok(Written::Stale(is));
            }
        }
        if let Some((expected, _)) = &write.change {
            let is = self.reading(key)?;
            let same = match (&is, expected) {
                (Reading::WrongType(_), Reading::WrongType(_))
                | (Reading::TooLong(_), Reading::TooLong(_)) => true,
                (is, expected) => is == expected,
            };
            if !same {
                return Ok(Written::Conflict(is));
            }
        }
        if let Some((_, entry)) = &write.change {
            self.change(key, entry)?;
        }
        if let Some((old, new)) = &write.record
            && old.as_ref() != Some(new)
        {
            let put = self.put(&rollout_key(key), new);
            put.map_err(|error| self.failed(&error))?;
        }
        match write.lease.lease() {
            Some(lease) if !write.release => {
                let lasting = Lasting {
                    until: now_ms() + lease::LASTS.as_millis(),
                    lease: lease.clone(),
                };
                self.put_json(&lease_key(key), &lasting)?;
            }
            Some(_) if held.is_some() => {
                let removed = fs::remove_file(self.path(&lease_key(key)));
                removed.map_err(|error| self.failed(&error))?;
            }
            _ => {}
        }
        Ok(Written::Done)
    }

    /// See [`crate::store::Session::rollouts`].
    pub(super) fn rollouts(
        &self,
        keys: &[String],
    ) -> Result<BTreeMap<String, Result<Kept, Unreadable>>, StoreError> {
        self.is_there()?;
        let mut rollouts = BTreeMap::new();
        for key in keys {
            let (record, lease) = (self.record_of(key)?, self.lease(key)?);
            let at = Timestamp::now();
            let kept = record.map(|record| Kept { record, lease, at });
            rollouts.insert(key.clone(), kept);
        }
        Ok(rollouts)
    }

    /// The key goes first: a history that can't be written holds up no change.
    fn change(&self, key: &str, entry: &Entry) -> Result<(), StoreError> {
        let value = format!("{}\n", entry.to).into_bytes();
        if let Err(error) = self.put(key, &value) {
            // It may stand there all the same, where only the folder could not be brought to disk.
            if self.reading(key)? != Reading::Value(value) {
                return Err(self.failed(&error));
            }
        }
        if let Err(error) = self.append(key, entry) {
            tracing::warn!(%error, "the key is set, but the history could not be written");
        }
        Ok(())
    }

    /// The record that is there.
    fn record_of(&self, key: &str) -> Result<Result<Option<Vec<u8>>, Unreadable>, StoreError> {
        Ok(match self.content(&rollout_key(key))? {
            Content::Bytes(record) => Ok(Some(record).filter(|record| !record.is_empty())),
            Content::Missing => Ok(None),
            Content::NoFile => Err(no_record(key, "it is no regular file")),
            Content::TooLong => Err(no_record(key, format!("it has more than {LONGEST} bytes"))),
        })
    }

    /// Who holds the lease now. One that can't be read is nobody's.
    fn lease(&self, key: &str) -> Result<Option<Lease>, StoreError> {
        let Content::Bytes(json) = self.content(&lease_key(key))? else {
            return Ok(None);
        };
        let (now, lasts) = (now_ms(), lease::LASTS.as_millis());
        let lasting = serde_json::from_slice(&json).ok();
        // None lasts longer than that, unless the clock was set back, or somebody wrote it by hand.
        let lasting = lasting.filter(|it: &Lasting| (now + 1..=now + lasts).contains(&it.until));
        Ok(lasting.map(|lasting| lasting.lease))
    }

    fn content(&self, name: &str) -> Result<Content, StoreError> {
        let path = self.path(name);
        let read = || -> io::Result<Content> {
            // Nobody may ever write into a pipe.
            if !fs::metadata(&path)?.is_file() {
                return Ok(Content::NoFile);
            }
            let mut bytes = Vec::new();
            let file = File::open(&path)?;
            file.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
            Ok(match bytes.len() {
                length if length > LONGEST => Content::TooLong,
                _ => Content::Bytes(bytes),
            })
        };
        match read() {
            Ok(content) => Ok(content),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Content::Missing),
            Err(error) => Err(self.failed(&error)),
        }
    }
}
