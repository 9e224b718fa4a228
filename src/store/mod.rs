//! The store: where the key, the history and the registry are.
//!
//! - [`address`]: which one, as `--store` gives it;
//! - [`redis`]: Redis, over TCP, TLS, a unix socket, or found through Sentinel;
//! - [`mod@file`]: a folder, for one host without Redis;
//! - [`mod@write`]: what is written in one step;
//! - [`follow`]: one connection after the other, for ever, that tells what the keys say.

pub mod address;
pub mod file;
pub mod follow;
pub mod redis;
mod scripts;
pub mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;

use crate::color::Color;
use crate::history::{self, Entry, Recorded, RefusedChange};
use crate::lease::Lease;
use crate::registry::{Aged, Instance, Peer, Report};
use crate::traffic::Traffic;
use write::{Holder, Write, Written};

/// Which store, as `--store` gives it.
#[derive(Clone)]
pub enum Store {
    /// Redis.
    Redis(address::Address),
    /// A folder with one file a key.
    File(PathBuf),
}

/// Why a text names no store. Without any of the text, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum InvalidStore {
    /// It begins with no scheme that is known.
    #[error(
        "this is not a store: give `redis://HOST:PORT`, `rediss://…`, `redis+sentinel://HOST:PORT/NAME`, `unix:///PATH` or `file:DIR`"
    )]
    Scheme,
    /// It can't be told where user and password end.
    #[error(
        "the store's URL has characters in a user or a password that must be percent-encoded: write `/` as %2F, `?` as %3F, `#` as %23, `@` as %40, `%` as %25, a control character such as a tab as %09"
    )]
    NotEncoded,
    /// The rest of a Redis URL is wrong.
    #[error("the store's URL is wrong: {0}")]
    Url(&'static str),
    /// `file:` without a folder.
    #[error("`file:` needs a folder, as in `file:/var/lib/bluegreen/store`")]
    NoFolder,
}

impl FromStr for Store {
    type Err = InvalidStore;

    fn from_str(text: &str) -> Result<Self, InvalidStore> {
        if let Some(dir) = text.strip_prefix("file:") {
            let dir = dir.strip_prefix("//").unwrap_or(dir);
            if dir.is_empty() {
                return Err(InvalidStore::NoFolder);
            }
            return Ok(Self::File(dir.into()));
        }
        address::Address::parse(text).map(Self::Redis)
    }
}

/// Without user and password.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(address) => address.fmt(f),
            Self::File(dir) => write!(f, "file:{}", dir.display()),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// There is no such key.
    Missing,
    /// A string.
    Value(Vec<u8>),
    /// Something that is no string, in words.
    WrongType(String),
    /// More bytes than any traffic value has; they were not read.
    TooLong(u64),
}

/// Why something can't be read. What it holds is not known, which is not the same as nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// What a key holds, and what is known beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// What the key holds.
    pub reading: Reading,
    /// The newest change in its history; none where that is known to be empty.
    pub newest: Result<Option<Recorded>, Unreadable>,
    /// What [`Session::peers`] gives; none where nobody has asked.
    pub peers: Option<Result<Vec<Peer>, Unreadable>>,
    /// When it was read, by the store's clock.
    pub at: Timestamp,
}

impl KeyState {
    /// The traffic that the key tells a stack with these colors. Where the stack is guarded, that is one that the history
    /// names as well: another may not be followed yet.
    pub fn tells(&self, colors: &[Color], guarded: bool) -> Option<Traffic> {
        let Reading::Value(value) = &self.reading else {
            return None;
        };
        let told = Traffic::parse(value, colors).ok()?;
        (!guarded || self.recorded(&told, colors).is_some()).then_some(told)
    }

    /// The newest change in the history, where it is one to this traffic of a stack with these colors.
    pub fn recorded(&self, traffic: &Traffic, colors: &[Color]) -> Option<&Recorded> {
        let newest = self.newest.as_ref().ok()?.as_ref()?;
        let to = Traffic::parse(newest.entry.to.as_bytes(), colors);
        (to.as_ref() == Ok(traffic)).then_some(newest)
    }
}

/// What is known of the rollout of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its record, or that of the last one, as it was written; none where there is none.
    pub record: Option<Vec<u8>>,
    /// Who holds the lease now. One that never runs out is nobody's.
    pub lease: Option<Lease>,
    /// When it was read, by the store's clock.
    pub at: Timestamp,
}

/// What may have changed in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// What is kept under these names.
    Names(BTreeSet<String>),
    /// Anything.
    Anything,
}

impl Changed {
    /// Whether what a key holds, or what is beside it, may have changed.
    pub fn concerns(&self, key: &str) -> bool {
        match self {
            Self::Names(names) => {
                names.contains(key)
                    || names.contains(&history_key(key))
                    || names.contains(&registry_key(key))
            }
            Self::Anything => true,
        }
    }

    /// Whether the record of a key's rollout, or its lease, may have changed.
    pub fn concerns_rollout(&self, key: &str) -> bool {
        match self {
            Self::Names(names) => {
                names.contains(&rollout_key(key)) || names.contains(&lease_key(key))
            }
            Self::Anything => true,
        }
    }
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be reached, or serves nobody now: nothing was written.
    #[error("{0}")]
    Unreachable(String),
    /// It was asked to write and did not answer: the write may have been done, or be done later.
    #[error("{0}; whether the change was made is not known")]
    Unknown(String),
    /// It answered that it won't: nothing was written.
    #[error("{0}")]
    Refused(Refusal),
}

impl StoreError {
    /// A refusal that does not pass by itself.
    fn refused(reason: impl fmt::Display) -> Self {
        Self::Refused(Refusal {
            reason: reason.to_string(),
            may_pass: false,
        })
    }
}

/// Why the store refuses what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The store's own words.
    pub reason: String,
    /// Whether it may end without anybody's doing, such as a full memory or a failover: worth another try, over a new
    /// connection.
    pub may_pass: bool,
}

/// The outcome of setting a key only if it is still what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was, and has been set.
    Set,
    /// It was something else by then, and still is.
    Conflict(Reading),
}

/// The name of the history beside a key: in the key's slot on a Redis Cluster.
pub fn history_key(key: &str) -> String {
    beside(key, "history")
}

/// The name of what the guard has refused, beside a key.
pub fn refused_key(key: &str) -> String {
    beside(key, "refused")
}

/// The name of the registry of providers and instances beside a key.
pub fn registry_key(key: &str) -> String {
    beside(key, "instances")
}

/// The name of the lease beside a key, which a `flip` holds while it is at it.
pub fn lease_key(key: &str) -> String {
    beside(key, "lease")
}

/// The name of the record of the rollout beside a key.
pub fn rollout_key(key: &str) -> String {
    beside(key, "rollout")
}

/// A key that has a hash tag of its own keeps it; else the whole key becomes the tag (Redis Cluster specification,
/// "Hash tags": the first `{`, and the first `}` after it, with something between).
fn beside(key: &str, suffix: &str) -> String {
    let tagged = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .is_some_and(|(tag, _)| !tag.is_empty());
    if tagged {
        format!("{key}:{suffix}")
    } else {
        format!("{{{key}}}:{suffix}")
    }
}

/// Why a record is not read.
fn no_record(key: &str, why: impl fmt::Display) -> Unreadable {
    let name = rollout_key(key);
    Unreadable(format!(
        "`{name}` is no record of a rollout: {why}; the next rollout replaces it"
    ))
}

/// Why a history is not read.
fn too_much_history(name: &str, bytes: u64) -> String {
    format!(
        "`{name}` has {bytes} bytes: no history is that large; delete what does not belong there, or the whole"
    )
}

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

    /// What the providers that run serve of each key's stack, this one among them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`].
    pub async fn peers(
        &mut self,
        keys: &[String],
    ) -> Result<BTreeMap<String, Result<Vec<Peer>, Unreadable>>, StoreError> {
        let peers = match self {
            Self::Redis(connection) => connection.peers(keys).await?,
            Self::File(folder) => folder.peers(keys).await?,
        };
        let peers = keys.iter().zip(peers).map(|(key, peers)| {
            let peers = match peers {
                Ok(peers) => Ok(peers),
                Err(StoreError::Refused(why)) => Err(Unreadable(why.reason)),
                Err(error) => return Err(error),
            };
            Ok((key.clone(), peers))
        });
        peers.collect()
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
            if bytes > write::LONGEST {
                let most = write::LONGEST;
                return Err(StoreError::refused(format!(
                    "`{name}` would have {bytes} bytes, more than {most}"
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::address::Address;
    use super::*;

    #[test]
    fn what_is_beside_a_key_shares_its_slot() {
        assert_eq!(history_key("active"), "{active}:history");
        assert_eq!(registry_key("{deals}:active"), "{deals}:active:instances");
        assert_eq!(history_key("a{}b"), "{a{}b}:history");
        assert_eq!(rollout_key("active"), "{active}:rollout");
    }

    #[test]
    fn a_store_is_shown_without_its_password() {
        let store: Store = "redis://operator:secret@127.0.0.1:6380/2".parse().unwrap();
        assert_eq!(store.to_string(), "redis://127.0.0.1:6380/2");
        let store: Store = "rediss://operator:s@cret,@a,b:7001/3".parse().unwrap();
        assert_eq!(store.to_string(), "rediss://a:6379,b:7001/3");
        for text in [
            "",
            "redis",
            "http://x",
            "file:",
            "redis+sentinel://h:1",
            "redis://h:notaport",
            "redis://",
            "redis://h:1:2",
            "redis://::1",
            "redis://[::1",
            "redis://[::1]x:1",
            "redis://h/two",
            "redis+sentinel:///name",
            "redis+sentinel://h:1/name/two",
            "redis+sentinel://h/name?sentinel_tls=maybe",
            "redis+sentinel://h/name?sentinel_pasword=x",
            "unix://h/path",
            "redis://:p?x@h:1",
            "redis://:p@ss#w/rd@h:1",
            "redis+sentinel://h/name?sentinel_password=a@b",
            "redis+sentinel://h/name?sentinel_password=a#b",
            "unix:///path?pass=a#b",
        ] {
            assert!(text.parse::<Store>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_store_is_shown_as_it_is_given() {
        for text in [
            "redis://[::1]:1",
            "redis://[::1]:1,[2001:db8::7]:2/3",
            "rediss://h:1",
            "redis+sentinel://[::1]:26379,h:1/name",
            "rediss+sentinel://h:26379/name/2",
            "unix:///a@b.sock",
            "file:/var/lib/store",
        ] {
            let store: Store = text.parse().unwrap();
            assert_eq!(store.to_string(), text);
        }
    }

    /// A password of several pieces, with whatever between them.
    fn password() -> impl Strategy<Value = (String, Vec<String>)> {
        let piece = "[QXZJ]{4,9}";
        let between = prop_oneof![
            "[/?#@:%&=+,;\\[\\]\\\\ .\t\n]{1,3}",
            any::<char>().prop_map(String::from)
        ];
        vec((piece, between), 1..4).prop_map(|parts| {
            let whole = parts.iter().map(|(piece, more)| format!("{piece}{more}"));
            let pieces = parts.iter().map(|(piece, _)| piece.clone());
            (whole.collect(), pieces.collect())
        })
    }

    proptest! {
        #[test]
        fn no_piece_of_a_password_is_ever_shown((password, pieces) in password()) {
            let encoded: String = url::form_urlencoded::byte_serialize(password.as_bytes()).collect();
            let encoded = encoded.replace('+', "%20");
            for text in [
                format!("redis://:{password}@h:1"),
                format!("redis://{password}:x@h:1"),
                format!("rediss://{password}@a,b/2"),
                format!("redis+sentinel://u:{password}@h:1/name"),
                format!("redis+sentinel://h:1/name?sentinel_password={password}"),
                format!("unix:///path?pass={password}"),
                format!("{password}://h"),
                format!("{password}:{password}@h"),
                format!("http://:{password}@h"),
                format!("redis:/:{password}@h"),
                format!("redis://user:{encoded}@h:1"),
                format!("redis+sentinel://:{encoded}@h/name?sentinel_password={encoded}"),
            ] {
                let shown = match text.parse::<Store>() {
                    Ok(store) => format!("{store} {store:?}"),
                    Err(error) => format!("{error} {error:?}"),
                };
                for piece in &pieces {
                    prop_assert!(!shown.contains(piece), "{text:?} is shown as {shown:?}");
                }
            }
        }

        #[test]
        fn a_password_that_is_encoded_is_read_as_it_is((password, _) in password()) {
            let encoded: String = url::form_urlencoded::byte_serialize(password.as_bytes()).collect();
            let encoded = encoded.replace('+', "%20");
            let url = format!("redis+sentinel://:{encoded}@h/name?sentinel_password={encoded}");
            let Store::Redis(Address::Sentinel { login, sentinel_login, .. }) = url.parse().unwrap() else {
                panic!("{url}");
            };
            prop_assert_eq!(login.password(), Some(&*password));
            prop_assert_eq!(sentinel_login.password(), Some(&*password));
        }
    }
}
