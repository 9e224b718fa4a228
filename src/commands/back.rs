//! The way back, where a change can't stand: the key is set to what was before, and that is confirmed too.

use std::collections::BTreeSet;
use std::time::Instant;

use super::attempts::{Attempt, Attempts, End, Next, NotWritten};
use super::change::{Change, shown};
use super::done::Done;
use super::interrupt::Interrupt;
use super::progress::Progress;
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
        let not_back = match self.set_back(&entry, interrupt).await {
            End::Back => None,
            End::Taken(reading) => {
                let shown = shown(&reading);
                let message = format!(
                    "{what}; not rolled back, because somebody else has changed the key to {shown} meanwhile"
                );
                return Failure::new(Exit::Conflict, message).hint("look at `bluegreen history`");
            }
            End::Stands(NotWritten::Refused(why)) => Some(format!(
                "not rolled back to {from}, which the store still refuses: {why}; {to} keeps the traffic"
            )),
            End::Stands(NotWritten::Away(why)) => Some(format!(
                "not rolled back to {from}, because the store can't be reached: {why}; {to} keeps the traffic"
            )),
            End::Unknown(why) => Some(format!(
                "it is not known whether it could be rolled back to {from}: {why}"
            )),
        };
        if let Some(not_back) = not_back {
            return Failure::new(Exit::Store, format!("{what}; {not_back}"))
                .hint("look with `bluegreen status`; go back with `bluegreen rollback`");
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
            Waited::Confirmed(having, _) if having.is_empty() => {
                "which nobody had to confirm".to_owned()
            }
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
    /// nothing. A store that is away or refuses is tried until the time is over, or somebody interrupts.
    async fn set_back(&self, entry: &Entry, interrupt: &mut Interrupt) -> End {
        let mut attempts = Attempts::until(Instant::now() + self.common.timeout);
        let mut expected = Reading::Value(self.to.to_string().into_bytes());
        let mut progress = Progress::new(self.common.quiet || self.common.json);
        let mut over = false;
        loop {
            let attempt = self.attempt(&expected, entry, attempts.is_any_unanswered());
            let attempt = attempt.await.unwrap_or_else(Attempt::from);
            if over {
                attempts.give_up();
            }
            match attempts.next(attempt, Instant::now()) {
                Next::End(end) => return end,
                Next::Expect(reading) => expected = reading,
                Next::Pause(why) => {
                    progress.show(&format!(
                        "waiting for the store to take the way back: {why}"
                    ));
                    tokio::select! {
                        () = tokio::time::sleep(LOOK_AGAIN) => {}
                        // Once more, for what is known in the end.
                        () = interrupt.received() => over = true,
                    }
                }
            }
        }
    }

    /// One attempt to set the key back, where it holds what is expected; `unanswered`: a former one may have been done.
    async fn attempt(
        &self,
        expected: &Reading,
        entry: &Entry,
        unanswered: bool,
    ) -> Result<Attempt, StoreError> {
        let key = &self.stack.key;
        let mut session = self.common.store.connect(key).await?;
        let reading = match session.set(key, expected, entry).await? {
            Outcome::Set => return Ok(Attempt::Set),
            Outcome::Conflict(reading) => reading,
        };
        if unanswered && session.history(key, 1).await?.first() == Some(entry) {
            return Ok(Attempt::Set);
        }
        Ok(match self.is_anothers(&reading) {
            true => Attempt::Taken(reading),
            false => Attempt::Garbled(reading),
        })
    }

    /// Whether the key has a valid value that this change did not give it.
    fn is_anothers(&self, reading: &Reading) -> bool {
        let Reading::Value(value) = reading else {
            return false;
        };
        Traffic::parse(value, &self.stack.colors).is_ok_and(|traffic| traffic != self.to)
    }
}
