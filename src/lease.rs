//! The lease: who is changing a stack's traffic, so that two operators don't do it at once.
//!
//! It is a courtesy, not a lock: a change is made only if the key is still what it was, lease or none. It lasts for a
//! few seconds and is made to last longer while its holder lives, so a holder that was killed blocks nobody for long.

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
            by,
            pid: std::process::id(),
            what,
            since: Some(Timestamp::now()),
        }
    }

    /// As it is in Redis.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it is in Redis; what another version wrote in another form is still somebody's.
    pub(crate) fn of_json(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap_or_else(|_| Self {
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
