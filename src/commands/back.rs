//! The way back, where a change can't stand: the key is set to what was before, and that is confirmed too.

use std::collections::BTreeSet;
use std::time::Instant;

use super::change::{Change, shown};
use super::done::Done;
use super::interrupt::Interrupt;
use super::wait::{LOOK_AGAIN, Waited, names};
use super::{Exit, Failure, talk};
use crate::history::{Entry, WENT_BACK};
use crate::store::{Outcome, Reading, StoreError};
use crate::traffic::Traffic;

/// Why there is a way back to go.
pub(super) struct Back {
    /// The exit code where it is gone.
    pub(super) exit: Exit,
    /// What went wrong, for the operator.
    pub(super) what: String,
    /// The same in short, for the history.
    pub(super) why: String,
    /// The instances that need not confirm the way back.
    pub(super) without: BTreeSet<String>,
}

impl Change<'_> {
    /// Goes back, unless told otherwise, and says what became of it.
    pub(super) async fn go_back(
        &self,
        back: Back,
        done: &mut Done,
        interrupt: &mut Interrupt,
    ) -> Failure {
        let Back {
            exit,
            what,
            why,
            without,
        } = back;
        let status = "look with `bluegreen status`";
        let to = &self.to;
        if !done.changed {
            // A check that fails is as bad as one that failed before.
            let exit = if exit == Exit::RolledBack {
                Exit::Refused
            } else {
                exit
            };
            let message = format!("{what}; nothing was changed, {to} had the traffic before");
            return Failure::new(exit, message).hint(status);
        }
        let stays = |why: &str| {
            let message = format!("{what}; {to} keeps the traffic{why}");
            Failure::new(exit, message)
                .hint("look with `bluegreen status`; go back with `bluegreen rollback`")
        };
        let Some(from) = &done.from else {
            return stays(": what was before is not known");
        };
        if self.flags.no_rollback {
            return stays(" (--no-rollback)");
        }
        if !self.common.quiet && !self.common.json {
            talk(&format!("going back to {from}"));
        }
        let entry = self.entry(Some(to), from, &format!("{WENT_BACK}{why}"));
        match self.set_back(&entry, interrupt).await {
            Ok(Outcome::Set) => {}
            Ok(Outcome::Conflict(reading)) => {
                return Failure::new(
                    Exit::Conflict,
                    format!(
                        "{what}; not rolled back, because somebody else has changed the key to {} meanwhile",
                        shown(&reading)
                    ),
                )
                .hint("look at `bluegreen history`");
            }
            Err(error) => {
                return Failure::new(
                    Exit::Store,
                    format!(
                        "{what}; it is not known whether it could be rolled back to {from}: {error}"
                    ),
                )
                .hint("look with `bluegreen status`; go back with `bluegreen rollback`");
            }
        }
        let deadline = Instant::now() + self.common.timeout;
        let others = if without.is_empty() {
            "every instance has"
        } else {
            "the other instances have"
        };
        let asker = &mut done.asker;
        let waited = self.wait(None, from, deadline, &without, asker, interrupt);
        let confirmed = match waited.await {
            Waited::Confirmed(..) => format!("which {others} confirmed"),
            Waited::Late(late) | Waited::Interrupted(late) => {
                format!("which is not confirmed by {}", names(&late))
            }
            Waited::Moved(reading) => {
                format!("and changed by somebody to {} since", shown(&reading))
            }
            Waited::StoreLost(reason) => {
                format!("but the store can't be reached any more: {reason}")
            }
        };
        Failure::new(exit, format!("{what}; rolled back to {from}, {confirmed}")).hint(status)
    }

    /// Sets the key back, unless somebody else has set it to something valid meanwhile; what is gone or garbled says
    /// nothing. A store that is away is tried again until the time is over, or somebody interrupts.
    async fn set_back(
        &self,
        entry: &Entry,
        interrupt: &mut Interrupt,
    ) -> Result<Outcome, StoreError> {
        let key = &self.stack.key;
        let until = Instant::now() + self.common.timeout;
        let mut expected = Reading::Value(self.to.to_string().into_bytes());
        let mut unanswered = false;
        loop {
            let outcome = async {
                let mut session = self.common.store.connect(key).await?;
                let outcome = session.set(key, &expected, entry).await?;
                let newest = match outcome {
                    // A write that was not answered may have been done all the same.
                    Outcome::Conflict(_) if unanswered => session.history(key, 1).await?,
                    _ => Vec::new(),
                };
                Ok((outcome, newest))
            };
            let error = match outcome.await {
                Ok((_, newest)) if newest.first() == Some(entry) => return Ok(Outcome::Set),
                Ok((Outcome::Conflict(reading), _)) if !self.is_anothers(&reading) => {
                    expected = reading;
                    continue;
                }
                Ok((outcome, _)) => return Ok(outcome),
                Err(error @ StoreError::Refused(_)) => return Err(error),
                Err(error) => error,
            };
            unanswered |= matches!(error, StoreError::Unknown(_));
            if Instant::now() >= until {
                return Err(error);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = interrupt.received() => return Err(error),
            }
        }
    }

    /// Whether the key has a valid value that this change did not give it.
    fn is_anothers(&self, reading: &Reading) -> bool {
        let Reading::Value(value) = reading else {
            return false;
        };
        Traffic::parse(value, &self.stack.colors).is_ok_and(|traffic| traffic != self.to)
    }
}
