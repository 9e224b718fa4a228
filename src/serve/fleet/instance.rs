//! One instance, and what its connections tell of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ConnectionId, Overview};
use crate::document::Revision;
use crate::registry;
use crate::serve::hold::Cut;
use crate::serve::interval::{DEFAULT_HOLD, Interval};
use crate::state::Share;

/// What an instance is allowed beyond its hold and cadence before it is gone: a busy host's hiccup.
const GRACE: Duration = Duration::from_secs(8);

/// What it is allowed beyond its cadence before it lags, which is worth a line in the log.
const LAG: Duration = Duration::from_secs(4);

/// The cadence that is assumed of an instance that has come only once: Traefik's default `pollInterval`.
const UNKNOWN_CADENCE: Duration = Duration::from_secs(5);

/// What is expected of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// A poll of it is held: there is nothing to be seen of it until that ends.
    Held,
    /// Its next poll is yet to come.
    Due,
    /// Its next poll should have come by now.
    Lags,
    /// It is waited for no longer.
    Gone,
}

/// One instance. What happens to it is told with the time at which it did, and in the order of these times.
#[derive(Debug)]
pub(super) struct Instance {
    /// Its name, or its address.
    pub(super) called: String,
    /// The share that it polls; none where it polls the whole document.
    pub(super) share: Option<Arc<Share>>,
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
    /// When it polled last, was answered, or its poll broke.
    pub(super) seen: Instant,
    pub(super) lags: bool,
}

/// One connection of an instance.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) sent: Option<Revision>,
    pub(super) confirmed: Option<Revision>,
    pub(super) answered: Option<Instant>,
    /// Since when its poll is held, and for how long at most.
    pub(super) held: Option<(Instant, Duration)>,
    /// The hold of its last poll, where that was held to the end.
    pub(super) ran_out: Option<Duration>,
    pub(super) interval: Interval,
}

impl Instance {
    pub(super) fn new(
        called: String,
        share: Option<Arc<Share>>,
        address: IpAddr,
        now: Instant,
    ) -> Self {
        Self {
            called,
            share,
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

    /// A poll has come: what the answer before it brought has arrived. Gives what this connection was last sent.
    pub(super) fn arrives(
        &mut self,
        connection: ConnectionId,
        address: IpAddr,
        now: Instant,
    ) -> Option<Revision> {
        let known = self.connections.entry(connection).or_default();
        known.confirmed.clone_from(&known.sent);
        let last_sent = known.sent.clone();
        if last_sent.is_none() {
            // It may be a new process under the same name: what the one before routed by says nothing of it.
            self.applied = None;
            self.routers = None;
        }
        if let Some(answered) = known.answered {
            let gap = now.duration_since(answered);
            // A longer gap counts at once, a shorter one little by little.
            let cadence = self
                .cadence
                .map_or(gap, |cadence| gap.max(cadence.mul_f64(0.5)));
            self.cadence = Some(cadence);
        }
        if let Some(hold) = known.ran_out.take() {
            self.cut.allowed(hold);
        }
        known.interval.arrived(now);
        // Until it is answered.
        self.failed = true;
        self.address = address;
        self.seen = now;
        last_sent
    }

    /// Its poll is held, for at most this long.
    pub(super) fn is_held(&mut self, connection: ConnectionId, hold: Duration, now: Instant) {
        self.hold = hold;
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.held = Some((now, hold));
        }
    }

    /// Its poll has been held to the end of the hold.
    pub(super) fn runs_out(&mut self, connection: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.ran_out = connection.held.map(|(_, hold)| hold);
        }
    }

    /// How long a poll of it is best held that asks for nothing.
    pub(super) fn best_hold(&self, connection: ConnectionId) -> Duration {
        let known = self.connections.get(&connection);
        known.map_or(DEFAULT_HOLD, |known| known.interval.hold())
    }

    /// Whether a connection that is closed now timed out, though the poll on it was answered at the end of the hold.
    pub(super) fn was_answered_too_late(&self, connection: ConnectionId, now: Instant) -> bool {
        let known = self.connections.get(&connection);
        known.is_some_and(|known| known.ran_out.is_some() && known.interval.timed_out(now))
    }

    /// Its poll is answered with this revision. Gives whether that is news to the connection.
    pub(super) fn is_answered(
        &mut self,
        connection: ConnectionId,
        revision: &Revision,
        now: Instant,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(&connection) else {
            return false;
        };
        // What it confirmed and applied before says nothing once it has been sent something else: a document that
        // comes back later has the same revision.
        let news = connection.sent.as_ref() != Some(revision);
        if news {
            connection.confirmed = None;
        }
        if self.revision.as_ref() != Some(revision) {
            self.applied = None;
        }
        connection.sent = Some(revision.clone());
        connection.answered = Some(now);
        connection.interval.answered(now);
        connection.held = None;
        self.revision = Some(revision.clone());
        self.seen = now;
        self.failed = false;
        news
    }

    /// Its poll ends without an answer, because the connection is gone: now it was seen last, however long the poll was
    /// held. Gives after how long a held one ended, and for how long it was to be held.
    pub(super) fn breaks(
        &mut self,
        connection: ConnectionId,
        now: Instant,
    ) -> Option<(Duration, Duration)> {
        let (since, hold) = self.connections.get_mut(&connection)?.held.take()?;
        self.seen = now;
        // Also where another Traefik of this name was answered meanwhile.
        self.failed = true;
        Some((now.duration_since(since), hold))
    }

    /// A connection of it is closed: what that knew goes with it. Where it ends in the middle of an answer, the instance
    /// may not have it, and comes back after a pause.
    pub(super) fn closes(&mut self, connection: ConnectionId, broken: bool, now: Instant) {
        let Some(closed) = self.connections.remove(&connection) else {
            return;
        };
        if broken {
            self.seen = now;
            self.failed = true;
        }
        if self.connections.is_empty() {
            self.confirmed = closed.confirmed;
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

    /// Whether a poll of it is held.
    pub(super) fn held(&self) -> bool {
        let mut connections = self.connections.values();
        connections.any(|connection| connection.held.is_some())
    }

    /// What is expected of it at this moment.
    pub(super) fn presence(&self, now: Instant) -> Presence {
        let unseen = now.duration_since(self.seen);
        if self.held() {
            Presence::Held
        } else if unseen > self.gone_after() {
            Presence::Gone
        } else if unseen > self.pauses() + LAG {
            Presence::Lags
        } else {
            Presence::Due
        }
    }

    /// How long it may take from an answer to its next poll.
    fn pauses(&self) -> Duration {
        self.cadence.unwrap_or(UNKNOWN_CADENCE) * 2
    }

    /// After how long unseen it is gone: beyond its hold while a poll is held, because then it can't be seen; and beyond
    /// Traefik's backoff where a poll was not answered.
    fn gone_after(&self) -> Duration {
        let unseen = if self.held() {
            self.hold
        } else if self.failed {
            registry::BACKOFF
        } else {
            Duration::ZERO
        };
        unseen + self.pauses() + GRACE
    }

    /// The revision that it is to have; that of the whole document is given.
    pub(super) fn current(&self, whole: Option<&Revision>) -> Option<Revision> {
        match &self.share {
            Some(share) => share.revision(),
            None => whole.cloned(),
        }
    }

    pub(super) fn entry(&self, other_paths: Vec<String>, now: Instant) -> registry::Instance {
        let text =
            |revision: Option<&Revision>| revision.map(|revision| revision.as_str().to_owned());
        registry::Instance {
            id: self.called.clone(),
            address: self.address.to_string(),
            share: self.share.as_ref().map(|share| share.path().to_owned()),
            other_paths,
            revision: text(self.revision.as_ref()),
            held: self.held(),
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

    pub(super) fn overview(&self, other_paths: Vec<String>, now: Instant) -> Overview {
        Overview {
            entry: self.entry(other_paths, now),
            share: self.share.clone(),
            seen: self.seen,
            confirmed: self.confirmed().cloned(),
            applied: self.applied.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
