//! The fleet: the instances that poll this provider, and what each of them holds.
//!
//! An instance is known by the header `X-Traefik-Instance`, else by its address. What it has is told by its
//! connections: HTTP/1.1 has no second request before the first is answered whole, so the next poll *on the same
//! connection* proves that the answer before it arrived. An instance with several open connections (two Traefiks that
//! share a name or an address) has confirmed what all of them have.

mod instance;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::document::Revision;
use crate::registry;

use instance::{Connection, Instance, UNKNOWN_CADENCE};

/// What an instance is allowed beyond its cadence before it lags, which is worth a line in the log.
const LAG: Duration = Duration::from_secs(4);

/// The most instances that are told apart. Names come from outside; beyond this one the polls are answered, but not
/// accounted for.
const MOST: usize = 20_000;

/// The number of a connection, in the order of their coming.
pub type ConnectionId = u64;

/// All instances that poll this provider.
#[derive(Debug)]
pub struct Fleet {
    instances: Mutex<BTreeMap<String, Instance>>,
    changed: watch::Sender<()>,
}

/// An instance as others see it.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Its entry in the registry.
    pub entry: registry::Instance,
    /// When it was last seen.
    pub seen: Instant,
    /// The revision that it has confirmed.
    pub confirmed: Option<Revision>,
    /// The revision that it was seen to route by.
    pub applied: Option<Revision>,
}

/// One poll, from its arrival to its answer.
#[derive(Debug)]
pub struct Poll {
    fleet: Arc<Fleet>,
    id: String,
    connection: ConnectionId,
    /// What this connection was last sent.
    pub last_sent: Option<Revision>,
    /// To what the holds of this instance are cut.
    pub cut: Option<Duration>,
    held: Option<(Instant, Duration)>,
    answered: bool,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            instances: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Fleet {
    /// Tells of each change that others should know of soon.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Takes note of a poll. `name` is what the instance calls itself.
    pub fn arrive(
        self: &Arc<Self>,
        connection: ConnectionId,
        name: Option<&str>,
        address: IpAddr,
    ) -> Poll {
        let id = name.map_or_else(|| address.to_string(), str::to_owned);
        let mut poll = Poll {
            fleet: Arc::clone(self),
            id,
            connection,
            last_sent: None,
            cut: None,
            held: None,
            answered: false,
        };
        let now = Instant::now();
        let mut instances = self.lock();
        if instances.len() >= MOST && !instances.contains_key(&poll.id) {
            return poll;
        }
        let instance = instances
            .entry(poll.id.clone())
            .or_insert_with(|| Instance::new(address, now));
        let before = instance.confirmed().cloned();
        let known = instance.connections.entry(connection).or_default();
        known.confirmed.clone_from(&known.sent);
        poll.last_sent.clone_from(&known.sent);
        if known.sent.is_none() {
            // It may be a new process under the same name: what the one before routed by says nothing of it.
            instance.applied = None;
            instance.routers = None;
        }
        if let Some(answered) = known.answered {
            let gap = now.duration_since(answered);
            // A longer gap counts at once, a shorter one little by little.
            let cadence = instance
                .cadence
                .map_or(gap, |cadence| gap.max(cadence.mul_f64(0.5)));
            instance.cadence = Some(cadence);
        }
        poll.cut = instance.cut.hold();
        if !instance.known && (name.is_some() || poll.last_sent.is_some()) {
            instance.known = true;
            tracing::info!(instance = poll.id, %address, "an instance has come");
        }
        // Until it is answered.
        instance.failed = true;
        instance.address = address;
        instance.seen = now;
        if std::mem::take(&mut instance.lags) {
            tracing::info!(instance = poll.id, "the instance polls again");
        }
        if instance.confirmed() != before.as_ref() {
            self.changed.send_replace(());
        }
        poll
    }

    /// A connection is closed: what it knew goes with it.
    pub fn closed(&self, connection: ConnectionId) {
        let mut instances = self.lock();
        instances.retain(|id, instance| {
            let Some(closed) = instance.connections.remove(&connection) else {
                return true;
            };
            if instance.connections.is_empty() {
                instance.confirmed = closed.confirmed;
                if !instance.known {
                    tracing::debug!(instance = id, "polled once and left");
                    return false;
                }
            }
            true
        });
        self.changed.send_replace(());
    }

    /// An instance was asked for the document by which it routes; this one, where it is said, is it.
    pub fn asked(&self, id: &str, applied: Option<&Revision>) {
        if let (Some(instance), Some(revision)) = (self.lock().get_mut(id), applied) {
            instance.applied = Some(revision.clone());
        }
        self.changed.send_replace(());
    }

    /// Takes note of what an instance's API says of the document's routers, or that it could not be asked; gives what it
    /// said before.
    pub fn set_routers(
        &self,
        id: &str,
        routers: Option<registry::Routers>,
    ) -> Option<registry::Routers> {
        let mut instances = self.lock();
        let instance = instances.get_mut(id)?;
        let news = instance.routers != routers;
        let before = std::mem::replace(&mut instance.routers, routers);
        drop(instances);
        if news {
            self.changed.send_replace(());
        }
        before
    }

    /// The instances that were seen to route by a document, with their addresses.
    pub fn applied(&self) -> Vec<(String, IpAddr, Revision)> {
        let instances = self.lock();
        let applied = instances.iter().filter_map(|(id, instance)| {
            let revision = instance.applied.clone()?;
            Some((id.clone(), instance.address, revision))
        });
        applied.collect()
    }

    /// Forgets the instances that are gone, and says which of the others lag.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut forgotten = false;
        self.lock().retain(|id, instance| {
            let unseen = now.duration_since(instance.seen);
            let held = instance
                .connections
                .values()
                .any(|connection| connection.held);
            if !held && unseen > instance.gone_after() {
                tracing::warn!(
                    instance = id,
                    unseen_s = unseen.as_secs(),
                    "the instance is gone: it is waited for no longer"
                );
                forgotten = true;
                return false;
            }
            let lags = !held && unseen > instance.cadence.unwrap_or(UNKNOWN_CADENCE) * 2 + LAG;
            if lags && !std::mem::replace(&mut instance.lags, true) {
                tracing::warn!(
                    instance = id,
                    unseen_s = unseen.as_secs(),
                    "the instance lags: it has not polled again"
                );
            }
            true
        });
        if forgotten {
            self.changed.send_replace(());
        }
    }

    /// All instances, by name.
    pub fn overview(&self) -> Vec<Overview> {
        let now = Instant::now();
        let instances = self.lock();
        instances
            .iter()
            .map(|(id, instance)| instance.overview(id, now))
            .collect()
    }

    /// The entries of all instances in the registry, by name.
    pub fn entries(&self) -> Vec<registry::Instance> {
        let now = Instant::now();
        let instances = self.lock();
        instances
            .iter()
            .map(|(id, instance)| instance.entry(id, now))
            .collect()
    }

    /// How many instances there are.
    pub fn size(&self) -> usize {
        self.lock().len()
    }

    /// The instances that have fetched this revision and were not seen yet to route by it, and their addresses.
    pub fn unapplied(&self, revision: &Revision) -> Vec<(String, IpAddr)> {
        let instances = self.lock();
        let unapplied = instances.iter().filter(|(_, instance)| {
            instance.revision.as_ref() == Some(revision)
                && instance.applied.as_ref() != Some(revision)
        });
        unapplied
            .map(|(id, instance)| (id.clone(), instance.address))
            .collect()
    }

    /// Whether there is an instance of this name.
    pub fn knows(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Instance>> {
        // No code panics while it holds the lock; if it did, the map would still be whole.
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Poll {
    /// The instance's name.
    pub fn instance(&self) -> &str {
        &self.id
    }

    /// The poll's answer is withheld, for at most this long.
    pub fn hold(&mut self, hold: Duration) {
        self.held = Some((Instant::now(), hold));
        self.update(|instance, connection, _| {
            instance.hold = hold;
            connection.held = true;
        });
    }

    /// The poll is answered with this revision; `ran_out` where the hold was over before anything changed.
    pub fn answer(mut self, revision: &Revision, ran_out: bool) {
        self.answered = true;
        let id = self.id.clone();
        self.update(|instance, connection, now| {
            // What it confirmed and applied before says nothing once it has been sent something else: a document that
            // comes back later has the same revision.
            if connection.sent.as_ref() != Some(revision) {
                connection.confirmed = None;
            }
            if instance.revision.as_ref() != Some(revision) {
                instance.applied = None;
            }
            connection.sent = Some(revision.clone());
            connection.answered = Some(now);
            connection.held = false;
            instance.revision = Some(revision.clone());
            instance.seen = now;
            instance.failed = false;
            if ran_out {
                instance.cut.kept_to(&id);
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut Instance, &mut Connection, Instant)) {
        let mut instances = self.fleet.lock();
        let Some(instance) = instances.get_mut(&self.id) else {
            return;
        };
        // Taken out for the moment, so that both can be changed.
        let Some(mut connection) = instance.connections.remove(&self.connection) else {
            return;
        };
        let before = connection.sent.clone();
        change(instance, &mut connection, Instant::now());
        // That a poll is held or answered as before is no news: others learn of it once a second.
        let news = connection.sent != before;
        instance.connections.insert(self.connection, connection);
        drop(instances);
        if news {
            self.fleet.changed.send_replace(());
        }
    }
}

/// A poll that ends without an answer: the peer has closed the connection.
impl Drop for Poll {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let Some((since, hold)) = self.held else {
            return;
        };
        let id = self.id.clone();
        self.update(|instance, connection, now| {
            connection.held = false;
            instance.cut.gave_up(&id, now.duration_since(since), hold);
        });
    }
}
