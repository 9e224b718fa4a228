//! The history: who changed the traffic, when and why.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many changes the store keeps of each stack.
pub const KEPT: usize = 1000;

/// What stands for the author of a change that came from outside, such as by `redis-cli SET`.
pub const OUTSIDE: &str = "outside";

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

/// Who works here, as `user@host`.
pub fn author() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    // Behind sudo the operator's own name tells more than `root`.
    let user = variable("SUDO_USER")
        .or_else(|| variable("USER"))
        .or_else(|| variable("LOGNAME"));
    format!("{}@{}", user.as_deref().unwrap_or("unknown"), host())
}

/// This host's name.
pub fn host() -> String {
    let kernels = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernels
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty());
    name.or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "localhost".to_owned())
}
