//! The store in a folder: one file a key, so that `echo green > DIR/active` switches.
//!
//! For one host without Redis. The history is a file of JSON lines, the registry one of JSON. Every write of this
//! program replaces a file as a whole, under a lock on the folder. Whatever may wait for a disk does so off the threads
//! of the runtime, and for a bounded time.

mod disk;
mod kept;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use disk::{Disk, LOCK};

use super::write::{Write, Written};
use super::{Changed, Kept, KeyState, StoreError, Unreadable};
use crate::history::{Entry, RefusedChange};
use crate::registry::{Aged, Instance, Report, Told};

/// How long the disk may take.
const DISK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long others may keep the lock: each needs it for some milliseconds, unless it was stopped meanwhile.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How often the lock is tried; the kernel tells nobody that it is free.
const LOCK_AGAIN: Duration = Duration::from_millis(2);

/// A folder that is watched.
pub struct Folder {
    disk: Arc<Disk>,
    changes: mpsc::UnboundedReceiver<()>,
    /// Watches as long as it lives.
    _watcher: RecommendedWatcher,
}

impl Folder {
    /// Watches the folder, which is made where it does not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`] where it can't be made or watched.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        let there = dir.to_owned();
        let opened = off_thread(move || Self::watch(&there)).await;
        let opened = opened.unwrap_or_else(|| Err("the disk does not answer".to_owned()));
        opened.map_err(|error| StoreError::Unreachable(format!("{}: {error}", dir.display())))
    }

    fn watch(dir: &Path) -> Result<Self, String> {
        let disk = Disk::open(dir).map_err(|error| error.to_string())?;
        let (sender, changes) = mpsc::unbounded_channel();
        let on_event = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                // Nobody listens any more only when the folder is being closed.
                sender.send(()).ok();
            }
        };
        let watched = notify::recommended_watcher(on_event).and_then(|mut watcher| {
            watcher.watch(dir, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        Ok(Self {
            disk: Arc::new(disk),
            changes,
            _watcher: watched.map_err(|error| error.to_string())?,
        })
    }

    /// See [`super::Session::read`].
    pub(super) async fn read(
        &self,
        keys: &[String],
    ) -> Result<BTreeMap<String, KeyState>, StoreError> {
        let keys = keys.to_owned();
        self.look(move |disk| disk.read(&keys)).await
    }

    /// See [`super::Session::changed`].
    pub(super) async fn changed(&mut self) -> Result<Changed, StoreError> {
        let closed = || self.disk.unreachable(&"it is no longer watched");
        self.changes.recv().await.ok_or_else(closed)?;
        while self.changes.try_recv().is_ok() {}
        Ok(Changed::Anything)
    }

    /// See [`super::Session::write`].
    pub(super) async fn write(&self, key: &str, write: &Write) -> Result<Written, StoreError> {
        let (key, write) = (key.to_owned(), write.clone());
        self.locked(move |disk| disk.write(&key, &write)).await
    }

    /// See [`super::Session::rollouts`].
    pub(super) async fn rollouts(
        &self,
        keys: &[String],
    ) -> Result<BTreeMap<String, Result<Kept, Unreadable>>, StoreError> {
        let keys = keys.to_owned();
        self.look(move |disk| disk.rollouts(&keys)).await
    }

    /// See [`super::Session::record`].
    pub(super) async fn record(
        &self,
        key: &str,
        value: &[u8],
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let (key, value, entry) = (key.to_owned(), value.to_owned(), entry.clone());
        self.locked(move |disk| disk.record(&key, &value, &entry))
            .await
    }

    /// See [`super::Session::record_refusal`].
    pub(super) async fn record_refusal(&self, refused: &RefusedChange) -> Result<(), StoreError> {
        let refused = refused.clone();
        self.locked(move |disk| disk.record_refusal(&refused)).await
    }

    /// The newest entries of a file that has the form of a history, the newest first.
    pub(super) async fn entries(&self, name: &str, most: usize) -> Result<Vec<Entry>, StoreError> {
        let name = name.to_owned();
        self.look(move |disk| disk.entries(&name, most)).await
    }

    /// See [`super::Session::report`].
    pub(super) async fn report(
        &self,
        reports: &[(String, Report)],
        instances: Option<&[Instance]>,
    ) -> Result<bool, StoreError> {
        let (reports, instances) = (reports.to_owned(), instances.map(<[_]>::to_owned));
        self.locked(move |disk| disk.report(&reports, instances.as_deref()))
            .await
    }

    /// See [`super::Session::reports`].
    pub(super) async fn reports(&self, key: &str) -> Result<Vec<Aged>, StoreError> {
        let key = key.to_owned();
        self.look(move |disk| disk.reports(&key)).await
    }

    /// See [`super::Session::told`].
    pub(super) async fn told(
        &self,
        keys: &[String],
    ) -> Result<Vec<Result<Told, StoreError>>, StoreError> {
        let keys = keys.to_owned();
        self.look(move |disk| Ok(keys.iter().map(|key| disk.told(key)).collect()))
            .await
    }

    /// Has something looked at, which changes nothing.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let disk = Arc::clone(&self.disk);
        let done = off_thread(move || work(&disk)).await;
        done.unwrap_or_else(|| Err(self.disk.unreachable(&"the disk does not answer")))
    }

    /// Has something written, under the lock, which is kept for as long as that takes.
    async fn locked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let lock = self.lock().await?;
        let disk = Arc::clone(&self.disk);
        let done = off_thread(move || {
            let _lock = lock;
            work(&disk)
        });
        let dir = self.disk.dir.display();
        let late = || StoreError::Unknown(format!("{dir}: the disk does not answer"));
        done.await.unwrap_or_else(|| Err(late()))
    }

    async fn lock(&self) -> Result<File, StoreError> {
        let until = Instant::now() + LOCK_TIMEOUT;
        loop {
            if let Some(lock) = self.look(Disk::try_lock).await? {
                return Ok(lock);
            }
            if Instant::now() >= until {
                let why = format!("another process has kept {LOCK} locked for {LOCK_TIMEOUT:?}");
                return Err(self.disk.unreachable(&why));
            }
            tokio::time::sleep(LOCK_AGAIN).await;
        }
    }
}

/// Does what may wait for the disk; gives nothing where that takes too long. It goes on all the same then.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = tokio::task::spawn_blocking(work);
    tokio::time::timeout(DISK_TIMEOUT, done).await.ok()?.ok()
}

/// Whether a file is complete by this event. While a shell writes one with `>` it is empty for a moment: that is not
/// told, its closing is.
pub(crate) fn is_change(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(notify::event::ModifyKind::Name(_))
            | EventKind::Remove(_)
    )
}
