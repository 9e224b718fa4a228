//! The operator's wish to wait no longer, such as Ctrl-C.

use tokio::sync::mpsc;

/// The operator's wishes to wait no longer.
pub struct Interrupts(Option<mpsc::Receiver<()>>);

impl Interrupts {
    /// Those that come through here.
    pub fn new(receiver: mpsc::Receiver<()>) -> Self {
        Self(Some(receiver))
    }

    /// Nobody is there who could wish it.
    pub fn never() -> Self {
        Self(None)
    }

    /// Waits for the next one.
    pub async fn received(&mut self) {
        let received = match &mut self.0 {
            Some(receiver) => receiver.recv().await,
            None => None,
        };
        if received.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether one has come already.
    pub fn has_come(&mut self) -> bool {
        let receiver = self.0.as_mut();
        receiver.is_some_and(|receiver| receiver.try_recv().is_ok())
    }
}
