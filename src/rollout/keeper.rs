//! The keeper of a rollout's record: it writes it in one step with the key and the lease, renews the lease while the
//! runner lives, and notices what others do to any of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::outcome::Cause;
use super::record::{Lost, Record, Runner, Wish};
use crate::history::Entry;
use crate::lease::{Lease, RENEW_EVERY};
use crate::store::write::{Holder, Write, Written};
use crate::store::{Kept, Reading, Session, Store, StoreError, Unreadable};

/// For how long a write that was not answered is tried again: a server that was only paused does it late.
const WAIT_FOR_ANSWER: Duration = Duration::from_secs(5);

/// How soon after one attempt the next one is made.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// What is in the store, as it was last seen; or why it can't be reached.
pub(super) type Seen = Result<Found, String>;

/// What is in the store.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// What the key holds.
    pub(super) key: Reading,
    /// The record and the lease.
    pub(super) kept: Result<Kept, Unreadable>,
    /// How many writes had been begun or done before it was read.
    writes: u64,
}

/// The keeper. One that is dropped lets the lease run out.
pub struct Keeper {
    store: Store,
    key: String,
    lease: Lease,
    /// Whether the lease is taken from whoever holds it.
    seizes: bool,
    /// Whether the lease outlives the rollout.
    lasts: bool,
    /// Whether anything was written.
    begun: bool,
    /// The record as it is in the store; its renewal needs it, too.
    stored: Arc<Mutex<Option<Vec<u8>>>>,
    /// A connection that was just used, for the next write.
    session: Option<Session>,
    /// How many writes have been begun or done: what was seen before the last of them is old.
    writes: Arc<AtomicU64>,
    seen: Option<(watch::Receiver<Option<Seen>>, JoinHandle<()>)>,
}

impl Keeper {
    /// A keeper for a stack's key; nothing is written yet. `stored` is the record that is there now.
    pub fn new(store: &Store, key: &str, lease: Lease, stored: Option<Vec<u8>>) -> Self {
        Self {
            store: store.clone(),
            key: key.to_owned(),
            lease,
            seizes: false,
            lasts: false,
            begun: false,
            stored: Arc::new(Mutex::new(stored)),
            session: None,
            writes: Arc::default(),
            seen: None,
        }
    }

    /// The same, which takes the lease from whoever holds it.
    pub fn seizing(mut self) -> Self {
        self.seizes = true;
        self
    }

    /// The same, whose lease outlives the rollout, until it is given back by [`release`](Self::release).
    pub fn lasting(mut self) -> Self {
        self.lasts = true;
        self
    }

    /// The token of its lease.
    pub fn token(&self) -> &str {
        &self.lease.token
    }

    /// Whoever holds it, as the record names who runs its rollout.
    pub fn runner(&self) -> Runner {
        Runner {
            name: self.lease.by.clone(),
            token: self.lease.token.clone(),
        }
    }

    /// It writes over this connection next.
    pub(super) fn go_on_over(&mut self, session: Session) {
        self.session = Some(session);
    }

    /// Whether it has written, and so holds the lease.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether nothing is to be written, neither of the record nor of the lease.
    pub(super) fn is_up_to_date(&self, record: &Record, release: bool) -> bool {
        let released = self.seen.is_none() || self.lasts;
        (!release || released) && self.stored() == Some(record.to_json())
    }

    /// Writes the record, and with it the change of the key where there is one; `release` gives the lease back.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn write(
        &mut self,
        record: &Record,
        change: Option<(&Reading, &Entry)>,
        release: bool,
    ) -> Result<Written, StoreError> {
        let release = release && !self.lasts;
        let new = record.to_json();
        let change = change.map(|(expected, entry)| (expected.clone(), entry.clone()));
        self.writes.fetch_add(1, Ordering::SeqCst);
        let written = loop {
            match self.attempt(&new, change.clone(), release).await {
                // Whoever takes the lease from anybody takes it also from one who has just written.
                Ok(Written::Stale(now)) if self.seizes => self.take_over(now),
                written => break written,
            }
        };
        self.writes.fetch_add(1, Ordering::SeqCst);
        if matches!(written, Ok(Written::Done)) {
            self.take_over(Some(new));
            self.begun = true;
            // It is held from now on.
            self.seizes = false;
            if release {
                self.stop();
            } else if self.seen.is_none() {
                self.watch();
            }
        }
        written
    }

    /// Writes the record for the first time, and so takes the lease.
    ///
    /// # Errors
    ///
    /// Why the rollout can't begin.
    pub async fn begin(&mut self, record: &Record) -> Result<(), Cause> {
        loop {
            let written = self.write_surely(record, None, false, record.request.timeout);
            match written.await {
                Ok(Written::Done | Written::Conflict(_)) => return Ok(()),
                Ok(Written::Held(lease)) => {
                    let holder = lease.to_string();
                    return Err(Cause::Busy { holder });
                }
                Ok(Written::Stale(None)) => self.take_over(None),
                Ok(Written::Stale(Some(bytes))) => return Err(busy(&bytes)),
                // Only the lease may have been taken, which it does no harm to do again.
                Err(StoreError::Unknown(reason)) => return Err(Cause::StoreAway { reason }),
                Err(error) => return Err(Cause::not_written(error)),
            }
        }
    }

    /// Leaves a rollout that it has begun to whoever comes for it once the lease is given back.
    ///
    /// # Errors
    ///
    /// Why it is not left.
    pub async fn hand_on(&mut self, record: &mut Record) -> Result<(), Cause> {
        record.runner = None;
        let within = record.request.timeout;
        match self.write_surely(record, None, false, within).await {
            Ok(Written::Done | Written::Conflict(_)) => Ok(()),
            Ok(Written::Held(lease)) => Err(Cause::Busy {
                holder: lease.to_string(),
            }),
            Ok(Written::Stale(bytes)) => Err(busy(&bytes.unwrap_or_default())),
            Err(error) => Err(Cause::not_written(error)),
        }
    }

    /// Writes that the rollout has ended because of this, before it has changed anything. Where the store can't be reached
    /// its lease runs out, and whoever finds it ends it.
    pub async fn end(&mut self, record: &mut Record, cause: Cause) {
        record.refused(cause);
        self.write(record, None, true).await.ok();
    }

    /// As [`write`](Self::write), tried again while the store does not answer.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub(super) async fn write_surely(
        &mut self,
        record: &Record,
        change: Option<(&Reading, &Entry)>,
        release: bool,
        within: Duration,
    ) -> Result<Written, StoreError> {
        let until = Instant::now() + WAIT_FOR_ANSWER.min(within);
        let mut unanswered = None;
        loop {
            match self.write(record, change, release).await {
                Err(StoreError::Unknown(why)) => unanswered = Some(why),
                // The one that was not answered may still be done.
                Err(StoreError::Unreachable(why)) if unanswered.is_some() => unanswered = Some(why),
                written => return written,
            }
            if Instant::now() >= until {
                return Err(StoreError::Unknown(unanswered.unwrap_or_default()));
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    async fn attempt(
        &mut self,
        new: &[u8],
        change: Option<(Reading, Entry)>,
        release: bool,
    ) -> Result<Written, StoreError> {
        // One that was idle may be broken without anybody having noticed: whether it wrote would not be known.
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.store.connect(&self.key).await?,
        };
        let lease = self.lease.clone();
        let write = Write {
            lease: match self.seizes {
                true => Holder::Seized(lease),
                false => Holder::Held(lease),
            },
            record: Some((self.stored(), new.to_owned())),
            change,
            release,
        };
        Ok(match session.write(&self.key, &write).await? {
            // One that was not answered was done all the same.
            Written::Stale(Some(is)) if is == new => Written::Done,
            written => written,
        })
    }

    /// Takes over what somebody else has written into the record of this rollout.
    pub(super) fn take_over(&self, bytes: Option<Vec<u8>>) {
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    fn stored(&self) -> Option<Vec<u8>> {
        stored(&self.stored)
    }

    /// Whether this is the record as it was last written.
    pub(super) fn is_stored(&self, bytes: Option<&Vec<u8>>) -> bool {
        self.stored().as_ref() == bytes
    }

    /// Whether somebody else runs the rollout that was lost here, or has ended it; not where that can't be found out.
    pub(super) async fn is_carried_on(&self, record: &Record) -> bool {
        let kept = async {
            let mut session = self.store.connect(&self.key).await?;
            session.rollout_of(&self.key).await
        };
        let Ok(Ok(kept)) = kept.await else {
            return false;
        };
        let theirs = kept.record.as_deref().and_then(Record::of_json);
        theirs.is_some_and(|theirs| theirs.id == record.id)
    }

    /// Waits for what others have done since the last write. Nothing comes before the first write.
    pub(super) async fn news(&mut self) -> Seen {
        let Some((seen, _)) = &mut self.seen else {
            return std::future::pending().await;
        };
        loop {
            if seen.changed().await.is_err() {
                return std::future::pending().await;
            }
            match seen.borrow_and_update().clone() {
                Some(Ok(found)) if found.writes != self.writes.load(Ordering::SeqCst) => {}
                Some(seen) => return seen,
                None => {}
            }
        }
    }

    /// Waits for what somebody wants of this rollout, while no engine runs that hears it.
    ///
    /// # Errors
    ///
    /// Where somebody else has taken its place.
    pub async fn wish(&mut self, record: &Record) -> Result<Wish, Lost> {
        loop {
            // What can't be read is written anew with the next stage.
            let Ok(Found { kept: Ok(kept), .. }) = self.news().await else {
                continue;
            };
            if self.is_stored(kept.record.as_ref()) {
                continue;
            }
            let bytes = kept.record.as_deref();
            let theirs = bytes.map(|bytes| record.is_still_run(bytes, self.token()));
            let theirs = theirs.transpose()?;
            self.take_over(kept.record);
            if let Some(wish) = theirs.and_then(|theirs| theirs.wanted) {
                return Ok(wish);
            }
        }
    }

    /// Renews the lease from now on, and watches.
    fn watch(&mut self) {
        let (sender, receiver) = watch::channel(None);
        let watched = watch_and_renew(
            self.store.clone(),
            self.key.clone(),
            self.lease.clone(),
            Arc::clone(&self.stored),
            Arc::clone(&self.writes),
            sender,
        );
        self.seen = Some((receiver, tokio::spawn(watched)));
    }

    fn stop(&mut self) {
        if let Some((_, watched)) = self.seen.take() {
            watched.abort();
        }
    }

    /// Gives the lease back, where it is still held. Where the store can't be reached it runs out by itself.
    pub async fn release(mut self) {
        if let Some((_, watched)) = self.seen.take() {
            // A renewal that is under way would take it again.
            watched.abort();
            watched.await.ok();
            if let Ok(mut session) = self.store.connect(&self.key).await {
                session.release_lease(&self.key, &self.lease).await.ok();
            }
        }
    }
}

/// The record as it is in the store.
fn stored(record: &Mutex<Option<Vec<u8>>>) -> Option<Vec<u8>> {
    record
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Another rollout has begun meanwhile.
pub(super) fn busy(bytes: &[u8]) -> Cause {
    let other = Record::of_json(bytes);
    let holder = other.map_or_else(|| "somebody".to_owned(), |other| other.whose());
    Cause::Busy { holder }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

fn record_of(kept: &Result<Kept, Unreadable>) -> Option<&[u8]> {
    kept.as_ref().ok()?.record.as_deref()
}

/// Renews the lease, only while the record is still as it was: one that has ended needs nobody. What somebody wants of it,
/// written by them, may not have been seen yet.
async fn renew(
    session: &mut Session,
    key: &str,
    lease: &Lease,
    mut record: Option<Vec<u8>>,
) -> Result<(), StoreError> {
    let is_ours = |bytes: &[u8]| {
        let record = Record::of_json(bytes).filter(|record| !record.has_ended());
        let runner = record.and_then(|record| record.runner);
        runner.is_some_and(|runner| runner.token == lease.token)
    };
    loop {
        let write = Write {
            lease: Holder::Held(lease.clone()),
            record: record.map(|is| (Some(is.clone()), is)),
            ..Write::default()
        };
        match session.write(key, &write).await? {
            Written::Stale(Some(is)) if is_ours(&is) => record = Some(is),
            _ => return Ok(()),
        }
    }
}

/// Renews the lease for ever, and tells what is in the store. What goes wrong is no reason to stop the rollout: only a
/// valid key moves traffic, and a lease that is somebody else's by now refuses the next write.
async fn watch_and_renew(
    store: Store,
    key: String,
    lease: Lease,
    record: Arc<Mutex<Option<Vec<u8>>>>,
    writes: Arc<AtomicU64>,
    seen: watch::Sender<Option<Seen>>,
) {
    let mut session = None;
    let mut renewed = Instant::now();
    loop {
        let mut look = async || -> Result<(), StoreError> {
            let session = match &mut session {
                Some(session) => session,
                None => session.insert(store.connect(&key).await?),
            };
            if renewed.elapsed() >= RENEW_EVERY {
                renew(session, &key, &lease, stored(&record)).await?;
                renewed = Instant::now();
            }
            let before = writes.load(Ordering::SeqCst);
            let mut kept = session.rollout_of(&key).await?;
            // Both are of one moment where the record is the same before and after the key was read.
            let reading = loop {
                let reading = session.read_one(&key).await?.reading;
                let again = session.rollout_of(&key).await?;
                if record_of(&again) == record_of(&kept) {
                    break reading;
                }
                kept = again;
            };
            seen.send_replace(Some(Ok(Found {
                key: reading,
                kept,
                writes: before,
            })));
            let left = RENEW_EVERY.saturating_sub(renewed.elapsed());
            // Told at once, or seen at the next renewal.
            match tokio::time::timeout(left, session.changed()).await {
                Ok(changed) => changed.map(drop),
                Err(_) => Ok(()),
            }
        };
        if let Err(error) = look().await {
            tracing::debug!(%error, "the lease could not be renewed");
            session = None;
            seen.send_replace(Some(Err(error.to_string())));
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::rollout::request::{Kind, Request};

    fn record(kind: Kind, to: &str) -> Record {
        let request = Request {
            kind,
            steps: vec![to.to_owned()],
            interval: Duration::ZERO,
            bake: Duration::ZERO,
            timeout: Duration::from_secs(30),
            verify: false,
            wait: true,
            go_back: true,
            without_provider: false,
            override_freeze: false,
        };
        let by = "ann@host".to_owned();
        Record::new("deals", request, by, String::new(), None, Timestamp::now())
    }

    #[tokio::test]
    async fn whoever_takes_the_lease_from_anybody_takes_it_also_from_one_who_has_just_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::File(dir.path().to_owned());
        let lease = |what: &str| Lease::new("ann@host".to_owned(), what.to_owned());
        let mut flip = record(Kind::Flip, "green");
        let mut running = Keeper::new(&store, "active", lease("flip"), None);
        running.begin(&flip).await.unwrap();
        let read = Some(flip.to_json());
        flip.step = 1;
        let written = running.write(&flip, None, false).await;
        assert!(matches!(written, Ok(Written::Done)));

        let back = record(Kind::Rollback, "blue");
        let mut polite = Keeper::new(&store, "active", lease("flip"), read.clone());
        assert!(matches!(polite.begin(&back).await, Err(Cause::Busy { .. })));
        let mut seizing = Keeper::new(&store, "active", lease("rollback"), read).seizing();
        seizing.begin(&back).await.unwrap();
        let written = running.write(&flip, None, false).await;
        assert!(matches!(written, Ok(Written::Held(_))), "{written:?}");
    }
}
