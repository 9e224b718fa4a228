//! The fleet: the instances that poll this provider, and what each of them holds.
//!
//! An instance is known by the header `X-Traefik-Instance`, else by its address. What it has is told by its
//! connections: HTTP/1.1 has no second request before the first is answered whole, so the next poll *on the same
//! connection* proves that the answer before it arrived. An instance with several open connections (two Traefiks that
//! share a name or an address) has confirmed what all of them have.
//!
//! - `instance`: one instance, what is expected of it, and whether it is waited for;
//! - `by_name`: one whose polls come over a connection each;
//! - `newcomers`: who has polled once, and may come back;
//! - `passers`: who polled once and left.

mod by_name;
mod instance;
mod newcomers;
mod passers;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::document::Revision;
use crate::registry::{self, OtherPaths};
use crate::state::{SHARES, Share};

use super::interval::{DEFAULT_HOLD, POLL_TIMEOUT};
use instance::{Instance, Presence};
use newcomers::Newcomers;
use passers::Passers;

/// The most instances that are told apart. Names come from outside; beyond this one the polls are answered, but not
/// accounted for.
const MOST: usize = 20_000;

/// So many lines about single instances are written into the log between two sweeps.
const MOST_LINES: usize = 20;

/// Who stayed no longer than this, and is gone, may have been made up.
const HARDLY_THERE: Duration = Duration::from_secs(10);

/// The number of a connection, in the order of their coming.
pub type ConnectionId = u64;

/// Who polls.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// What it calls itself.
    pub name: Option<&'a str>,
    /// Where the connection comes from.
    pub address: IpAddr,
    /// Whether it has shown a token, so that its name is believed.
    pub trusted: bool,
    /// Whether it calls itself Go's HTTP client, which Traefik polls with.
    pub by_go: bool,
}

/// All instances that poll this provider.
#[derive(Debug)]
pub struct Fleet {
    known: Mutex<Known>,
    changed: watch::Sender<()>,
}

/// What is known of those who poll.
#[derive(Debug, Default)]
struct Known {
    instances: BTreeMap<String, Instance>,
    /// Whose poll came last on each connection.
    connections: HashMap<ConnectionId, String>,
    newcomers: Newcomers,
    passers: Passers,
    /// Lines about single instances since the last sweep.
    lines: usize,
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
    /// What this connection was last sent; or the instance, where its name is what tells.
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
            known: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Fleet {
    /// Tells of each change that others should know of soon.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Takes note of a poll of the whole document, or of a share of it.
    pub fn arrive(
        self: &Arc<Self>,
        connection: ConnectionId,
        caller: Caller<'_>,
        share: Option<&Arc<Share>>,
    ) -> Poll {
        let called = caller
            .name
            .map_or_else(|| caller.address.to_string(), str::to_owned);
        let id = id_of(&called, share);
        let mut poll = Poll {
            fleet: Arc::clone(self),
            id: id.clone(),
            connection,
            last_sent: None,
            cut: None,
            best: DEFAULT_HOLD,
            answered: false,
        };
        let now = Instant::now();
        let mut known = self.lock();
        let mut news = false;
        if known.connections.get(&connection) != Some(&id) {
            // A connection has one instance at a time: several share it only behind a proxy, or where they are made up.
            news |= known.closes(connection, false, now);
            if known.instances.len() >= MOST && !known.instances.contains_key(&id) {
                drop(known);
                self.publish(news);
                return poll;
            }
            known.connections.insert(connection, id.clone());
        }
        if !known.instances.contains_key(&id) {
            let other = another_path(&known.instances, &called).map(str::to_owned);
            if let Some(other) = other.filter(|_| caller.name.is_some())
                && known.may_log()
            {
                tracing::warn!(
                    instance = called,
                    path = path_of(share),
                    other,
                    "another path is polled under the same name, or was just now: give each Traefik a name of its own in \
                     X-Traefik-Instance"
                );
            }
            let once = known.passers.comes(&id, caller.address);
            if caller.by_go || caller.name.is_some() {
                known.newcomers.comes(&id, now);
            }
            let instance = Instance::new(called, share.cloned(), caller.address, once, now);
            known.instances.insert(id.clone(), instance);
        }
        let told = known.tell(&id, |instance| {
            let last_sent = instance.arrives(connection, &caller, now);
            let back = std::mem::take(&mut instance.lags);
            let (cut, best) = (instance.cut.hold(), instance.best_hold(connection));
            (last_sent, cut, best, back)
        });
        if let Some(((last_sent, cut, best, back), changed)) = told {
            (poll.last_sent, poll.cut, poll.best) = (last_sent, cut, best);
            news |= changed;
            if back && known.may_log() {
                tracing::info!(instance = id, "the instance polls again");
            }
        }
        drop(known);
        self.publish(news);
        poll
    }

    /// A connection is closed; `broken` where it did not end between two requests.
    pub fn closed(&self, connection: ConnectionId, broken: bool) {
        let news = self.lock().closes(connection, broken, Instant::now());
        self.publish(news);
    }

    /// An instance was asked for the document by which it routes; this one, where it is said, is it.
    pub fn asked(&self, id: &str, applied: Option<&Revision>) {
        if let (Some(instance), Some(revision)) = (self.lock().instances.get_mut(id), applied) {
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
        let mut known = self.lock();
        let instance = known.instances.get_mut(id)?;
        let news = instance.routers != routers;
        let before = std::mem::replace(&mut instance.routers, routers);
        drop(known);
        if news {
            self.changed.send_replace(());
        }
        before
    }

    /// The instances that were seen to route by a document, with their addresses.
    pub fn applied(&self) -> Vec<(String, IpAddr, Revision)> {
        let known = self.lock();
        let applied = known.instances.iter().filter_map(|(id, instance)| {
            let revision = instance.applied.clone()?;
            Some((id.clone(), instance.address, revision))
        });
        applied.collect()
    }

    /// Forgets the instances that are gone, and says which of the others lag, and who floods.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut known = self.lock();
        let unsaid = std::mem::take(&mut known.lines).saturating_sub(MOST_LINES);
        if unsaid > 0 {
            tracing::info!(unsaid, "more instances have come, lag, are back or gone");
        }
        let mut news = known.newcomers.look(now);
        let looked_at = known.instances.iter().filter(|(_, instance)| {
            let presence = instance.presence(now);
            matches!(presence, Presence::Lags | Presence::Gone) || instance.has_idle(now)
        });
        let looked_at: Vec<_> = looked_at.map(|(id, _)| id.clone()).collect();
        for id in looked_at {
            if let Some((presence, changed)) = known.tell(&id, |instance| {
                instance.idles(now);
                instance.presence(now)
            }) {
                news |= changed | known.judges(&id, presence, now);
            }
        }
        for (address, names) in known.passers.look(now) {
            tracing::warn!(
                %address,
                names,
                "polls come under ever new names that do not come back: they are not waited for; \
                 with --read-token only who shows it can poll"
            );
        }
        drop(known);
        self.publish(news);
    }

    /// All instances, by name.
    pub fn overview(&self) -> Vec<Overview> {
        let now = Instant::now();
        let known = self.lock();
        let paths = paths_by_name(&known.instances);
        let instances = known.instances.iter();
        instances
            .map(|(id, instance)| {
                let newcomer = known.is_new(id, instance);
                instance.overview(beside(&paths, instance), newcomer, now)
            })
            .collect()
    }

    /// The entries in the registry, by name.
    pub fn entries(&self) -> Vec<registry::Instance> {
        let now = Instant::now();
        let known = self.lock();
        let paths = paths_by_name(&known.instances);
        let told = known.instances.iter().filter_map(|(id, instance)| {
            let newcomer = known.is_new(id, instance);
            (instance.is_told() || newcomer).then_some((instance, newcomer))
        });
        told.map(|(instance, newcomer)| instance.entry(beside(&paths, instance), newcomer, now))
            .collect()
    }

    /// How many instances there are.
    pub fn size(&self) -> usize {
        self.lock().instances.len()
    }

    /// The instances that are waited for, have fetched the current document, or their share of it, and were not seen yet to
    /// route by it; and its revision. That of the whole document is given.
    pub fn unapplied(&self, whole: Option<&Revision>) -> Vec<(String, Revision)> {
        let known = self.lock();
        let counted = known.instances.iter();
        let counted = counted.filter(|(_, instance)| instance.counts());
        let unapplied = counted.filter_map(|(id, instance)| {
            let current = instance.current(whole)?;
            let is = |revision: &Option<Revision>| revision.as_ref() == Some(&current);
            (is(&instance.revision) && !is(&instance.applied)).then(|| (id.clone(), current))
        });
        unapplied.collect()
    }

    /// From where the instance of this name polled last, where there is one, and the revision that it is to have. That of
    /// the whole document is given.
    pub fn wanted(&self, id: &str, whole: Option<&Revision>) -> Option<(IpAddr, Option<Revision>)> {
        let known = self.lock();
        let instance = known.instances.get(id)?;
        Some((instance.address, instance.current(whole)))
    }

    /// The shares that are polled, each once.
    pub fn shares(&self) -> Vec<Arc<Share>> {
        let known = self.lock();
        let shares = known.instances.values().filter_map(|i| i.share.as_ref());
        let shares: BTreeMap<_, _> = shares.map(|share| (share.path(), share)).collect();
        shares.into_values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // No code panics while it holds the lock; if it did, it would still be whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, news: bool) {
        if news {
            self.changed.send_replace(());
        }
    }
}

impl Known {
    /// Tells an instance something, where it is known. Gives whether others are to be told of the change.
    fn tell<T>(&mut self, id: &str, what: impl FnOnce(&mut Instance) -> T) -> Option<(T, bool)> {
        let instance = self.instances.get_mut(id)?;
        let before = instance.news();
        let told = what(instance);
        let news = instance.news();
        let address = instance.address;
        if news.counts && !before.counts && self.may_log() {
            tracing::info!(instance = id, %address, "an instance has come");
        }
        if news.reconnects && !before.reconnects && self.may_log() {
            tracing::warn!(
                instance = id,
                %address,
                "each poll comes on a connection of its own, as through a proxy that keeps none: where that is a Traefik, \
                 have the proxy keep connections; or set --read-token, a name of its own in X-Traefik-Instance, and a \
                 pollInterval of 100ms, so that its name tells what it has"
            );
        }
        let is_told = news.counts || news.reconnects || self.newcomers.has(id);
        Some((told, is_told && news != before))
    }

    /// Whether an instance is waited for although it has polled only once.
    fn is_new(&self, id: &str, instance: &Instance) -> bool {
        !instance.is_told() && instance.is_connected() && self.newcomers.has(id)
    }

    /// A connection is closed, or goes to another instance. Gives whether others are to be told.
    fn closes(&mut self, connection: ConnectionId, broken: bool, now: Instant) -> bool {
        let Some(id) = self.connections.remove(&connection) else {
            return false;
        };
        self.tell(&id, |instance| {
            if instance.was_answered_too_late(connection, now) {
                instance.cut.timed_out(&id, POLL_TIMEOUT);
            }
            instance.closes(connection, broken, now);
        });
        let Some(instance) = self.instances.get(&id) else {
            return false;
        };
        if instance.is_told() {
            return true;
        }
        if !instance.is_connected() {
            let (once, address) = (instance.once, instance.address);
            self.instances.remove(&id);
            let told = self.newcomers.leaves(&id);
            self.passers.left(id, once, address, now);
            return told;
        }
        false
    }

    /// What comes of it that an instance is, or is not, there. Gives whether others are to be told.
    fn judges(&mut self, id: &str, presence: Presence, now: Instant) -> bool {
        let Some(instance) = self.instances.get_mut(id) else {
            return false;
        };
        let unseen_s = now.duration_since(instance.seen).as_secs();
        let counts = instance.counts();
        match presence {
            Presence::Gone => {
                let address = instance.address;
                let hardly_there = instance.stayed_for() < HARDLY_THERE;
                self.instances.remove(id);
                if hardly_there {
                    self.passers.left(id.to_owned(), 0, address, now);
                }
                if counts && self.may_log() {
                    tracing::warn!(
                        instance = id,
                        unseen_s,
                        "the instance is gone: it is waited for no longer"
                    );
                }
                true
            }
            Presence::Lags if counts && !std::mem::replace(&mut instance.lags, true) => {
                if self.may_log() {
                    tracing::warn!(
                        instance = id,
                        unseen_s,
                        "the instance lags: it has not polled again"
                    );
                }
                false
            }
            _ => false,
        }
    }

    /// Whether there is room in the log for a line about one instance.
    fn may_log(&mut self) -> bool {
        self.lines += 1;
        self.lines <= MOST_LINES
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

/// A path that is polled under a name, where there is one.
fn another_path<'a>(instances: &'a BTreeMap<String, Instance>, called: &str) -> Option<&'a str> {
    let begin = format!("{called} {SHARES}");
    let shares = instances.range(begin.clone()..);
    let shares = shares.take_while(|(id, _)| id.starts_with(&begin));
    let mut all = instances.get_key_value(called).into_iter().chain(shares);
    all.next().map(|(_, other)| path_of(other.share.as_ref()))
}

/// All paths that are polled under each name.
fn paths_by_name(instances: &BTreeMap<String, Instance>) -> HashMap<&str, Vec<&str>> {
    let mut paths: HashMap<_, Vec<_>> = HashMap::new();
    for instance in instances.values() {
        let path = path_of(instance.share.as_ref());
        paths.entry(&*instance.called).or_default().push(path);
    }
    paths
}

/// What else is polled under the name of an instance.
fn beside(paths: &HashMap<&str, Vec<&str>>, instance: &Instance) -> Option<OtherPaths> {
    let all = paths.get(&*instance.called)?;
    OtherPaths::beside(path_of(instance.share.as_ref()), all)
}

impl Poll {
    /// The instance's name.
    pub fn instance(&self) -> &str {
        &self.id
    }

    /// The poll's answer is withheld, for at most this long.
    pub fn hold(&mut self, hold: Duration) {
        self.tell(|instance| instance.is_held(self.connection, hold, Instant::now()));
    }

    /// The poll is answered with this revision; `ran_out` where the hold was over before anything changed.
    pub fn answer(mut self, revision: &Revision, ran_out: bool) {
        self.answered = true;
        self.tell(|instance| {
            if ran_out {
                instance.cut.kept_to(&self.id);
                instance.runs_out(self.connection);
            }
            instance.is_answered(self.connection, revision, Instant::now());
        });
    }

    /// The poll is answered without a document: there is none any more.
    pub fn refuse(mut self) {
        self.answered = true;
        self.tell(|instance| {
            instance.breaks(self.connection, Instant::now());
        });
    }

    /// Tells the instance something, where it is known. That a poll of it is held or answered as before is no news:
    /// others learn of it once a second.
    fn tell(&self, what: impl FnOnce(&mut Instance)) {
        let told = self.fleet.lock().tell(&self.id, what);
        self.fleet.publish(told.is_some_and(|((), news)| news));
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

#[cfg(test)]
mod tests;
