//! One instance, and what its connections tell of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{ConnectionId, Overview};
use crate::document::Revision;
use crate::registry;
use crate::serve::hold::Cut;

/// What an instance is allowed beyond its hold and cadence before it is gone: a busy host's hiccup.
const GRACE: Duration = Duration::from_secs(8);

/// The cadence that is assumed of an instance that has come only once: Traefik's default `pollInterval`.
pub(super) const UNKNOWN_CADENCE: Duration = Duration::from_secs(5);

/// One instance.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) address: IpAddr,
    /// Whether it has a name, or has come back on a connection: whoever looks in once with curl is no instance.
    pub(super) known: bool,
    pub(super) connections: HashMap<ConnectionId, Connection>,
    /// What it fetched last, and what it had confirmed when its last connection was closed.
    pub(super) revision: Option<Revision>,
    pub(super) confirmed: Option<Revision>,
    pub(super) applied: Option<Revision>,
    pub(super) routers: Option<registry::Routers>,
    pub(super) hold: Duration,
    pub(super) cut: Cut,
    /// The longest time lately from an answer to the next poll.
    pub(super) cadence: Option<Duration>,
    /// Whether its last poll ended without an answer. A Traefik to which that happens comes back after a pause.
    pub(super) failed: bool,
    pub(super) seen: Instant,
    pub(super) lags: bool,
}

/// One connection of an instance.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) sent: Option<Revision>,
    pub(super) confirmed: Option<Revision>,
    pub(super) answered: Option<Instant>,
    pub(super) held: bool,
}

impl Instance {
    pub(super) fn new(address: IpAddr, now: Instant) -> Self {
        Self {
            address,
            known: false,
            connections: HashMap::new(),
            revision: None,
            confirmed: None,
            applied: None,
            routers: None,
            hold: Duration::ZERO,
            cut: Cut::default(),
            cadence: None,
            failed: false,
            seen: now,
            lags: false,
        }
    }

    /// What all of its open connections have confirmed.
    pub(super) fn confirmed(&self) -> Option<&Revision> {
        let mut connections = self.connections.values();
        let Some(first) = connections.next() else {
            return self.confirmed.as_ref();
        };
        let confirmed = first.confirmed.as_ref()?;
        connections
            .all(|other| other.confirmed.as_ref() == Some(confirmed))
            .then_some(confirmed)
    }

    /// How long it may take until its next poll: its cadence, and Traefik's backoff where a poll was not answered.
    pub(super) fn allowed_gap(&self) -> Duration {
        let backoff = if self.failed {
            registry::BACKOFF
        } else {
            Duration::ZERO
        };
        self.cadence.unwrap_or(UNKNOWN_CADENCE) * 2 + GRACE + backoff
    }

    /// After how long unseen it is gone. While a poll is held it can't be seen.
    pub(super) fn gone_after(&self) -> Duration {
        let held = self.connections.values().any(|connection| connection.held);
        if held {
            self.hold + self.cadence.unwrap_or(UNKNOWN_CADENCE) * 2 + GRACE
        } else {
            self.allowed_gap()
        }
    }

    pub(super) fn entry(&self, id: &str, now: Instant) -> registry::Instance {
        let text =
            |revision: Option<&Revision>| revision.map(|revision| revision.as_str().to_owned());
        registry::Instance {
            id: id.to_owned(),
            address: self.address.to_string(),
            revision: text(self.revision.as_ref()),
            held: self.connections.values().any(|connection| connection.held),
            confirmed: text(self.confirmed()),
            applied: text(self.applied.as_ref()),
            routers: self.routers.clone(),
            hold: self.hold.as_secs_f64(),
            hold_cut: self.cut.hold().map(|cut| cut.as_secs_f64()),
            cadence: self.cadence.map(|cadence| cadence.as_secs_f64()),
            seen: now.duration_since(self.seen).as_secs_f64(),
            gone_after: self.gone_after().as_secs_f64(),
        }
    }

    pub(super) fn overview(&self, id: &str, now: Instant) -> Overview {
        Overview {
            entry: self.entry(id, now),
            seen: self.seen,
            confirmed: self.confirmed().cloned(),
            applied: self.applied.clone(),
        }
    }
}
