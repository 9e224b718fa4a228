//! The store: where the key, the history and the registry are.
//!
//! - [`address`]: which one, as `--store` gives it;
//! - [`redis`]: Redis, over TCP, TLS, a unix socket, or found through Sentinel;
//! - [`mod@file`]: a folder, for one host without Redis;
//! - [`Session`]: one connection to it, and all that is asked of it; [`mod@write`]: what is written in one step;
//! - [`follow`]: one connection after the other, for ever, that tells what the keys say.

pub mod address;
mod beside;
pub mod file;
pub mod follow;
pub mod redis;
mod scripts;
mod session;
pub mod write;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;

use crate::color::Color;
use crate::history::Recorded;
use crate::lease::Lease;
use crate::registry::{Agreed, Peer};
use crate::traffic::Traffic;

pub use beside::{history_key, lease_key, refused_key, registry_key, rollout_key, written};
pub use session::Session;

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

impl Store {
    /// Its URL for another process on this host; none where that has a secret in it.
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Redis(address) => address.url(),
            Self::File(dir) => {
                let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
                Some(format!("file:{}", dir.display()))
            }
        }
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
    /// What [`Session::told`] gives of other providers; none where nobody has asked.
    pub peers: Option<Result<Vec<Peer>, Unreadable>>,
    /// What the providers say of dead servers; none where nobody has asked, or none says anything.
    pub dead: Option<Agreed>,
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

    /// Whether what the providers report of a key's stack may have changed.
    pub fn concerns_reports(&self, key: &str) -> bool {
        match self {
            Self::Names(names) => names.contains(&registry_key(key)),
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::address::Address;
    use super::*;

    /// What another process is told leads it to the same store.
    #[test]
    fn a_store_with_a_secret_in_its_url_is_told_to_nobody() {
        let url = |text: &str| text.parse::<Store>().unwrap().url();
        for told in [
            "redis://127.0.0.1:6380/2",
            "rediss://a:6379,b:7001/3",
            "unix:///run/redis.sock",
            "redis+sentinel://a:26379,b:26380/primary",
            "file:/var/lib/store",
        ] {
            assert_eq!(url(told).as_deref(), Some(told));
        }
        for secret in [
            "redis://operator:secret@h",
            "redis://:secret@h",
            "redis://operator@h",
            "unix:///run/redis.sock?pass=secret",
            "redis+sentinel://:secret@h/primary",
            "redis+sentinel://h/primary?sentinel_password=secret",
        ] {
            assert_eq!(url(secret), None, "{secret}");
        }
        let here = std::env::current_dir().unwrap();
        let told = format!("file:{}/store", here.display());
        assert_eq!(url("file:store"), Some(told));
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
