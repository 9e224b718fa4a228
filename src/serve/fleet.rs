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
use crate::state::Share;

use super::interval::{DEFAULT_HOLD, POLL_TIMEOUT};
use instance::{Instance, Presence};

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
    /// The share that it polls; none where it polls the whole document.
    pub share: Option<Arc<Share>>,
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
    /// How long it is best held, where it asks for nothing.
    pub best: Duration,
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
        share: Option<&Arc<Share>>,
    ) -> Poll {
        let called = name.map_or_else(|| address.to_string(), str::to_owned);
        let id = id_of(&called, share);
        let mut poll = Poll {
            fleet: Arc::clone(self),
            id,
            connection,
            last_sent: None,
            cut: None,
            best: DEFAULT_HOLD,
            answered: false,
        };
        let now = Instant::now();
        let mut instances = self.lock();
        if instances.len() >= MOST && !instances.contains_key(&poll.id) {
            return poll;
        }
        if !instances.contains_key(&poll.id) {
            let others = other_paths(&instances, &called, share);
            if name.is_some() && !others.is_empty() {
                tracing::warn!(
                    instance = called,
                    path = path_of(share),
                    ?others,
                    "another path is polled under the same name, or was just now: give each Traefik a name of its own in \
                     X-Traefik-Instance"
                );
            }
        }
        let instance = instances
            .entry(poll.id.clone())
            .or_insert_with(|| Instance::new(called, share.cloned(), address, now));
        let before = instance.confirmed().cloned();
        poll.last_sent = instance.arrives(connection, address, now);
        poll.cut = instance.cut.hold();
        poll.best = instance.best_hold(connection);
        if !instance.known && (name.is_some() || poll.last_sent.is_some()) {
            instance.known = true;
            tracing::info!(instance = poll.id, %address, "an instance has come");
        }
        if std::mem::take(&mut instance.lags) {
            tracing::info!(instance = poll.id, "the instance polls again");
        }
        if instance.confirmed() != before.as_ref() {
            self.changed.send_replace(());
        }
        poll
    }

    /// A connection is closed; `broken` where it did not end between two requests.
    pub fn closed(&self, connection: ConnectionId, broken: bool) {
        let now = Instant::now();
        let mut instances = self.lock();
        instances.retain(|id, instance| {
            if !instance.connections.contains_key(&connection) {
                return true;
            }
            if instance.was_answered_too_late(connection, now) {
                instance.cut.timed_out(id, POLL_TIMEOUT);
            }
            instance.closes(connection, broken, now);
            let stays = instance.known || !instance.connections.is_empty();
            if !stays {
                tracing::debug!(instance = id, "polled once and left");
            }
            stays
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
            let unseen_s = now.duration_since(instance.seen).as_secs();
            match instance.presence(now) {
                Presence::Gone => {
                    tracing::warn!(
                        instance = id,
                        unseen_s,
                        "the instance is gone: it is waited for no longer"
                    );
                    forgotten = true;
                    return false;
                }
                Presence::Lags if !std::mem::replace(&mut instance.lags, true) => {
                    tracing::warn!(
                        instance = id,
                        unseen_s,
                        "the instance lags: it has not polled again"
                    );
                }
                _ => {}
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
            .values()
            .map(|instance| instance.overview(others_of(&instances, instance), now))
            .collect()
    }

    /// The entries of all instances in the registry, by name.
    pub fn entries(&self) -> Vec<registry::Instance> {
        let now = Instant::now();
        let instances = self.lock();
        instances
            .values()
            .map(|instance| instance.entry(others_of(&instances, instance), now))
            .collect()
    }

    /// How many instances there are.
    pub fn size(&self) -> usize {
        self.lock().len()
    }

    /// The instances that have fetched the current document, or their share of it, and were not seen yet to route by it;
    /// and its revision. That of the whole document is given.
    pub fn unapplied(&self, whole: Option<&Revision>) -> Vec<(String, Revision)> {
        let instances = self.lock();
        let unapplied = instances.iter().filter_map(|(id, instance)| {
            let current = instance.current(whole)?;
            let is = |revision: &Option<Revision>| revision.as_ref() == Some(&current);
            (is(&instance.revision) && !is(&instance.applied)).then(|| (id.clone(), current))
        });
        unapplied.collect()
    }

    /// From where the instance of this name polled last, where there is one, and the revision that it is to have. That of
    /// the whole document is given.
    pub fn wanted(&self, id: &str, whole: Option<&Revision>) -> Option<(IpAddr, Option<Revision>)> {
        let instances = self.lock();
        let instance = instances.get(id)?;
        Some((instance.address, instance.current(whole)))
    }

    /// The shares that are polled, each once.
    pub fn shares(&self) -> Vec<Arc<Share>> {
        let instances = self.lock();
        let shares = instances.values().filter_map(|i| i.share.as_ref());
        let shares: BTreeMap<_, _> = shares.map(|share| (share.path(), share)).collect();
        shares.into_values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Instance>> {
        // No code panics while it holds the lock; if it did, the map would still be whole.
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// By what an instance is known: who polls another path is another one.
fn id_of(called: &str, share: Option<&Arc<Share>>) -> String {
    match share {
        Some(share) => format!("{called} {}", share.path()),
        None => called.to_owned(),
    }
}

/// What it polls.
fn path_of(share: Option<&Arc<Share>>) -> &str {
    share.map_or("/traefik", |share| share.path())
}

fn others_of(instances: &BTreeMap<String, Instance>, instance: &Instance) -> Vec<String> {
    other_paths(instances, &instance.called, instance.share.as_ref())
}

/// Other paths that are polled under a name, by another Traefik therefore.
fn other_paths(
    instances: &BTreeMap<String, Instance>,
    called: &str,
    share: Option<&Arc<Share>>,
) -> Vec<String> {
    let begin = format!("{called} /");
    let shares = instances.range(begin.clone()..);
    let shares = shares.take_while(|(id, _)| id.starts_with(&begin));
    let all = instances.get_key_value(called).into_iter().chain(shares);
    let paths = all.map(|(_, other)| path_of(other.share.as_ref()));
    let others = paths.filter(|path| *path != path_of(share));
    others.map(str::to_owned).collect()
}

impl Poll {
    /// The instance's name.
    pub fn instance(&self) -> &str {
        &self.id
    }

    /// The poll's answer is withheld, for at most this long.
    pub fn hold(&mut self, hold: Duration) {
        // That a poll is held is no news: others learn of it once a second.
        self.tell(|instance| instance.is_held(self.connection, hold, Instant::now()));
    }

    /// The poll is answered with this revision; `ran_out` where the hold was over before anything changed.
    pub fn answer(mut self, revision: &Revision, ran_out: bool) {
        self.answered = true;
        let news = self.tell(|instance| {
            if ran_out {
                instance.cut.kept_to(&self.id);
                instance.runs_out(self.connection);
            }
            instance.is_answered(self.connection, revision, Instant::now())
        });
        if news == Some(true) {
            self.fleet.changed.send_replace(());
        }
    }

    /// The poll is answered without a document: there is none any more.
    pub fn refuse(mut self) {
        self.answered = true;
        self.tell(|instance| instance.breaks(self.connection, Instant::now()));
    }

    /// Tells the instance something, where it is known.
    fn tell<T>(&self, what: impl FnOnce(&mut Instance) -> T) -> Option<T> {
        self.fleet.lock().get_mut(&self.id).map(what)
    }
}

/// A poll that ends without an answer: the peer has closed the connection.
impl Drop for Poll {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        self.tell(|instance| {
            if let Some((elapsed, hold)) = instance.breaks(self.connection, Instant::now()) {
                instance.cut.gave_up(&self.id, elapsed, hold);
            }
        });
    }
}
