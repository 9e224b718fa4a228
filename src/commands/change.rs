//! A change of traffic, as `flip` and `rollback` make it: set the key if it is still what it was, wait until every
//! instance has the new document, go back where one does not.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::before::Before;
use super::wait::{LOOK_AGAIN, Late, Waited, list, names};
use super::{Common, Exit, Failure, NOTHING_CHANGED, print, print_json, talk};
use crate::config::Stack;
use crate::history::{Entry, author};
use crate::registry::Aged;
use crate::store::{Outcome, Reading, Session, StoreError};
use crate::traffic::Traffic;

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
        value_parser = reason,
        value_name = "TEXT"
    )]
    why: String,
    /// Only set the key; wait for no instance
    #[arg(long, env = "BLUEGREEN_NO_WAIT", value_parser = clap::builder::FalseyValueParser::new())]
    no_wait: bool,
    /// Leave the new traffic where not every instance confirmed in time
    #[arg(long, env = "BLUEGREEN_NO_ROLLBACK", value_parser = clap::builder::FalseyValueParser::new())]
    no_rollback: bool,
    /// Say what would be done, and how the document would change; change nothing
    #[arg(long, env = "BLUEGREEN_DRY_RUN", value_parser = clap::builder::FalseyValueParser::new())]
    dry_run: bool,
}

/// A reason that fits into a history.
fn reason(text: &str) -> Result<String, String> {
    const LONGEST: usize = 1000;
    if text.len() > LONGEST {
        return Err(format!("it has {} bytes: at most {LONGEST}", text.len()));
    }
    Ok(text.to_owned())
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
}

impl Change<'_> {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// See the exit codes of `flip`.
    pub async fn make(self, before: Before) -> Result<(), Failure> {
        let Before {
            mut session,
            key,
            reports,
            traffic,
        } = before;
        let from = traffic.as_ref();
        if self.flags.dry_run {
            self.show_plan(from, &reports);
            return Ok(());
        }
        let key_says_so = matches!(&key.reading, Reading::Value(value) if Traffic::parse(value, &self.stack.colors).as_ref() == Ok(&self.to));
        if !self.flags.no_wait && !self.provider_runs(&mut session, &reports).await? {
            return Err(Failure::new(
                Exit::Failed,
                format!("no `bluegreen serve` reports to {}: nobody would bring the change to Traefik; nothing was changed", self.common.store),
            )
            .hint("start it, or set the key all the same with --no-wait"));
        }
        let began = Instant::now();
        if !key_says_so {
            let entry = self.entry(from, &self.to, self.why());
            let outcome = match session.set(&self.stack.key, &key.reading, &entry).await {
                Err(StoreError::Unknown(reason)) => self.look_for(&entry, reason).await?,
                other => other
                    .map_err(|error| Failure::store(&self.common.store, &error, NOTHING_CHANGED))?,
            };
            if let Outcome::Conflict(reading) = outcome {
                return Err(Failure::new(
                    Exit::Conflict,
                    format!(
                        "somebody else changed `{}` meanwhile: it is {}; nothing was changed",
                        self.stack.key,
                        shown(&reading)
                    ),
                )
                .hint("look at `bluegreen history`, and flip again if that is what you want"));
            }
        }
        if self.flags.no_wait {
            self.done(from, !key_says_so, None, began);
            return Ok(());
        }
        let deadline = began + self.common.timeout;
        match self
            .wait(Some(session), &self.to, deadline, &BTreeSet::new())
            .await
        {
            Waited::Confirmed(instances) => {
                self.done(from, !key_says_so, Some(&instances), began);
                Ok(())
            }
            Waited::Late(late) => Err(self.not_confirmed(from, !key_says_so, &late).await),
            Waited::Moved(reading) => Err(Failure::new(
                Exit::Conflict,
                format!(
                    "somebody else has changed `{}` to {} meanwhile; that stands",
                    self.stack.key,
                    shown(&reading)
                ),
            )
            .hint("look at `bluegreen history`")),
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
            .hint("look with `bluegreen status`; go back with `bluegreen rollback`")),
        }
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

    fn why(&self) -> &str {
        if self.flags.why.is_empty() {
            self.default_why
        } else {
            &self.flags.why
        }
    }

    fn entry(&self, from: Option<&Traffic>, to: &Traffic, why: &str) -> Entry {
        Entry {
            at: Timestamp::now(),
            from: from.map(ToString::to_string).unwrap_or_default(),
            to: to.to_string(),
            by: author(),
            why: why.to_owned(),
        }
    }

    /// Says what was done.
    fn done(
        &self,
        from: Option<&Traffic>,
        changed: bool,
        instances: Option<&[String]>,
        began: Instant,
    ) {
        let seconds = began.elapsed().as_secs_f64();
        if self.common.json {
            print_json(&json!({
                "exit": 0, "stack": self.name, "from": from.map(ToString::to_string), "to": self.to.to_string(), "changed": changed,
                "instances": instances, "seconds": seconds,
            }));
            return;
        }
        if self.common.quiet {
            return;
        }
        let what = if changed {
            format!("{}: {} → {}", self.name, text(from), self.to)
        } else {
            format!("{}: {} already has the traffic", self.name, self.to)
        };
        match instances {
            None => print(&format!("{what}; not waited for any instance")),
            Some([]) => {
                print(&what);
                talk("note: no Traefik polls any provider: nobody had to confirm");
            }
            Some(names) => {
                let s = if names.len() == 1 { "" } else { "s" };
                let applied = self.config.marker.is_some();
                let proof = if applied { "applied" } else { "confirmed" };
                print(&format!(
                    "{what}, {proof} by {} instance{s} in {:.0} ms: {}",
                    names.len(),
                    seconds * 1000.0,
                    names.join(", ")
                ));
            }
        }
    }

    /// A write was not answered. It may still be done: looks whether it was.
    async fn look_for(&self, entry: &Entry, reason: String) -> Result<Outcome, Failure> {
        let until = Instant::now() + LOOK_FOR_WRITE.min(self.common.timeout);
        while Instant::now() < until {
            if let Ok(mut session) = self.common.store.connect().await
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

    /// Not every instance confirmed in time: goes back, unless told otherwise.
    async fn not_confirmed(self, from: Option<&Traffic>, changed: bool, late: &[Late]) -> Failure {
        let what = format!(
            "not every instance confirmed {} in {:?}: {}",
            self.to,
            self.common.timeout,
            list(late)
        );
        if !changed {
            return Failure::new(
                Exit::Unconfirmed,
                format!(
                    "{what}; nothing was changed, {} had the traffic before",
                    self.to
                ),
            )
            .hint("look with `bluegreen status`");
        }
        let Some(from) = from else {
            return Failure::new(
                Exit::Unconfirmed,
                format!(
                    "{what}; what was before is not known, so {} keeps the traffic",
                    self.to
                ),
            )
            .hint("look with `bluegreen status`");
        };
        if self.flags.no_rollback {
            return Failure::new(
                Exit::Unconfirmed,
                format!("{what}; {} keeps the traffic (--no-rollback)", self.to),
            )
            .hint("look with `bluegreen status`; go back with `bluegreen rollback`");
        }
        let entry = self.entry(
            Some(&self.to),
            from,
            &format!("{} was not confirmed in time by {}", self.to, names(late)),
        );
        let expected = Reading::Value(self.to.to_string().into_bytes());
        let went_back = match self.common.store.connect().await {
            Ok(mut session) => set_as_written(&mut session, &self.stack.key, &expected, &entry)
                .await
                .map(|set| (set, session)),
            Err(error) => Err(error),
        };
        match went_back {
            Ok((Outcome::Set, session)) => {
                let without = late.iter().map(|late| late.name.clone()).collect();
                let deadline = Instant::now() + self.common.timeout;
                let confirmed = match self.wait(Some(session), from, deadline, &without).await {
                    Waited::Confirmed(_) => "which the other instances have confirmed".to_owned(),
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
                Failure::new(
                    Exit::Unconfirmed,
                    format!("{what}; rolled back to {from}, {confirmed}"),
                )
                .hint("look with `bluegreen status`")
            }
            Ok((Outcome::Conflict(reading), _)) => Failure::new(
                Exit::Conflict,
                format!(
                    "{what}; not rolled back, because somebody else has changed the key to {} meanwhile",
                    shown(&reading)
                ),
            ),
            Err(error) => Failure::new(
                Exit::Store,
                format!(
                    "{what}; it is not known whether it could be rolled back to {from}: {error}"
                ),
            )
            .hint("look with `bluegreen status`; go back with `bluegreen rollback`"),
        }
    }
}

/// Sets a key that holds what was set, give or take white space that somebody else's `SET` had.
async fn set_as_written(
    session: &mut Session,
    key: &str,
    expected: &Reading,
    entry: &Entry,
) -> Result<Outcome, StoreError> {
    let outcome = session.set(key, expected, entry).await?;
    let (Outcome::Conflict(Reading::Value(is)), Reading::Value(wanted)) = (&outcome, expected)
    else {
        return Ok(outcome);
    };
    if is.trim_ascii() != wanted.trim_ascii() {
        return Ok(outcome);
    }
    session.set(key, &Reading::Value(is.clone()), entry).await
}

/// A traffic that may not be known.
pub(super) fn text(traffic: Option<&Traffic>) -> String {
    traffic.map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// A reading in words; garbage is shown shortened and escaped.
pub fn shown(reading: &Reading) -> String {
    match reading {
        Reading::Missing => "gone".to_owned(),
        Reading::WrongType(_) => "not a string".to_owned(),
        Reading::Value(value) => {
            let text = String::from_utf8_lossy(&value[..value.len().min(40)]);
            format!("`{}`", text.trim().escape_debug())
        }
    }
}
