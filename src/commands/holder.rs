//! Holding the lease of a stack while its traffic is changed.

use tokio::task::JoinHandle;

use super::{Common, Exit, Failure, NOTHING_CHANGED};
use crate::lease::{LASTS, Lease, RENEW_EVERY};
use crate::store::{Session, Store};

/// The holder of a lease. A holder that is dropped lets it run out.
pub struct Holder {
    store: Store,
    key: String,
    lease: Lease,
    renewal: JoinHandle<()>,
}

impl Holder {
    /// Takes the lease of a stack's key, for what is named.
    ///
    /// # Errors
    ///
    /// Where somebody else holds it, or the store can't be reached.
    pub async fn take(common: &Common, key: &str, what: String) -> Result<Self, Failure> {
        let failed = |error| Failure::store(&common.store, &error, NOTHING_CHANGED);
        let lease = Lease::new(what);
        let mut session = common.store.connect().await.map_err(failed)?;
        if let Some(other) = session.take_lease(key, &lease).await.map_err(failed)? {
            return Err(Failure::new(
                Exit::Conflict,
                format!("{other} is changing `{key}` already; nothing was changed"),
            )
            .hint(format!(
                "wait for them; had they been killed, this ends within {LASTS:?}. `bluegreen rollback` goes back at once, whoever is at it"
            )));
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
    pub async fn release(self) {
        if let Ok(mut session) = self.store.connect().await {
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
            session = store.connect().await.ok();
        }
        if let Some(connected) = &mut session
            && let Err(error) = connected.take_lease(&key, &lease).await
        {
            tracing::debug!(%error, "the lease could not be renewed");
            session = None;
        }
    }
}
