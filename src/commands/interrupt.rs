//! Ctrl-C and SIGTERM: a command that changes something ends in a known state, and says which.

use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, Failure};

/// Hears them from now on; the process does not end by them any more.
pub struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// Where the system does not let it.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            let failed = |error| {
                let message =
                    format!("signals can't be listened for: {error}; nothing was changed");
                Failure::new(Exit::Failed, message)
            };
            signal(kind).map_err(failed)
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Whether one has come already.
    pub fn has_come(&mut self) -> bool {
        self.received().now_or_never().is_some()
    }

    /// Waits for the next one.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
