//! Reading what is kept of rollouts: the record and the lease beside each key.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::disk::{Disk, now_ms};
use crate::lease::{self, Lease};
use crate::store::write::LONGEST;
use crate::store::{Kept, StoreError, Unreadable, lease_key, no_record, rollout_key};

/// A lease with the time until which it lasts, in milliseconds since the epoch.
#[derive(Serialize, Deserialize)]
pub(super) struct Lasting {
    until: u128,
    lease: Lease,
}

impl Lasting {
    /// From now on.
    pub(super) fn new(lease: Lease) -> Self {
        let until = now_ms() + lease::LASTS.as_millis();
        Self { until, lease }
    }

    /// Whether it lasts still. None lasts longer than any other, unless the clock was set back, or somebody wrote it by
    /// hand.
    fn lasts(&self) -> bool {
        let now = now_ms();
        (now + 1..=now + lease::LASTS.as_millis()).contains(&self.until)
    }
}

/// What is in a file that may be too long, or none that can be read.
pub(super) enum Content {
    Bytes(Vec<u8>),
    Missing,
    NoFile,
    TooLong,
}

impl Disk {
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

    /// The record that is there.
    pub(super) fn record_of(
        &self,
        key: &str,
    ) -> Result<Result<Option<Vec<u8>>, Unreadable>, StoreError> {
        Ok(
            match self.content(&self.path(&rollout_key(key)), LONGEST)? {
                Content::Bytes(record) => Ok(Some(record).filter(|record| !record.is_empty())),
                Content::Missing => Ok(None),
                Content::NoFile => Err(no_record(key, "it is no regular file")),
                Content::TooLong => {
                    Err(no_record(key, format!("it has more than {LONGEST} bytes")))
                }
            },
        )
    }

    /// Who holds the lease now. One that can't be read is nobody's.
    pub(super) fn lease(&self, key: &str) -> Result<Option<Lease>, StoreError> {
        let Content::Bytes(json) = self.content(&self.path(&lease_key(key)), LONGEST)? else {
            return Ok(None);
        };
        let lasting: Option<Lasting> = serde_json::from_slice(&json).ok();
        let lasting = lasting.filter(Lasting::lasts);
        Ok(lasting.map(|lasting| lasting.lease))
    }

    /// What is in a file, unless that is more than so many bytes.
    pub(super) fn content(&self, path: &Path, most: usize) -> Result<Content, StoreError> {
        let read = || -> io::Result<Content> {
            // Nobody may ever write into a pipe.
            if !fs::metadata(path)?.is_file() {
                return Ok(Content::NoFile);
            }
            let mut bytes = Vec::new();
            let file = File::open(path)?;
            file.take(most as u64 + 1).read_to_end(&mut bytes)?;
            Ok(match bytes.len() {
                length if length > most => Content::TooLong,
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
