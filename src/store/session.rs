//! One connection to the store, and all that is asked of it.

use std::collections::BTreeMap;

use super::write::{Holder, LONGEST, Write, Written};
use super::{
    Changed, Kept, KeyState, Outcome, Reading, Store, StoreError, Unreadable, file, history_key,
    lease_key, redis, refused_key, rollout_key,
};
use crate::history::{self, Entry, RefusedChange};
use crate::lease::Lease;
use crate::registry::{Aged, Instance, Report, Told};

/// One connection to the store. It is dropped at the first error, and a new one made.
pub enum Session {
    /// A connection to Redis.
    Redis(Box<redis::Connection>),
    /// A folder that is watched.
    File(file::Folder),
}

impl Store {
    /// Connects to where this key is; in a Redis Cluster other keys may be elsewhere.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`], with the reason.
    pub async fn connect(&self, key: &str) -> Result<Session, StoreError> {
        match self {
            Self::Redis(address) => redis::Connection::open(address, key)
                .await
                .map(|connection| Session::Redis(Box::new(connection))),
            Self::File(dir) => file::Folder::open(dir).await.map(Session::File),
        }
    }
}

impl Session {
    /// Reads keys, and has [`changed`](Self::changed) tell of their next change.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`].
    pub async fn read(
        &mut self,
        keys: &[String],
    ) -> Result<BTreeMap<String, KeyState>, StoreError> {
        match self {
            Self::Redis(connection) => connection.read(keys).await,
            Self::File(folder) => folder.read(keys).await,
        }
    }

    /// Reads one key, as [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`].
    pub async fn read_one(&mut self, key: &str) -> Result<KeyState, StoreError> {
        let mut states = self.read(&[key.to_owned()]).await?;
        let nothing = || StoreError::Unreachable(format!("it says nothing about `{key}`"));
        states.remove(key).ok_or_else(nothing)
    }

    /// What the providers report of each key's stack, this one among them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`].
    pub async fn told(
        &mut self,
        keys: &[String],
    ) -> Result<BTreeMap<String, Result<Told, Unreadable>>, StoreError> {
        let told = match self {
            Self::Redis(connection) => connection.told(keys).await?,
            Self::File(folder) => folder.told(keys).await?,
        };
        let told = keys.iter().zip(told).map(|(key, told)| {
            let told = match told {
                Ok(told) => Ok(told),
                Err(StoreError::Refused(why)) => Err(Unreadable(why.reason)),
                Err(error) => return Err(error),
            };
            Ok((key.clone(), told))
        });
        told.collect()
    }

    /// Waits until something that was read here may have changed, and gives what it was where the store tells.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`] once the connection is lost.
    pub async fn changed(&mut self) -> Result<Changed, StoreError> {
        match self {
            Self::Redis(connection) => connection.changed().await,
            Self::File(folder) => folder.changed().await,
        }
    }

    /// Ends once another server is the primary, with this as the reason to connect anew. It needs nothing of the session
    /// and is awaited beside it, because those who know may be silent.
    pub fn elsewhere(&self) -> impl Future<Output = StoreError> + use<> {
        let elsewhere = match self {
            Self::Redis(connection) => Some(connection.elsewhere()),
            Self::File(_) => None,
        };
        async {
            match elsewhere {
                Some(elsewhere) => elsewhere.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Writes the key with its history, the record of its rollout and the lease, in one step: all that is asked for, or
    /// nothing where something is not as it must be.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`]. After [`StoreError::Unknown`] it may be asked for again: where it was done after all, the record
    /// is [`Written::Stale`], and already what it was to become.
    pub async fn write(&mut self, key: &str, write: &Write) -> Result<Written, StoreError> {
        let lease = write.lease.lease();
        let lease = lease.map_or(0, |lease| lease.to_json().len());
        let record = write.record.as_ref().map_or(0, |(_, new)| new.len());
        for (name, bytes) in [(lease_key(key), lease), (rollout_key(key), record)] {
            if bytes > LONGEST {
                return Err(StoreError::refused(format!(
                    "`{name}` would have {bytes} bytes, more than {LONGEST}"
                )));
            }
        }
        match self {
            Self::Redis(connection) => connection.write(key, write).await,
            Self::File(folder) => folder.write(key, write).await,
        }
    }

    /// Sets a key if it still holds what was read, and writes the change into the history, in one step.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn set(
        &mut self,
        key: &str,
        expected: &Reading,
        entry: &Entry,
    ) -> Result<Outcome, StoreError> {
        let write = Write {
            change: Some((expected.clone(), entry.clone())),
            ..Write::default()
        };
        match self.write(key, &write).await? {
            Written::Conflict(reading) => Ok(Outcome::Conflict(reading)),
            _ => Ok(Outcome::Set),
        }
    }

    /// Writes a change that came from outside into the history, unless another provider was faster or the key holds
    /// something else by now.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn record(
        &mut self,
        key: &str,
        value: &[u8],
        entry: &Entry,
    ) -> Result<(), StoreError> {
        match self {
            Self::Redis(connection) => connection.record(key, value, entry).await,
            Self::File(folder) => folder.record(key, value, entry).await,
        }
    }

    /// Writes what the guard has refused beside the history: once, however many providers have refused it since the key
    /// says so, and only while it does.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn record_refusal(&mut self, refused: &RefusedChange) -> Result<(), StoreError> {
        match self {
            Self::Redis(connection) => connection.record_refusal(refused).await,
            Self::File(folder) => folder.record_refusal(refused).await,
        }
    }

    /// The newest of what the guard has refused, the newest first: entries that change nothing.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    async fn refusals(&mut self, key: &str) -> Result<Vec<Entry>, StoreError> {
        let (name, most) = (refused_key(key), history::REFUSALS_KEPT);
        match self {
            Self::Redis(connection) => connection.entries(&name, most).await,
            Self::File(folder) => folder.entries(&name, most).await,
        }
    }

    /// The newest changes with what the guard has refused among them, the newest first.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn past(&mut self, key: &str, most: usize) -> Result<Vec<Entry>, StoreError> {
        let changes = self.history(key, most).await?;
        let mut past = history::merged(changes, self.refusals(key).await?);
        past.truncate(most);
        Ok(past)
    }

    /// The newest changes, the newest first.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn history(&mut self, key: &str, most: usize) -> Result<Vec<Entry>, StoreError> {
        let name = history_key(key);
        match self {
            Self::Redis(connection) => connection.entries(&name, most).await,
            Self::File(folder) => folder.entries(&name, most).await,
        }
    }

    /// Writes a provider's reports, each beside the key of its stack, and the list of its instances with each where it
    /// is given; gives whether the lists are there now. Where one can't be written, the others are.
    ///
    /// # Errors
    ///
    /// The first [`StoreError`].
    pub async fn report(
        &mut self,
        reports: &[(String, Report)],
        instances: Option<&[Instance]>,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Redis(connection) => connection.report(reports, instances).await,
            Self::File(folder) => folder.report(reports, instances).await,
        }
    }

    /// Takes the lease of a key, or makes it last longer where this is its holder; gives who else holds it.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn take_lease(
        &mut self,
        key: &str,
        lease: &Lease,
    ) -> Result<Option<Lease>, StoreError> {
        self.lease(key, lease, false).await
    }

    /// Gives a lease back, where this is still its holder.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn release_lease(&mut self, key: &str, lease: &Lease) -> Result<(), StoreError> {
        self.lease(key, lease, true).await.map(drop)
    }

    /// Takes or gives back a lease; gives who else holds it.
    async fn lease(
        &mut self,
        key: &str,
        lease: &Lease,
        release: bool,
    ) -> Result<Option<Lease>, StoreError> {
        let write = Write {
            lease: Holder::Held(lease.clone()),
            release,
            ..Write::default()
        };
        match self.write(key, &write).await? {
            Written::Held(other) => Ok(Some(other)),
            _ => Ok(None),
        }
    }

    /// What is known of the rollout of each key, and has [`changed`](Self::changed) tell of the next change of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`].
    pub async fn rollouts(
        &mut self,
        keys: &[String],
    ) -> Result<BTreeMap<String, Result<Kept, Unreadable>>, StoreError> {
        match self {
            Self::Redis(connection) => connection.rollouts(keys).await,
            Self::File(folder) => folder.rollouts(keys).await,
        }
    }

    /// What is known of the rollout of one key, as [`rollouts`](Self::rollouts).
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`].
    pub async fn rollout_of(&mut self, key: &str) -> Result<Result<Kept, Unreadable>, StoreError> {
        let mut rollouts = self.rollouts(&[key.to_owned()]).await?;
        let nothing = || StoreError::Unreachable(format!("it says nothing about `{key}`"));
        rollouts.remove(key).ok_or_else(nothing)
    }

    /// The reports of all providers, and has [`changed`](Self::changed) tell of the next one.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn reports(&mut self, key: &str) -> Result<Vec<Aged>, StoreError> {
        match self {
            Self::Redis(connection) => connection.reports(key).await,
            Self::File(folder) => folder.reports(key).await,
        }
    }
}
