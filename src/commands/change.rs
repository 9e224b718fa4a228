//! A change of traffic, as `flip` and `rollback` make it: set the key if it is still what it was, and wait until every
//! instance has the new document. [`super::care`] is what `flip` does around it, [`super::back`] the way back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;

use super::applied::{Asker, Proof};
use super::back::Back;
use super::before::Before;
use super::care::Care;
use super::done::Done;
use super::interrupt::Interrupt;
use super::wait::{LOOK_AGAIN, Late, Waited, list, names};
use super::{Common, Exit, Failure, NOTHING_CHANGED};
use crate::config::Stack;
use crate::history::{self, Entry, author};
use crate::registry::Aged;
use crate::store::{Outcome, Reading, Session, StoreError};
use crate::traffic::Traffic;
use crate::verify::report::Report;

/// How long a write that was not answered is looked for: a server that was only paused does it late.
const LOOK_FOR_WRITE: Duration = Duration::from_secs(5);

/// How long a provider that has just been started may take to report.
const FIRST_REPORT: Duration = Duration::from_millis(1500);

/// Flags of the commands that change traffic.
#[derive(Debug, Args)]
pub struct ChangeFlags {
    /// Why, for the history
    #[arg(
        long,
        env = "BLUEGREEN_WHY",
        default_value = "",
        hide_default_value = true,
        value_parser = history::reason,
        value_name = "TEXT"
    )]
    why: String,
    /// Who does it, for the history [default: user@host]
    #[arg(long, env = "BLUEGREEN_BY", value_parser = history::reason, value_name = "NAME")]
    by: Option<String>,
    /// Only set the key; wait for no instance
    #[arg(long, env = "BLUEGREEN_NO_WAIT", value_parser = crate::flag::parse)]
    pub(super) no_wait: bool,
    /// Leave the new traffic where not every instance confirmed in time, or production fails a check
    #[arg(long, env = "BLUEGREEN_NO_ROLLBACK", value_parser = crate::flag::parse)]
    pub(super) no_rollback: bool,
    /// Say what would be done, and how the document would change; change nothing
    #[arg(long, env = "BLUEGREEN_DRY_RUN", value_parser = crate::flag::parse)]
    pub(super) dry_run: bool,
}

impl ChangeFlags {
    /// Who makes the change.
    pub(super) fn author(&self) -> String {
        let given = self.by.clone().filter(|by| !by.trim().is_empty());
        given.unwrap_or_else(author)
    }
}

/// A change that is to be made.
pub struct Change<'a> {
    /// Flags that all commands know.
    pub common: &'a Common,
    /// The config.
    pub config: &'a crate::config::Config,
    /// The stack's name.
    pub name: &'a str,
    /// The stack.
    pub stack: &'a Stack,
    /// Flags of the commands that change traffic.
    pub flags: &'a ChangeFlags,
    /// The new traffic.
    pub to: Traffic,
    /// Why, where the operator said nothing.
    pub default_why: &'a str,
    /// Whether it is made although no provider runs that would bring it to Traefik.
    pub without_provider: bool,
}

impl Change<'_> {
    /// Makes it; with `care`, the color is verified before, and production after.
    ///
    /// # Errors
    ///
    /// See the exit codes of `flip`.
    pub(super) async fn make(
        &self,
        before: Before,
        care: Option<&Care<'_>>,
        interrupt: &mut Interrupt,
    ) -> Result<Done, Failure> {
        let Before {
            mut session,
            key,
            reports,
            traffic: from,
        } = before;
        let to_nobody = self.without_provider && !reports.iter().any(Aged::runs);
        let waits = !self.flags.no_wait && !to_nobody;
        if waits && !self.provider_runs(&mut session, &reports).await? {
            return Err(Failure::new(
                Exit::Failed,
                format!("no `bluegreen serve` reports to {}: nobody would bring the change to Traefik; nothing was changed", self.common.store),
            )
            .hint("start it, or set the key all the same with --no-wait"));
        }
        let asker = Asker::new(self.stack.production.clone(), &reports);
        let mut checks = Report::default();
        if let Some(care) = care {
            let before = care.before(self, from.as_ref(), &reports, interrupt);
            checks = before.await?;
        }
        let mut done = Done {
            from,
            changed: {
                let told = key.tells(&self.stack.colors, self.stack.guard.is_some());
                told.as_ref() != Some(&self.to)
            },
            asker,
            instances: None,
            to_nobody,
            checks,
            began: Instant::now(),
            confirmed: Duration::ZERO,
        };
        // A connection that was idle while the color was verified may be broken without anybody having noticed.
        let session = care.is_none().then_some(session);
        let outcome = self.carry_out(session, &key.reading, care, &mut done, interrupt);
        match outcome.await {
            Ok(()) => Ok(done),
            Err(failure) if care.is_some() => Err(failure.checks(done.checks)),
            Err(failure) => Err(failure),
        }
    }

    /// Sets the key and sees to it that everything follows, however far that comes.
    async fn carry_out(
        &self,
        session: Option<Session>,
        expected: &Reading,
        care: Option<&Care<'_>>,
        done: &mut Done,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        if interrupt.has_come() {
            let message = "interrupted; nothing was changed";
            return Err(Failure::new(Exit::Failed, message));
        }
        if done.changed {
            self.set(session, expected, done.from.as_ref()).await?;
        }
        if self.flags.no_wait || done.to_nobody {
            return Ok(());
        }
        done.instances = Some(self.confirm(done, interrupt).await?);
        done.confirmed = done.began.elapsed();
        if let Some(care) = care {
            self.say_confirmed(done);
            care.after(self, done, interrupt).await?;
        }
        Ok(())
    }

    /// Sets the key if it is still what it was.
    async fn set(
        &self,
        session: Option<Session>,
        expected: &Reading,
        from: Option<&Traffic>,
    ) -> Result<(), Failure> {
        let failed = |error| Failure::store(&self.common.store, &error, NOTHING_CHANGED);
        let entry = self.entry(from, &self.to, self.why());
        let mut session = match session {
            Some(session) => session,
            None => self
                .common
                .store
                .connect(&self.stack.key)
                .await
                .map_err(failed)?,
        };
        let outcome = match session.set(&self.stack.key, expected, &entry).await {
            Err(StoreError::Unknown(reason)) => self.look_for(&entry, reason).await?,
            other => other.map_err(failed)?,
        };
        let Outcome::Conflict(reading) = outcome else {
            return Ok(());
        };
        Err(Failure::new(
            Exit::Conflict,
            format!(
                "somebody else changed `{}` meanwhile: it is {}; nothing was changed",
                self.stack.key,
                shown(&reading)
            ),
        )
        .hint("look at `bluegreen history`, and flip again if that is what you want"))
    }

    /// Waits until every instance has it; their names, and how that is known.
    async fn confirm(
        &self,
        done: &mut Done,
        interrupt: &mut Interrupt,
    ) -> Result<(Vec<String>, Proof), Failure> {
        let deadline = done.began + self.common.timeout;
        let without = BTreeSet::new();
        let asker = &mut done.asker;
        let waited = self.wait(None, &self.to, deadline, &without, asker, interrupt);
        match waited.await {
            Waited::Confirmed(instances, proof) => Ok((instances, proof)),
            Waited::Late(late) => Err(self.not_confirmed(done, &late, interrupt).await),
            Waited::Moved(reading) => Err(self.moved(&reading)),
            Waited::StoreLost(reason) => Err(Failure::new(
                Exit::Store,
                format!(
                    "`{}` was set to {}, but then the store could not be reached ({reason}): \
                     whether every instance has it is not known",
                    self.stack.key, self.to
                ),
            )
            .hint("look with `bluegreen status`, once the store answers")),
            Waited::Interrupted(late) => Err(Failure::new(
                Exit::Unconfirmed,
                format!(
                    "interrupted: {} has the traffic, but not every instance has confirmed: {}",
                    self.to,
                    list(&late)
                ),
            )
            .hint(format!(
                "look with `bluegreen status`; `bluegreen rollback` goes back to {}",
                text(done.from.as_ref())
            ))),
        }
    }

    /// Not every instance confirmed in time: goes back, unless told otherwise.
    async fn not_confirmed(
        &self,
        done: &mut Done,
        late: &[Late],
        interrupt: &mut Interrupt,
    ) -> Failure {
        let back = Back {
            exit: Exit::Unconfirmed,
            what: format!(
                "not every instance confirmed {} in {:?}: {}",
                self.to,
                self.common.timeout,
                list(late)
            ),
            why: format!("{} was not confirmed in time by {}", self.to, names(late)),
            without: late.iter().map(|late| late.name.clone()).collect(),
        };
        self.go_back(back, done, interrupt).await
    }

    /// Somebody else changed the key after this did.
    pub(super) fn moved(&self, reading: &Reading) -> Failure {
        Failure::new(
            Exit::Conflict,
            format!(
                "somebody else has changed `{}` to {} meanwhile; that stands",
                self.stack.key,
                shown(reading)
            ),
        )
        .hint("look at `bluegreen history`")
    }

    /// Whether a provider runs; one that has just been started gets the time for its first report.
    async fn provider_runs(
        &self,
        session: &mut Session,
        reports: &[Aged],
    ) -> Result<bool, Failure> {
        if reports.iter().any(Aged::runs) {
            return Ok(true);
        }
        let until = Instant::now() + FIRST_REPORT.min(self.common.timeout);
        while Instant::now() < until {
            // Told at once, or seen at the next look.
            tokio::time::timeout(LOOK_AGAIN, session.changed())
                .await
                .ok();
            let reports = session.reports(&self.stack.key).await;
            let reports = reports
                .map_err(|error| Failure::store(&self.common.store, &error, NOTHING_CHANGED))?;
            if reports.iter().any(Aged::runs) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether smoke tests of production are run after.
    pub(super) fn checks_production(&self) -> bool {
        let mut checks = self.stack.checks.iter();
        !self.flags.no_wait && checks.any(|check| check.on_production)
    }

    fn why(&self) -> &str {
        if self.flags.why.is_empty() {
            self.default_why
        } else {
            &self.flags.why
        }
    }

    pub(super) fn entry(&self, from: Option<&Traffic>, to: &Traffic, why: &str) -> Entry {
        Entry {
            at: Timestamp::now(),
            from: from.map(ToString::to_string).unwrap_or_default(),
            to: to.to_string(),
            by: self.flags.author(),
            why: why.to_owned(),
        }
    }

    /// A write was not answered. It may still be done: looks whether it was.
    async fn look_for(&self, entry: &Entry, reason: String) -> Result<Outcome, Failure> {
        let until = Instant::now() + LOOK_FOR_WRITE.min(self.common.timeout);
        while Instant::now() < until {
            if let Ok(mut session) = self.common.store.connect(&self.stack.key).await
                && let Ok(newest) = session.history(&self.stack.key, 1).await
                && newest.first() == Some(entry)
            {
                return Ok(Outcome::Set);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(Failure::new(
            Exit::Store,
            format!(
                "{reason}: whether `{}` was set to {} is not known; it may still be done",
                self.stack.key, self.to
            ),
        )
        .hint("look with `bluegreen status`, once the store answers"))
    }
}

/// A traffic that may not be known.
pub(super) fn text(traffic: Option<&Traffic>) -> String {
    traffic.map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// A reading in words; garbage is shown shortened.
pub fn shown(reading: &Reading) -> String {
    match reading {
        Reading::Missing => "gone".to_owned(),
        Reading::WrongType(_) => "not a string".to_owned(),
        Reading::TooLong(bytes) => format!("far too long ({bytes} bytes)"),
        Reading::Value(value) => {
            let text = String::from_utf8_lossy(&value[..value.len().min(40)]);
            format!("`{}`", text.trim())
        }
    }
}
