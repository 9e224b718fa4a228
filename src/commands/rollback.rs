//! `rollback`.

use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde_json::json;

use super::change::{Change, ChangeFlags, is_of, known_traffic, look, others};
use super::stage::missing;
use super::{
    Common, Exit, Failure, NOTHING_CHANGED, block_on, interrupt, print, talk, talk_unless_quiet,
};
use crate::check::CommandLine;
use crate::color::Color;
use crate::config::Stack;
use crate::history::{self, Entry};
use crate::rollout::before::Before;
use crate::rollout::interrupts::Interrupts;
use crate::rollout::order::{Unfit, former};
use crate::rollout::request::Kind;
use crate::rollout::there::{self, Note};
use crate::traffic::Traffic;
use crate::verify::presence;

/// Goes back to the traffic that the history says was before, without checking anything first.
///
/// It refuses one thing: to send everybody from somebody to nobody, to a color of which no server of its own takes a
/// connection, as after `deploy --stop-old`. It looks for that for 1.5 s at most, and not at all with --no-verify.
///
/// With --up it starts the color again by `up` where it was stopped, verifies it as `flip` does, and production after.
///
/// Twice in a row it is back where it was; but after a flip that went back by itself there is nothing left to go back to.
/// Every instance is waited for as by `flip`; where no provider runs, it says who will see it. Exit codes: as of `flip`;
/// 1 also where the history knows nothing to go back to; 3 where nobody is there.
#[derive(Debug, Args)]
pub struct Rollback {
    /// Start the color again by the config's `up` where it does not run, and verify it, before going back
    #[arg(long, env = "BLUEGREEN_UP", value_parser = crate::flag::parse)]
    up: bool,
    /// Go back even where nobody is there
    #[arg(long, env = "BLUEGREEN_NO_VERIFY", value_parser = crate::flag::parse)]
    no_verify: bool,
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
        let Self {
            up,
            no_verify,
            flags,
        } = self;
        let config = common.load()?;
        let (name, stack) = common.stack(&config)?;
        let up = match (up, &stack.up) {
            (false, _) => None,
            (true, Some(up)) => Some(up),
            (true, None) => return Err(missing(name, "up")),
        };
        block_on(async {
            let mut interrupt = interrupt::listen()?;
            let mut before = look(common, stack).await?;
            match others(&before, name, &stack.key) {
                // Who has to go back can't wait until somebody else has mended his config.
                Some(others) if before.serves(name) => talk(&format!("note: {others}")),
                _ => is_of(&before, name, &stack.key)?,
            }
            let entries = before.session.history(&stack.key, history::KEPT).await;
            let entries =
                entries.map_err(|error| Failure::store(&common.store, &error, NOTHING_CHANGED))?;
            let now = known_traffic(&before, &stack.key)?.clone();
            let to = former(&stack.colors, &now, &entries).map_err(|unfit| {
                let what = match unfit {
                    Unfit::WentBack(newest) => return went_back(&now, &newest),
                    Unfit::NoHistory => "the history is empty",
                    _ => "the history knows no other traffic",
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
            let stopped = match up {
                Some(_) => stopped(stack, &now, &to).await,
                None => Vec::new(),
            };
            if !no_verify && up.is_none() {
                somebody_is_there(common, stack, &now, &to).await?;
            }
            let change = Change {
                common,
                config: &config,
                name,
                stack,
                flags: &flags,
                place: &common.place(),
                kind: Kind::Rollback,
                steps: vec![to],
                interval: Duration::ZERO,
                bake: Duration::ZERO,
                verifies: up.is_some() && !no_verify,
                overrides_freeze: false,
            };
            match up.filter(|_| !stopped.is_empty()) {
                Some(up) => start_and_go(&change, up, &stopped, before, &mut interrupt).await,
                None => change.carry_out(before, &mut interrupt).await,
            }
        })
    }
}

/// The colors that get traffic again, have none now, and are not known to run.
async fn stopped<'a>(stack: &'a Stack, now: &Traffic, to: &Traffic) -> Vec<&'a Color> {
    let colors = stack.colors.iter();
    let idle = colors.filter(|color| to.weight(color) > 0 && now.weight(color) == 0);
    let looks = idle.map(async |color| (color, presence::look(stack, color).await));
    let looked = join_all(looks).await.into_iter();
    let stopped = looked.filter(|(_, it)| !(it.absent.is_empty() && it.unknown.is_empty()));
    stopped.map(|(color, _)| color).collect()
}

/// Starts the colors again, and goes back to them; with --detach a provider does, once they are started.
async fn start_and_go(
    change: &Change<'_>,
    up: &CommandLine,
    stopped: &[&Color],
    before: Before,
    interrupt: &mut Interrupts,
) -> Result<(), Failure> {
    if change.flags.dry_run {
        if !change.common.json {
            for color in stopped {
                print(&format!("would run {}", up.of_color(color)));
            }
        }
        change.show_plan(&before);
        return Ok(());
    }
    change.refuse_nested(&before)?;
    if change.flags.detach {
        change.refuse_alone(&before)?;
    }
    let now = known_traffic(&before, &change.stack.key)?.clone();
    let mut record = change.record(&before);
    // Whoever is at it, going back is what is wanted now.
    let mut keeper = change.keeper(&before, &record).seizing();
    let said = async {
        let up = change.bring_up(up, stopped, &now, &mut record, &mut keeper, interrupt);
        let (before, up) = up.await?;
        if change.flags.detach {
            return change.hand_on(record, &mut keeper).await;
        }
        let (record, left) = change.make(before, record, &mut keeper, interrupt).await?;
        let stages = json!({ "up": up.as_secs_f64() });
        let more = json!({ "id": record.id, "stages": stages });
        change.told(&record).of(&left, more)
    };
    let said = said.await;
    keeper.release().await;
    said?.print();
    Ok(())
}

/// Whoever wants to go back has what he wants; further on is what failed.
fn went_back(now: &Traffic, newest: &Entry) -> Failure {
    let Entry { from, why, .. } = newest;
    let message =
        format!("{now} has the traffic again already: a flip to {from} {why}; nothing was changed");
    let hint = format!("`bluegreen flip {from} --no-verify`, should it have to be that one");
    Failure::new(Exit::Failed, message).hint(hint)
}

/// Refuses where everybody would go from somebody to nobody.
async fn somebody_is_there(
    common: &Common,
    stack: &Stack,
    now: &Traffic,
    to: &Traffic,
) -> Result<(), Failure> {
    let notes = match there::look(stack, now, to).await {
        Ok(notes) => notes,
        Err(absent) => {
            let color = &absent.color;
            let message =
                format!("refused: nobody is there to take the traffic: {absent}{NOTHING_CHANGED}");
            return Err(Failure::new(Exit::Refused, message).hint(format!(
                "`bluegreen rollback --up` brings {color} up first, where the config has `up`; or go there all the same \
                 with --no-verify"
            )));
        }
    };
    for note in notes {
        let note = match note {
            Note::Absent(absent) => format!("note: from here, {absent}"),
            Note::Unknown(color, services) => format!(
                "note: whether {} of {color} runs is not known here: only Traefik knows the servers",
                services.join(", ")
            ),
        };
        talk_unless_quiet(common, &note);
    }
    Ok(())
}
