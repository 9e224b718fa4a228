//! `rollback`.

use clap::Args;
use serde_json::json;

use super::before::look;
use super::change::{Change, ChangeFlags};
use super::interrupt::Interrupt;
use super::{Common, Exit, Failure, NOTHING_CHANGED, block_on};
use crate::history;
use crate::traffic::Traffic;

/// Goes back to the traffic that the history says was before, without checking anything first.
///
/// Twice in a row it is back where it was; but after a flip that went back by itself there is nothing left to go back to.
/// Every instance is waited for as by `flip`. Exit codes: as of `flip`; 1 also where the history knows nothing to go
/// back to.
#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    flags: ChangeFlags,
}

impl Rollback {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self { flags } = self;
        let config = common.load()?;
        let (name, stack) = common.stack(&config)?;
        block_on(async {
            let mut before = look(&common.store, stack).await?;
            let entries = before.session.history(&stack.key, history::KEPT).await;
            let entries =
                entries.map_err(|error| Failure::store(&common.store, &error, NOTHING_CHANGED))?;
            let now = before.known_traffic(&stack.key)?.clone();
            if let Some(newest) = entries.first()
                && newest.went_back()
                && newest.to == now.to_string()
            {
                // Whoever wants to go back has what he wants; further on is what failed.
                let message = format!(
                    "{now} has the traffic again already: a flip to {} {}; nothing was changed",
                    newest.from, newest.why
                );
                let hint = format!(
                    "`bluegreen flip {} --no-verify`, should it have to be that one",
                    newest.from
                );
                return Err(Failure::new(Exit::Failed, message).hint(hint));
            }
            // What was before the newest change; where the key has changed since without one, before that.
            let mut former = entries.iter().flat_map(|entry| [&entry.to, &entry.from]);
            let to = former.find_map(|text| {
                let traffic = Traffic::parse(text.as_bytes(), &stack.colors).ok()?;
                (traffic != now).then_some(traffic)
            });
            let to = to.ok_or_else(|| {
                let what = if entries.is_empty() {
                    "the history is empty"
                } else {
                    "the history knows no other traffic"
                };
                Failure::new(
                    Exit::Failed,
                    format!("{what}: there is nothing to go back to; nothing was changed"),
                )
                .hint(format!(
                    "the traffic is {now}; name a color, as in `bluegreen flip {}`",
                    stack.colors[0]
                ))
            })?;
            let change = Change {
                common,
                config: &config,
                name,
                stack,
                flags: &flags,
                to,
                default_why: "rollback",
            };
            if flags.dry_run {
                change.show_plan(&before, None);
                return Ok(());
            }
            let mut interrupt = Interrupt::listen()?;
            let done = change.make(before, None, &mut interrupt).await?;
            change.say_done(&done, json!({}));
            Ok(())
        })
    }
}
