//! The history: who changed the traffic, when and why.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How many changes the store keeps of each stack.
pub const KEPT: usize = 1000;

/// A history that is larger, in bytes, is not read: what bluegreen writes never comes near it.
pub const MOST_BYTES: u64 = 4 << 20;

/// What stands for the author of a change that came from outside, such as by `redis-cli SET`.
pub const OUTSIDE: &str = "outside";

/// What stands for the author where the guard has refused a change from outside.
pub const GUARD: &str = "guard";

/// How many of what the guard has refused the store keeps of each stack.
pub const REFUSALS_KEPT: usize = 100;

/// What the reason of a change begins with by which a `flip` went back by itself.
pub const WENT_BACK: &str = "went back: ";

/// The longest reason that a change may give, in bytes.
pub const LONGEST_REASON: usize = 1000;

/// One change of a stack's traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The traffic before.
    pub from: String,
    /// The traffic since.
    pub to: String,
    /// Who: `user@host`, or [`OUTSIDE`].
    pub by: String,
    /// Why, in the operator's words; empty where nobody said.
    pub why: String,
}

impl Entry {
    /// Whether a `flip` went back by it by itself.
    pub fn went_back(&self) -> bool {
        self.why.starts_with(WENT_BACK)
    }
}

/// A change as the store has recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When, by the store's clock; [`Entry::at`] is by the clock of whoever made the change.
    pub at: Timestamp,
    /// The change. What was no text in the store is made one, so its traffic may be none.
    pub entry: Entry,
}

/// A change that came from outside, to be written into the history.
#[derive(Clone, Debug)]
pub struct OutsideChange {
    /// The key that was set.
    pub key: String,
    /// What it was set to, as it was read.
    pub value: Vec<u8>,
    /// The history's entry.
    pub entry: Entry,
}

/// A change from outside that the guard has refused, to be written beside the history.
#[derive(Clone, Debug)]
pub struct RefusedChange {
    /// The key, what it was set to, and the entry, which changes nothing.
    pub change: OutsideChange,
    /// The traffic that was refused.
    pub refused: String,
    /// Since when the key has said so, by the store's clock.
    pub since: Timestamp,
}

impl RefusedChange {
    /// What is as old is of this refusal, too: others may have seen the key a little earlier.
    pub fn told_since(&self) -> Timestamp {
        const EARLIER: SignedDuration = SignedDuration::from_secs(1);
        self.since.checked_sub(EARLIER).unwrap_or(self.since)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            from,
            to,
            by,
            why,
        } = self;
        write!(f, "{at:.0}  {from} → {to}  by {by}")?;
        if !why.is_empty() {
            write!(f, ": {why}")?;
        }
        Ok(())
    }
}

/// The changes with what the guard has refused among them, both the newest first and each in its own order: their times
/// are by the clocks of different hosts.
pub fn merged(changes: Vec<Entry>, refusals: Vec<Entry>) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(changes.len() + refusals.len());
    let mut refusals = refusals.into_iter().peekable();
    for change in changes {
        while let Some(refusal) = refusals.next_if(|refusal| refusal.at > change.at) {
            merged.push(refusal);
        }
        merged.push(change);
    }
    merged.extend(refusals);
    merged
}

/// A reason that fits into a history.
///
/// # Errors
///
/// How long it is, where that is too long.
pub fn reason(text: &str) -> Result<String, String> {
    match text.len() {
        ..=LONGEST_REASON => Ok(text.to_owned()),
        bytes => Err(format!("it has {bytes} bytes: at most {LONGEST_REASON}")),
    }
}

/// Who works here, as `user@host`.
pub fn author() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    // Behind sudo the operator's own name tells more than `root`.
    let user = variable("SUDO_USER")
        .or_else(|| variable("USER"))
        .or_else(user);
    format!("{}@{}", user.as_deref().unwrap_or("unknown"), host())
}

/// The user's name by passwd(5), for a process without an environment, such as in a container.
fn user() -> Option<String> {
    let uid = fs::metadata("/proc/self").ok()?.uid().to_string();
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let mut users = passwd.lines().map(|line| line.split(':'));
    let mut user = users.find(|fields| fields.clone().nth(2) == Some(&uid))?;
    user.next().map(str::to_owned)
}

/// This host's name.
pub fn host() -> String {
    let kernels = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernels
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty());
    name.or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "localhost".to_owned())
}
