//! Holding the lease of a stack while its traffic is changed.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::{Common, Exit, Failure, NOTHING_CHANGED};
use crate::lease::{Lease, RENEW_EVERY};
use crate::store::{Session, Store, StoreError};

/// For how long a store that does not answer is asked again: a server that was only paused does it late.
const WAIT_FOR_ANSWER: Duration = Duration::from_secs(5);

/// The holder of a lease. A holder that is dropped lets it run out.
pub struct Holder {
    store: Store,
    key: String,
    lease: Lease,
    renewal: JoinHandle<()>,
}

impl Holder {
    /// Takes the lease of a stack's key.
    ///
    /// # Errors
    ///
    /// Where somebody else holds it, or the store can't be reached.
    pub async fn take(common: &Common, key: &str, lease: Lease) -> Result<Self, Failure> {
        let until = Instant::now() + WAIT_FOR_ANSWER.min(common.timeout);
        let taken = async || {
            let mut session = common.store.connect(key).await?;
            let other = session.take_lease(key, &lease).await?;
            Ok((session, other))
        };
        let (session, other) = loop {
            match taken().await {
                Ok(taken) => break taken,
                // Only the lease may have been taken, which it does no harm to do again.
                Err(StoreError::Unknown(_)) if Instant::now() < until => {}
                Err(StoreError::Unknown(why)) => {
                    let error = StoreError::Unreachable(why);
                    return Err(Failure::store(&common.store, &error, NOTHING_CHANGED));
                }
                Err(error) => {
                    return Err(Failure::store(&common.store, &error, NOTHING_CHANGED));
                }
            }
        };
        if let Some(other) = other {
            return Err(Failure::new(
                Exit::Conflict,
                format!("{other} is changing `{key}` already; nothing was changed"),
            )
            .hint(
                "wait for them, or look with `bluegreen rollout`; should they be gone, a provider carries it on. `bluegreen \
                 rollback` goes back at once, whoever is at it",
            ));
        }
        let renewal = renew(session, common.store.clone(), key.to_owned(), lease.clone());
        Ok(Self {
            store: common.store.clone(),
            key: key.to_owned(),
            lease,
            renewal: tokio::spawn(renewal),
        })
    }

    /// Gives it back. Where the store can't be reached it runs out by itself.
    pub async fn release(mut self) {
        // A renewal that is under way would take it again.
        self.renewal.abort();
        (&mut self.renewal).await.ok();
        if let Ok(mut session) = self.store.connect(&self.key).await {
            session.release_lease(&self.key, &self.lease).await.ok();
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Renews the lease for ever. What goes wrong is no reason to stop the change: only a valid key moves traffic.
async fn renew(session: Session, store: Store, key: String, lease: Lease) {
    let mut session = Some(session);
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        if session.is_none() {
            session = store.connect(&key).await.ok();
        }
        if let Some(connected) = &mut session
            && let Err(error) = connected.take_lease(&key, &lease).await
        {
            tracing::debug!(%error, "the lease could not be renewed");
            session = None;
        }
    }
}
