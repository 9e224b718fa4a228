//! What is done with the files. All of it may wait for a disk.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::history::{self, Entry, MOST_BYTES, OutsideChange, Recorded, RefusedChange};
use crate::last_good::write_atomically_as;
use crate::registry::{Aged, Instance, Report, Told};
use crate::store::{
    KeyState, Reading, Refusal, StoreError, Unreadable, history_key, refused_key, registry_key,
    too_much_history,
};
use crate::traffic::{MAX_LENGTH, is_same};

/// The file whose lock serializes the writers.
pub(super) const LOCK: &str = ".lock";

/// A report that is older goes at the next write of any provider.
const FORGET_AFTER_MS: u128 = 3_600_000;

/// A folder, by its name and as what was found there.
pub(super) struct Disk {
    pub(super) dir: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

/// A report and the list of its provider's instances, with the time at which the report was written, in milliseconds
/// since the epoch.
#[derive(Serialize, Deserialize)]
struct Stamped {
    at: u128,
    report: Report,
    instances: Vec<Instance>,
}

impl Stamped {
    /// How long ago it was written. As in Redis, a time to come tells that the clock was set back.
    fn age(&self) -> Duration {
        let millis = u64::try_from(now_ms().abs_diff(self.at)).unwrap_or(u64::MAX);
        Duration::from_millis(millis)
    }
}

/// What the guard has refused, as a line of its file.
#[derive(Serialize, Deserialize)]
struct Refused {
    refused: String,
    #[serde(flatten)]
    entry: Entry,
}

impl Disk {
    /// The folder, which is made where it does not exist.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let metadata = fs::metadata(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            id: (metadata.dev(), metadata.ino()),
        })
    }

    pub(super) fn read(&self, keys: &[String]) -> Result<BTreeMap<String, KeyState>, StoreError> {
        self.is_there()?;
        let mut states = BTreeMap::new();
        for key in keys {
            let newest = self.entries(&history_key(key), 1);
            let newest = newest.map(|entries| entries.into_iter().next());
            let recorded = |entry: Entry| Recorded {
                at: entry.at,
                entry,
            };
            let state = KeyState {
                reading: self.reading(key)?,
                newest: match newest {
                    Ok(newest) => Ok(newest.map(recorded)),
                    Err(error) => Err(Unreadable(error.to_string())),
                },
                peers: None,
                dead: None,
                at: Timestamp::now(),
            };
            states.insert(key.clone(), state);
        }
        Ok(states)
    }

    /// Whether this is still the folder that is watched.
    pub(super) fn is_there(&self) -> Result<(), StoreError> {
        // A folder that vanished holds no keys, but says nothing about them either.
        let metadata = fs::metadata(&self.dir).map_err(|error| self.unreachable(&error))?;
        // Another folder in its place can be read, but of its changes nobody would tell.
        if (metadata.dev(), metadata.ino()) != self.id {
            return Err(self.unreachable(&"the folder was replaced"));
        }
        Ok(())
    }

    pub(super) fn record(&self, key: &str, value: &[u8], entry: &Entry) -> Result<(), StoreError> {
        if self.reading(key)? != Reading::Value(value.to_owned()) {
            return Ok(());
        }
        let mut entry = entry.clone();
        let name = history_key(key);
        if let Some(newest) = self.entries(&name, 1)?.into_iter().next() {
            if is_same(&newest.to, &entry.to) {
                return Ok(());
            }
            entry.from = newest.to;
        }
        self.append(&name, history::KEPT, &entry)
    }

    pub(super) fn record_refusal(&self, refused: &RefusedChange) -> Result<(), StoreError> {
        let since = refused.told_since();
        let OutsideChange { key, value, entry } = &refused.change;
        if self.reading(key)? != Reading::Value(value.clone()) {
            return Ok(());
        }
        let name = refused_key(key);
        let told = self.text(&name)?;
        let told = told
            .lines()
            .next_back()
            .map(serde_json::from_str::<Refused>);
        let is_told = |told: Refused| told.refused == refused.refused && told.entry.at >= since;
        if told.and_then(Result::ok).is_some_and(is_told) {
            return Ok(());
        }
        let refusal = Refused {
            refused: refused.refused.clone(),
            entry: entry.clone(),
        };
        self.append(&name, history::REFUSALS_KEPT, &refusal)
    }

    pub(super) fn entries(&self, name: &str, most: usize) -> Result<Vec<Entry>, StoreError> {
        let text = self.text(name)?;
        let lines = text.lines().rev().filter(|line| !line.is_empty());
        Ok(lines.take(most).map(entry).collect())
    }

    pub(super) fn report(
        &self,
        reports: &[(String, Report)],
        instances: Option<&[Instance]>,
    ) -> Result<bool, StoreError> {
        let mut listed = true;
        for (key, report) in reports {
            // Reports that an older or newer provider wrote in another form are none for us.
            let mut all = self.stamped(key)?.unwrap_or_default();
            let of_this = |stamped: &Stamped| stamped.report.provider == report.provider;
            let before = all.iter().position(of_this).map(|i| all.swap_remove(i));
            all.retain(|other| other.age().as_millis() < FORGET_AFTER_MS);
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
                at: now_ms(),
                report: report.clone(),
                instances,
            });
            self.put_json(&registry_key(key), &all)?;
        }
        Ok(listed)
    }

    pub(super) fn reports(&self, key: &str) -> Result<Vec<Aged>, StoreError> {
        let stamped = self.stamped(key)?.unwrap_or_default();
        let aged = stamped.into_iter().map(|stamped| {
            let age = stamped.age();
            Aged::new(stamped.report, age, stamped.instances)
        });
        Ok(aged.collect())
    }

    pub(super) fn told(&self, key: &str) -> Result<Told, StoreError> {
        let all = self.stamped(key)?.map_err(|error| {
            let path = self.path(&registry_key(key));
            StoreError::refused(format!("{} holds no reports: {error}", path.display()))
        })?;
        let reports = all.into_iter().map(|stamped| {
            let age = stamped.age();
            (stamped.report, age)
        });
        Ok(Told::of(reports.collect()))
    }

    /// The lock, unless somebody else has it. It is there until the file is dropped.
    pub(super) fn try_lock(&self) -> Result<Option<File>, StoreError> {
        let path = self.dir.join(LOCK);
        // To read is enough, whoever has made it.
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut options = OpenOptions::new();
                let made = options.write(true).create(true).truncate(false).open(&path);
                made.and_then(|file| self.hand_over(&file).map(|()| file))
            }
            opened => opened,
        };
        let file = file.map_err(|error| self.unreachable(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(self.unreachable(&error)),
        }
    }

    pub(super) fn unreachable(&self, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::Unreachable(format!("{}: {error}", self.dir.display()))
    }

    fn stamped(&self, key: &str) -> Result<serde_json::Result<Vec<Stamped>>, StoreError> {
        match fs::read(self.path(&registry_key(key))) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Ok(Vec::new())),
            Err(error) => Err(self.failed(&error)),
        }
    }

    pub(super) fn reading(&self, key: &str) -> Result<Reading, StoreError> {
        let path = self.path(key);
        let read = || -> io::Result<Reading> {
            let metadata = fs::metadata(&path)?;
            if metadata.is_dir() {
                return Ok(Reading::WrongType("the key's file is a folder".to_owned()));
            }
            // Nobody may ever write into a pipe.
            if !metadata.is_file() {
                let what = "the key's file is no regular one";
                return Ok(Reading::WrongType(what.to_owned()));
            }
            if metadata.len() > MAX_LENGTH as u64 {
                return Ok(Reading::TooLong(metadata.len()));
            }
            let mut value = Vec::new();
            let file = File::open(&path)?;
            file.take(MAX_LENGTH as u64 + 1).read_to_end(&mut value)?;
            Ok(match value.len() {
                length if length > MAX_LENGTH => Reading::TooLong(length as u64),
                _ => Reading::Value(value),
            })
        };
        match read() {
            Ok(reading) => Ok(reading),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Reading::Missing),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    /// The lines of a history; text that is none is made some.
    fn text(&self, name: &str) -> Result<String, StoreError> {
        let path = self.path(name);
        let read = || match fs::metadata(&path)?.len() {
            bytes @ MOST_BYTES.. => Err(io::Error::other(too_much_history(name, bytes))),
            _ => fs::read(&path),
        };
        match read() {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    pub(super) fn append(
        &self,
        name: &str,
        most: usize,
        entry: &impl Serialize,
    ) -> Result<(), StoreError> {
        let before = self.text(name)?;
        let lines: Vec<_> = before.lines().filter(|line| !line.is_empty()).collect();
        let kept = &lines[lines.len().saturating_sub(most - 1)..];
        let json = serde_json::to_string(entry).map_err(StoreError::refused)?;
        let lines = kept.iter().copied().chain([&*json]);
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        let written = self.put(name, text.as_bytes());
        written.map_err(|error| self.failed(&error))
    }

    pub(super) fn put_json(&self, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
        let json = serde_json::to_vec(value).map_err(StoreError::refused)?;
        self.put(name, &json).map_err(|error| self.failed(&error))
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.put_at(&self.path(name), bytes)
    }

    pub(super) fn put_at(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        write_atomically_as(path, bytes, |file| self.hand_over(file))
    }

    /// Gives a new file to whom the folder belongs, for those to read and write who may read and write the folder: what
    /// root leaves behind is for the service too.
    fn hand_over(&self, file: &File) -> io::Result<()> {
        let (folder, own) = (fs::metadata(&self.dir)?, file.metadata()?);
        let (user, group) = (folder.uid(), folder.gid());
        if (own.uid(), own.gid()) != (user, group) {
            // Only root can give a file away; others can let their group have it.
            let given = fchown(file, Some(user), Some(group));
            given.or_else(|_| fchown(file, None, Some(group))).ok();
        }
        // In a folder with a sticky bit nobody can replace another's file, so nobody may write into it either.
        let sticky = folder.mode() & 0o1000 != 0;
        let mask = if sticky { 0o644 } else { 0o666 };
        file.set_permissions(Permissions::from_mode(folder.mode() & mask | 0o600))
    }

    /// A key's file. A `/` in a key would lead out of the folder, a leading `.` hide it.
    pub(super) fn path(&self, key: &str) -> PathBuf {
        let name = key.replace('%', "%25").replace('/', "%2F");
        match name.strip_prefix('.') {
            Some(rest) => self.dir.join(format!("%2E{rest}")),
            None => self.dir.join(name),
        }
    }

    /// What the system says instead of doing it: nothing was written.
    pub(super) fn failed(&self, error: &io::Error) -> StoreError {
        if error.kind() == ErrorKind::NotFound {
            return self.unreachable(error);
        }
        StoreError::Refused(Refusal {
            reason: format!("{}: {error}", self.dir.display()),
            may_pass: matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            ),
        })
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

pub(super) fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis()
}
