//! One instance, and what its connections tell of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::by_name::ByName;
use super::{Caller, ConnectionId, Overview};
use crate::document::Revision;
use crate::registry::{self, OtherPaths};
use crate::serve::hold::Cut;
use crate::serve::interval::{DEFAULT_HOLD, Interval};
use crate::state::Share;

/// What an instance is allowed beyond its hold and cadence before it is gone: a busy host's hiccup.
const GRACE: Duration = Duration::from_secs(8);

/// What it is allowed beyond its cadence before it lags, which is worth a line in the log.
const LAG: Duration = Duration::from_secs(4);

/// The cadence that is assumed of an instance that has come only once: Traefik's default `pollInterval`.
const UNKNOWN_CADENCE: Duration = Duration::from_secs(5);

/// An instance whose last polls were each the only one on its connection, so many in a row, never uses one again.
const ONCE: u32 = 3;

/// A connection that is idle for so long after its only poll is used no more.
const IDLE: Duration = Duration::from_secs(10);

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
    /// Whether it has a name of its own.
    named: bool,
    /// Whether it has polled again on a connection, as Traefik does.
    came_back: bool,
    connections: HashMap<ConnectionId, Connection>,
    /// How many connections in a row it has used for one poll only.
    pub(super) once: u32,
    /// Where it never uses a connection again, and is believed its name.
    by_name: Option<ByName>,
    /// What it fetched last, and what it had confirmed when its last connection was closed.
    pub(super) revision: Option<Revision>,
    confirmed: Option<Revision>,
    pub(super) applied: Option<Revision>,
    pub(super) routers: Option<registry::Routers>,
    hold: Duration,
    pub(super) cut: Cut,
    /// The longest time lately from an answer to the next poll.
    cadence: Option<Duration>,
    /// Its Traefik's `pollInterval`, as far as it shows: the first poll on a connection is answered at once, and the second
    /// one comes with the tick. A poll that is held beyond the tick says nothing of it, however often that happens.
    poll_interval: Duration,
    /// Whether its last poll ended without an answer. A Traefik to which that happens comes back after a pause.
    failed: bool,
    came: Instant,
    /// When it polled last, was answered, or its poll broke.
    pub(super) seen: Instant,
    pub(super) lags: bool,
}

/// One connection of an instance.
#[derive(Debug, Default)]
struct Connection {
    sent: Option<Revision>,
    confirmed: Option<Revision>,
    answered: Option<Instant>,
    /// Since when its poll is held, and for how long at most.
    held: Option<(Instant, Duration)>,
    /// The hold of its last poll, where that was held to the end.
    ran_out: Option<Duration>,
    interval: Interval,
    polls: Polls,
}

/// How many polls have come on a connection.
#[derive(Debug, Default, PartialEq)]
enum Polls {
    #[default]
    None,
    One,
    /// One, of which no more is to be concluded.
    OneGlance,
    More,
}

/// What others are told of an instance as soon as it changes.
#[derive(Debug, PartialEq)]
pub(super) struct News {
    pub(super) counts: bool,
    pub(super) reconnects: bool,
    revision: Option<Revision>,
    confirmed: Option<Revision>,
}

impl Instance {
    /// One that has left so many connections in a row after one poll.
    pub(super) fn new(
        called: String,
        share: Option<Arc<Share>>,
        address: IpAddr,
        once: u32,
        now: Instant,
    ) -> Self {
        let named = called != address.to_string();
        Self {
            called,
            share,
            address,
            named,
            came_back: false,
            connections: HashMap::new(),
            once,
            by_name: None,
            revision: None,
            confirmed: None,
            applied: None,
            routers: None,
            hold: Duration::ZERO,
            cut: Cut::default(),
            cadence: None,
            poll_interval: Duration::ZERO,
            failed: false,
            came: now,
            seen: now,
            lags: false,
        }
    }

    /// A poll has come: what the answer before it brought has arrived. Gives what is known to have been sent before.
    pub(super) fn arrives(
        &mut self,
        connection: ConnectionId,
        caller: &Caller<'_>,
        now: Instant,
    ) -> Option<Revision> {
        let reconnects = self.reconnects();
        let known = self.connections.entry(connection).or_default();
        let gap;
        let last_sent;
        if known.polls == Polls::None {
            // Who looks in with curl, again and again, is no Traefik.
            known.polls = if self.named || caller.by_go {
                Polls::One
            } else {
                Polls::OneGlance
            };
            let by_name = (reconnects && self.named && caller.trusted)
                .then(|| self.by_name.get_or_insert_default());
            let by_name = by_name.and_then(|by_name| {
                let gap = by_name.arrives(connection, now)?;
                Some((gap, by_name.confirmed.clone()))
            });
            (gap, last_sent) = by_name.map_or((None, None), |(gap, sent)| (Some(gap), sent));
        } else {
            gap = known.answered.map(|answered| now.duration_since(answered));
            if known.polls != Polls::More {
                self.poll_interval = self.poll_interval.max(gap.unwrap_or_default());
            }
            known.polls = Polls::More;
            known.confirmed.clone_from(&known.sent);
            last_sent = known.sent.clone();
            self.came_back = true;
            self.once = 0;
            self.by_name = None;
        }
        if last_sent.is_none() {
            // It may be a new process under the same name: what the one before routed by says nothing of it.
            self.applied = None;
            self.routers = None;
        }
        if let Some(gap) = gap {
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
        self.address = caller.address;
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

    /// Its poll is answered with this revision.
    pub(super) fn is_answered(
        &mut self,
        connection: ConnectionId,
        revision: &Revision,
        now: Instant,
    ) {
        let Some(known) = self.connections.get_mut(&connection) else {
            return;
        };
        // What it confirmed and applied before says nothing once it has been sent something else: a document that
        // comes back later has the same revision.
        if known.sent.as_ref() != Some(revision) {
            known.confirmed = None;
        }
        if self.revision.as_ref() != Some(revision) {
            self.applied = None;
        }
        known.sent = Some(revision.clone());
        known.answered = Some(now);
        known.interval.answered(now);
        known.held = None;
        if let Some(by_name) = &mut self.by_name {
            by_name.is_answered(connection, revision, now);
        }
        self.revision = Some(revision.clone());
        self.seen = now;
        self.failed = false;
    }

    /// Its poll ends without an answer, because the connection is gone: now it was seen last, however long the poll was
    /// held. Gives after how long a held one ended, and for how long it was to be held.
    pub(super) fn breaks(
        &mut self,
        connection: ConnectionId,
        now: Instant,
    ) -> Option<(Duration, Duration)> {
        let (since, hold) = self.connections.get_mut(&connection)?.held.take()?;
        if let Some(by_name) = &mut self.by_name {
            by_name.breaks(connection);
        }
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
            if let Some(by_name) = &mut self.by_name {
                by_name.breaks(connection);
            }
        } else if closed.polls == Polls::One && closed.answered.is_some() {
            self.once = self.once.saturating_add(1);
        }
        if self.connections.is_empty() {
            self.confirmed = closed.confirmed;
        }
    }

    /// Whether there are connections that it has left open and does not use again.
    pub(super) fn has_idle(&self, now: Instant) -> bool {
        let mut connections = self.connections.values();
        connections.any(|connection| connection.is_idle(now))
    }

    /// Counts these as what it has left.
    pub(super) fn idles(&mut self, now: Instant) {
        for connection in self.connections.values_mut() {
            if connection.is_idle(now) {
                connection.polls = Polls::OneGlance;
                self.once = self.once.saturating_add(1);
            }
        }
    }

    /// Whether a connection of it is open.
    pub(super) fn is_connected(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Whether each of its polls comes on a connection of its own, which is not used again.
    pub(super) fn reconnects(&self) -> bool {
        self.once >= ONCE
    }

    /// Whether it is waited for: it has come back, as Traefik does. Whoever looks in with curl now and then is no
    /// instance, unless it gives itself a name and goes on.
    pub(super) fn counts(&self) -> bool {
        self.came_back || self.named && self.reconnects()
    }

    /// Whether the registry has it.
    pub(super) fn is_told(&self) -> bool {
        self.counts() || self.reconnects()
    }

    /// For how long it was there.
    pub(super) fn stayed_for(&self) -> Duration {
        self.seen.duration_since(self.came)
    }

    pub(super) fn news(&self) -> News {
        News {
            counts: self.counts(),
            reconnects: self.reconnects(),
            revision: self.revision.clone(),
            confirmed: self.confirmed().cloned(),
        }
    }

    /// What it has confirmed by its name, or else all of its open connections.
    pub(super) fn confirmed(&self) -> Option<&Revision> {
        if let Some(by_name) = &self.by_name {
            return by_name.confirmed.as_ref();
        }
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
        } else if !self.is_told() && self.is_connected() {
            // Its `pollInterval` may be long, and nobody waits for it yet. If it stays silent, its connection is closed.
            Presence::Due
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
        let lately = self.cadence.unwrap_or(UNKNOWN_CADENCE) * 2;
        lately.max(self.poll_interval)
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

    pub(super) fn entry(
        &self,
        other_paths: Option<OtherPaths>,
        newcomer: bool,
        now: Instant,
    ) -> registry::Instance {
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
            reconnects: self.reconnects(),
            counts: self.counts(),
            newcomer,
        }
    }

    pub(super) fn overview(
        &self,
        other_paths: Option<OtherPaths>,
        newcomer: bool,
        now: Instant,
    ) -> Overview {
        Overview {
            entry: self.entry(other_paths, newcomer, now),
            share: self.share.clone(),
            seen: self.seen,
            confirmed: self.confirmed().cloned(),
            applied: self.applied.clone(),
        }
    }
}

impl Connection {
    fn is_idle(&self, now: Instant) -> bool {
        let answered = self.answered.map(|answered| now.duration_since(answered));
        self.polls == Polls::One && answered.is_some_and(|time| time > IDLE)
    }
}

#[cfg(test)]
mod tests;
