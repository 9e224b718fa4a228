//! The store in a folder: one file a key, so that `echo green > DIR/active` switches.
//!
//! For one host without Redis. The history is a file of JSON lines, the registry one of JSON. Every write of this
//! program replaces a file as a whole, under a lock on the folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    Changed, KeyState, Outcome, Reading, StoreError, Unreadable, history_key, lease_key,
    registry_key,
};
use crate::history::{self, Entry, Recorded};
use crate::last_good::write_atomically;
use crate::lease::{self, Lease};
use crate::registry::{Aged, Instance, Peer, Report};
use crate::traffic::is_same;

/// The file whose lock serializes the writers.
const LOCK: &str = ".lock";

/// A report that is older goes at the next write of any provider.
const FORGET_AFTER_MS: u128 = 3_600_000;

/// A folder that is watched.
pub struct Folder {
    dir: PathBuf,
    /// Device and inode of what is watched.
    id: (u64, u64),
    changes: mpsc::UnboundedReceiver<()>,
    /// Watches as long as it lives.
    _watcher: RecommendedWatcher,
}

/// A report and the list of its provider's instances, with the time at which the report was written, in milliseconds
/// since the epoch.
#[derive(Serialize, Deserialize)]
struct Stamped {
    at: u128,
    report: Report,
    instances: Vec<Instance>,
}

/// A lease with the time until which it lasts, in milliseconds since the epoch.
#[derive(Serialize, Deserialize)]
struct Lasting {
    until: u128,
    lease: Lease,
}

impl Folder {
    /// Watches the folder, which is made where it does not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`] where it can't be made or watched.
    pub fn open(dir: &std::path::Path) -> Result<Self, StoreError> {
        let unreachable = |error: &dyn std::fmt::Display| {
            StoreError::Unreachable(format!("{}: {error}", dir.display()))
        };
        fs::create_dir_all(dir).map_err(|error| unreachable(&error))?;
        let (sender, changes) = mpsc::unbounded_channel();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if event.is_ok_and(|event| is_change(event.kind)) {
                    // Nobody listens any more only when the folder is being closed.
                    sender.send(()).ok();
                }
            })
            .map_err(|error| unreachable(&error))?;
        watcher
            .watch(dir, RecursiveMode::NonRecursive)
            .map_err(|error| unreachable(&error))?;
        let metadata = fs::metadata(dir).map_err(|error| unreachable(&error))?;
        Ok(Self {
            dir: dir.to_owned(),
            id: (metadata.dev(), metadata.ino()),
            changes,
            _watcher: watcher,
        })
    }

    /// See [`super::Session::read`].
    pub(super) fn read(
        &mut self,
        keys: &[String],
    ) -> Result<BTreeMap<String, KeyState>, StoreError> {
        // A folder that vanished holds no keys, but says nothing about them either.
        let metadata = fs::metadata(&self.dir).map_err(|error| self.unreachable(&error))?;
        // Another folder in its place can be read, but of its changes nobody would tell.
        if (metadata.dev(), metadata.ino()) != self.id {
            return Err(self.unreachable(&"the folder was replaced"));
        }
        let mut states = BTreeMap::new();
        for key in keys {
            let newest = self
                .history(key, 1)
                .map(|entries| entries.into_iter().next());
            let recorded = |entry: Entry| Recorded {
                at: entry.at,
                entry,
            };
            states.insert(
                key.clone(),
                KeyState {
                    reading: self.reading(key)?,
                    newest: match newest {
                        Ok(newest) => Ok(newest.map(recorded)),
                        Err(error) => Err(Unreadable(error.to_string())),
                    },
                    peers: None,
                    at: Timestamp::now(),
                },
            );
        }
        Ok(states)
    }

    /// See [`super::Session::changed`].
    pub(super) async fn changed(&mut self) -> Result<Changed, StoreError> {
        let closed =
            || StoreError::Unreachable(format!("{} is no longer watched", self.dir.display()));
        self.changes.recv().await.ok_or_else(closed)?;
        while self.changes.try_recv().is_ok() {}
        Ok(Changed::Anything)
    }

    /// See [`super::Session::set`].
    pub(super) fn set(
        &mut self,
        key: &str,
        expected: &Reading,
        entry: &Entry,
    ) -> Result<Outcome, StoreError> {
        let _lock = self.lock()?;
        let is = self.reading(key)?;
        let same = match (&is, expected) {
            (Reading::WrongType(_), Reading::WrongType(_)) => true,
            (is, expected) => is == expected,
        };
        if !same {
            return Ok(Outcome::Conflict(is));
        }
        self.append(key, entry)?;
        let value = format!("{}\n", entry.to);
        write_atomically(&self.path(key), value.as_bytes())
            .map_err(|error| self.refused(&error))?;
        Ok(Outcome::Set)
    }

    /// See [`super::Session::record`].
    pub(super) fn record(
        &mut self,
        key: &str,
        value: &[u8],
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        if self.reading(key)? != Reading::Value(value.to_owned()) {
            return Ok(());
        }
        let mut entry = entry.clone();
        if let Some(newest) = self.history(key, 1)?.into_iter().next() {
            if is_same(&newest.to, &entry.to) {
                return Ok(());
            }
            entry.from = newest.to;
        }
        self.append(key, &entry)
    }

    /// See [`super::Session::history`].
    pub(super) fn history(&self, key: &str, most: usize) -> Result<Vec<Entry>, StoreError> {
        let bytes = match fs::read(self.path(&history_key(key))) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.refused(&error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().rev().filter(|line| !line.is_empty());
        Ok(lines.take(most).map(entry).collect())
    }

    /// See [`super::Session::report`].
    pub(super) fn report(
        &mut self,
        reports: &[(String, Report)],
        instances: Option<&[Instance]>,
    ) -> Result<bool, StoreError> {
        let _lock = self.lock()?;
        let now = now_ms();
        let mut listed = true;
        for (key, report) in reports {
            let mut all = self.stamped(key)?;
            let of_this = |stamped: &Stamped| stamped.report.provider == report.provider;
            let before = all.iter().position(of_this).map(|i| all.swap_remove(i));
            all.retain(|other| now.saturating_sub(other.at) < FORGET_AFTER_MS);
            let list = match instances {
                Some(instances) => {
                    let concerned = instances.iter().filter(|i| report.concerns(i));
                    Some(concerned.cloned().collect())
                }
                None => before.map(|before| before.instances),
            };
            let Some(instances) = list else {
                listed = false;
                continue;
            };
            all.push(Stamped {
                at: now,
                report: report.clone(),
                instances,
            });
            let json = serde_json::to_vec(&all).map_err(|error| self.refused(&error))?;
            write_atomically(&self.path(&registry_key(key)), &json)
                .map_err(|error| self.refused(&error))?;
        }
        Ok(listed)
    }

    /// See [`super::Session::take_lease`].
    pub(super) fn take_lease(
        &mut self,
        key: &str,
        lease: &Lease,
    ) -> Result<Option<Lease>, StoreError> {
        let _lock = self.lock()?;
        let now = now_ms();
        if let Some(held) = self.lasting(key)
            && held.until > now
            && held.lease != *lease
        {
            return Ok(Some(held.lease));
        }
        let lasting = Lasting {
            until: now + lease::LASTS.as_millis(),
            lease: lease.clone(),
        };
        let json = serde_json::to_vec(&lasting).map_err(|error| self.refused(&error))?;
        write_atomically(&self.path(&lease_key(key)), &json)
            .map_err(|error| self.refused(&error))?;
        Ok(None)
    }

    /// See [`super::Session::release_lease`].
    pub(super) fn release_lease(&mut self, key: &str, lease: &Lease) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        match self.lasting(key) {
            Some(held) if held.lease == *lease => {
                fs::remove_file(self.path(&lease_key(key))).map_err(|error| self.refused(&error))
            }
            _ => Ok(()),
        }
    }

    /// The lease that is there; one that can't be read is nobody's.
    fn lasting(&self, key: &str) -> Option<Lasting> {
        let bytes = fs::read(self.path(&lease_key(key))).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// See [`super::Session::reports`].
    pub(super) fn reports(&self, key: &str) -> Result<Vec<Aged>, StoreError> {
        let now = now_ms();
        let aged = self.stamped(key)?.into_iter().map(|stamped| {
            let age = u64::try_from(now.saturating_sub(stamped.at)).unwrap_or(u64::MAX);
            Aged::new(
                stamped.report,
                Duration::from_millis(age),
                stamped.instances,
            )
        });
        Ok(aged.collect())
    }

    /// See [`super::Session::peers`].
    pub(super) fn peers(&self, key: &str) -> Result<Vec<Peer>, StoreError> {
        let path = self.path(&registry_key(key));
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.refused(&error)),
        };
        let all: Vec<Stamped> = serde_json::from_slice(&bytes).map_err(|error| {
            StoreError::refused(format!("{} holds no reports: {error}", path.display()))
        })?;
        let now = now_ms();
        let peers = all.into_iter().filter_map(|stamped| {
            let age = u64::try_from(now.saturating_sub(stamped.at)).unwrap_or(u64::MAX);
            Peer::of(stamped.report, Duration::from_millis(age))
        });
        Ok(peers.collect())
    }

    fn stamped(&self, key: &str) -> Result<Vec<Stamped>, StoreError> {
        match fs::read(self.path(&registry_key(key))) {
            // A report that an older or newer provider wrote in another form is none for us.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.refused(&error)),
        }
    }

    fn reading(&self, key: &str) -> Result<Reading, StoreError> {
        match fs::read(self.path(key)) {
            Ok(bytes) => Ok(Reading::Value(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Reading::Missing),
            Err(error) if error.kind() == ErrorKind::IsADirectory => {
                Ok(Reading::WrongType("the key's file is a folder".to_owned()))
            }
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    fn append(&self, key: &str, entry: &Entry) -> Result<(), StoreError> {
        let mut entries = self.history(key, history::KEPT - 1)?;
        entries.reverse();
        entries.push(entry.clone());
        let mut lines = String::new();
        for entry in &entries {
            lines.push_str(&serde_json::to_string(entry).map_err(|error| self.refused(&error))?);
            lines.push('\n');
        }
        write_atomically(&self.path(&history_key(key)), lines.as_bytes())
            .map_err(|error| self.refused(&error))
    }

    /// A key's file. A `/` in a key would lead out of the folder, a leading `.` hide it.
    fn path(&self, key: &str) -> PathBuf {
        let name = key.replace('%', "%25").replace('/', "%2F");
        match name.strip_prefix('.') {
            Some(rest) => self.dir.join(format!("%2E{rest}")),
            None => self.dir.join(name),
        }
    }

    fn lock(&self) -> Result<File, StoreError> {
        let locked = File::create(self.dir.join(LOCK)).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error: io::Error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::Unreachable(format!("{}: {error}", self.dir.display()))
    }

    fn refused(&self, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::refused(format!("{}: {error}", self.dir.display()))
    }
}

/// A line of the history. One that holds no change is shown all the same, with its text for the reason.
fn entry(line: &str) -> Entry {
    serde_json::from_str(line).unwrap_or_else(|_| Entry {
        at: Timestamp::UNIX_EPOCH,
        from: String::new(),
        to: String::new(),
        by: String::new(),
        why: line.to_owned(),
    })
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

fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis()
}
