//! What is written in one step, all of it or nothing: the key with its history, the record of its rollout, and the lease.

use crate::history::Entry;
use crate::lease::Lease;

use super::Reading;

/// The longest record of a rollout, and the longest lease, in bytes: what is longer is neither written nor read.
pub const LONGEST: usize = 64 << 10;

/// What is to be written. What it asks for is checked in the order of its fields; where one check fails nothing at all is
/// written.
#[derive(Clone, Debug, Default)]
pub struct Write {
    /// Whose the lease must be.
    pub lease: Holder,
    /// What the record must be still, byte for byte, and what it becomes. None: there must be none, or nothing that could be
    /// one. Where both are equal it is only checked.
    pub record: Option<(Option<Vec<u8>>, Vec<u8>)>,
    /// What the key must hold still, and the change that is made to it.
    pub change: Option<(Reading, Entry)>,
    /// Whether the lease is given back with this.
    pub release: bool,
}

/// Whose the lease of a key must be for something to be written.
#[derive(Clone, Debug, Default)]
pub enum Holder {
    /// Anybody's: it is not looked at.
    #[default]
    Anybody,
    /// This one's, or nobody's. It is this one's for [`LASTS`](crate::lease::LASTS) from now on.
    Held(Lease),
    /// Anybody's, who loses it to this one.
    Seized(Lease),
}

impl Holder {
    /// The lease that is held from now on.
    pub(super) fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Anybody => None,
            Self::Held(lease) | Self::Seized(lease) => Some(lease),
        }
    }
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it is written.
    Done,
    /// Somebody else holds the lease.
    Held(Lease),
    /// The record is another one by now, or none.
    Stale(Option<Vec<u8>>),
    /// The key holds something else by now.
    Conflict(Reading),
}
