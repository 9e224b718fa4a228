//! What is written in one step: the key with its history, the record of its rollout, and the lease.
//!
//! The lock keeps others out, but a writer can be killed between two files. So a record that comes with a change of the
//! key is written aside first: whoever writes next sees by the key whether it came to count.

use std::fs;
use std::path::PathBuf;

use super::disk::Disk;
use super::kept::{Content, Lasting};
use crate::history::{self, Entry};
use crate::store::write::{Holder, LONGEST, Write, Written};
use crate::store::{Reading, StoreError, history_key, lease_key, rollout_key};
use crate::traffic::MAX_LENGTH;

impl Disk {
    /// See [`crate::store::Session::write`].
    pub(super) fn write(&self, key: &str, write: &Write) -> Result<Written, StoreError> {
        if write.record.is_some() {
            self.settle(key)?;
        }
        if let Some(not_written) = self.check(key, write)? {
            return Ok(not_written);
        }
        let lease = write.lease.lease();
        // The lease first: who can't have it changes nothing.
        if let (Some(lease), false) = (lease, write.release) {
            self.put_json(&lease_key(key), &Lasting::new(lease.clone()))?;
        }
        let record = write.record.as_ref();
        let record = record.filter(|(old, new)| old.as_ref() != Some(new));
        match (&write.change, record) {
            (Some((_, entry)), Some((_, record))) => self.change_with(key, entry, record)?,
            (Some((_, entry)), None) => self.change(key, entry)?,
            (None, Some((_, record))) => self.place(&rollout_key(key), record)?,
            (None, None) => {}
        }
        if lease.is_some()
            && write.release
            && let Err(error) = fs::remove_file(self.path(&lease_key(key)))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the lease could not be given back: it runs out by itself");
        }
        Ok(Written::Done)
    }

    /// What is not as it must be, if anything.
    fn check(&self, key: &str, write: &Write) -> Result<Option<Written>, StoreError> {
        if let Holder::Held(lease) = &write.lease
            && let Some(held) = self.lease(key)?
            && !lease.is_same(&held)
        {
            return Ok(Some(Written::Held(held)));
        }
        if let Some((old, _)) = &write.record {
            let is = self.record_of(key)?.unwrap_or_default();
            if is != *old {
                return Ok(Some(Written::Stale(is)));
            }
        }
        let Some((expected, _)) = &write.change else {
            return Ok(None);
        };
        let is = self.reading(key)?;
        let same = match (&is, expected) {
            (Reading::WrongType(_), Reading::WrongType(_))
            | (Reading::TooLong(_), Reading::TooLong(_)) => true,
            (is, expected) => is == expected,
        };
        Ok((!same).then_some(Written::Conflict(is)))
    }

    /// Changes the key and the record.
    fn change_with(&self, key: &str, entry: &Entry, record: &[u8]) -> Result<(), StoreError> {
        let aside = [entry.to.as_bytes(), b"\n", record].concat();
        let put = self.put_at(&self.aside(key), &aside);
        put.map_err(|error| self.failed(&error))?;
        if let Err(error) = self.change(key, entry) {
            fs::remove_file(self.aside(key)).ok();
            return Err(error);
        }
        // From here on it counts: who writes next finishes it where this does not.
        self.place(&rollout_key(key), record).map_err(|error| {
            StoreError::Unknown(format!("`{key}` is set, but not its rollout: {error}"))
        })?;
        fs::remove_file(self.aside(key)).ok();
        Ok(())
    }

    /// Changes the key. It goes first: a history that can't be written holds up no change.
    fn change(&self, key: &str, entry: &Entry) -> Result<(), StoreError> {
        self.place(key, format!("{}\n", entry.to).as_bytes())?;
        if let Err(error) = self.append(&history_key(key), history::KEPT, entry) {
            tracing::warn!(%error, "the key is set, but the history could not be written");
        }
        Ok(())
    }

    /// Finishes what was begun: the record that was written aside counts where the key was set as well.
    fn settle(&self, key: &str) -> Result<(), StoreError> {
        let aside = self.aside(key);
        let bytes = match self.content(&aside, LONGEST + MAX_LENGTH + 1)? {
            Content::Missing => return Ok(()),
            Content::Bytes(bytes) => bytes,
            Content::NoFile | Content::TooLong => Vec::new(),
        };
        if let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
            && let (to, record) = (&bytes[..end], &bytes[end + 1..])
            && self.reading(key)? == Reading::Value([to, b"\n"].concat())
        {
            self.place(&rollout_key(key), record)?;
        }
        fs::remove_file(&aside).map_err(|error| self.failed(&error))
    }

    /// Where a record is until its key is set. No key's file is hidden.
    fn aside(&self, key: &str) -> PathBuf {
        let mut name = self.path(&rollout_key(key));
        let hidden = name.file_name().unwrap_or_default().to_string_lossy();
        name.set_file_name(format!(".{hidden}"));
        name
    }

    /// Puts it there, or finds it there all the same, where only the folder could not be brought to disk.
    fn place(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        match self.put(name, bytes) {
            Err(error) => match self.content(&self.path(name), bytes.len())? {
                Content::Bytes(is) if is == bytes => Ok(()),
                _ => Err(self.failed(&error)),
            },
            Ok(()) => Ok(()),
        }
    }
}
