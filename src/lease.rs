//! The lease: who is changing a stack's traffic, so that no two do it at once.
//!
//! It lasts for a few seconds and is made to last longer while its holder lives, so a holder that was killed blocks nobody
//! for long. And it is a fence: the store looks at the token of its holder in the same step in which it writes. Who slept
//! longer than the lease lasts and wakes up writes nothing any more, as somebody else holds it; and once they are done, as
//! the record of the rollout is no longer what the sleeper has read. Besides, lease or none, the key is set only if it
//! still holds what was read.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// For how long it lasts without being renewed.
pub const LASTS: Duration = Duration::from_secs(5);

/// How often its holder renews it: two of three may fail.
pub const RENEW_EVERY: Duration = Duration::from_millis(1500);

/// Who holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What tells this holder from any other; empty where an older version has written it. It stands first, where the
    /// store finds it.
    #[serde(default)]
    pub token: String,
    /// Who: `user@host`.
    pub by: String,
    /// Their process.
    pub pid: u32,
    /// What they do, such as `flip green`.
    pub what: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

impl Lease {
    /// A lease for this process, by whom and for what.
    pub fn new(by: String, what: String) -> Self {
        Self {
            token: format!("{:016x}", fastrand::u64(..)),
            by,
            pid: std::process::id(),
            what,
            since: Some(Timestamp::now()),
        }
    }

    /// Whether this is the same holder's, whatever else it says.
    pub fn is_same(&self, other: &Self) -> bool {
        !self.token.is_empty() && self.token == other.token
    }

    /// What stands in its JSON, and in that of no other holder's: in a text a quotation mark has a backslash before it.
    pub(crate) fn mark(&self) -> String {
        format!("\"token\":\"{}\"", self.token)
    }

    /// As it is in Redis.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it is in Redis; what another version wrote in another form is still somebody's.
    pub(crate) fn of_json(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap_or_else(|_| Self {
            token: String::new(),
            by: "somebody".to_owned(),
            pid: 0,
            what: "a change".to_owned(),
            since: None,
        })
    }
}

/// `ann@host (flip green, process 4711, since 2026-01-02T03:04:05Z)`
impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            token: _,
            by,
            pid,
            what,
            since,
        } = self;
        write!(f, "{by} ({what}, process {pid}")?;
        if let Some(since) = since {
            write!(f, ", since {since:.0}")?;
        }
        write!(f, ")")
    }
}
