//! An instance whose polls come over a connection each, as through a proxy that does not keep them: what it was sent is
//! known by its name instead.
//!
//! Only who shows a token is believed its name. And only a poll that comes soon after an answer proves that it arrived:
//! a Traefik that did not get it backs off for longer, and one that was restarted, and has nothing yet, takes longer to
//! start.

use std::time::{Duration, Instant};

use super::ConnectionId;
use crate::document::Revision;

/// Shorter than Traefik's shortest backoff, 250 ms, and longer than the `pollInterval` that we recommend, 100 ms.
pub(super) const SOON: Duration = Duration::from_millis(200);

/// What an instance was sent and has confirmed, by its name.
#[derive(Debug, Default)]
pub(super) struct ByName {
    /// The connection of its newest poll. Where an older one is still open, it may be answered to nobody.
    newest: Option<ConnectionId>,
    /// What the newest poll was answered with, and when.
    sent: Option<(Revision, Instant)>,
    pub(super) confirmed: Option<Revision>,
}

impl ByName {
    /// A poll has come. Gives how long after the answer before it, where it proves that this has arrived.
    pub(super) fn arrives(&mut self, connection: ConnectionId, now: Instant) -> Option<Duration> {
        self.newest = Some(connection);
        self.confirmed = None;
        let (revision, answered) = self.sent.take()?;
        let gap = now.duration_since(answered);
        if gap > SOON {
            return None;
        }
        self.confirmed = Some(revision);
        Some(gap)
    }

    /// A poll is answered.
    pub(super) fn is_answered(
        &mut self,
        connection: ConnectionId,
        revision: &Revision,
        now: Instant,
    ) {
        if self.newest != Some(connection) {
            return;
        }
        if self.confirmed.as_ref() != Some(revision) {
            self.confirmed = None;
        }
        self.sent = Some((revision.clone(), now));
    }

    /// A connection breaks: whether its answer has arrived is not known.
    pub(super) fn breaks(&mut self, connection: ConnectionId) {
        if self.newest == Some(connection) {
            self.sent = None;
        }
    }
}
