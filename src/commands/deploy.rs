//! `deploy`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::change::{Change, ChangeFlags, is_of, known_traffic, look};
use super::down::{self, NotStopped};
use super::flip::{CareFlags, named, other};
use super::stage::{Stage, Undone, missing};
use super::told::Said;
use super::{
    Common, Exit, Failure, NOTHING_CHANGED, block_on, interrupt, print, talk_unless_quiet,
};
use crate::check::CommandLine;
use crate::color::Color;
use crate::config::Stack;
use crate::rollout::before::Before;
use crate::rollout::engine::Left;
use crate::rollout::interrupts::Interrupts;
use crate::rollout::keeper::Keeper;
use crate::rollout::outcome::{Cause, End, shown};
use crate::rollout::record::Record;
use crate::rollout::request::Kind;
use crate::traffic::Traffic;

/// Brings a color up, and moves the traffic to it with care.
///
/// The stages: `up`, the command of the config, brings the color up, by default the idle one; then all that `flip`
/// does: the color is verified, the key is set, every instance has confirmed, production is verified and, with --bake,
/// watched; with --stop-old, `down` stops the color that had the traffic, after --grace. A color that has traffic is
/// never brought up or stopped. A failure before the flip leaves production as it is, one after it goes back; what was
/// started of the color is left running, to be looked at. `up` may take as long as `upTimeout` in the config says, else
/// as long as --timeout, and `down` as long as --timeout: after that, and at Ctrl-C, SIGTERM or SIGHUP, it is ended with
/// all that it has started.
///
/// Exit codes: as of `flip`; 1 also where `up` fails, or `down` after everything else; 3 also where the color has
/// traffic.
#[derive(Debug, Args)]
pub struct Deploy {
    /// The color [default: the idle one]
    #[arg(value_name = "COLOR")]
    color: Option<String>,
    /// Stop the color that had the traffic, once production is verified
    #[arg(long, env = "BLUEGREEN_STOP_OLD", value_parser = crate::flag::parse)]
    stop_old: bool,
    /// How long the old color keeps running before it is stopped: requests that it has are to be finished
    #[arg(long, env = "BLUEGREEN_GRACE", default_value = "30s", value_parser = crate::duration::parse, value_name = "DURATION")]
    grace: Duration,
    #[command(flatten)]
    care: CareFlags,
    #[command(flatten)]
    flags: ChangeFlags,
}

impl Deploy {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let config = common.load()?;
        let (name, stack) = common.stack(&config)?;
        let verifies = self.care.verifies(&self.flags, stack)?;
        let up = stack.up.as_ref();
        let up = up.ok_or_else(|| missing(name, "up"))?;
        let down = match (self.stop_old, &stack.down) {
            (false, _) => None,
            (true, Some(down)) => Some(down),
            (true, None) => return Err(missing(name, "down")),
        };
        if down.is_some() && self.flags.no_wait {
            let message = "--stop-old stops a color that no Traefik uses any more, which --no-wait leaves open";
            return Err(Failure::new(Exit::Usage, message).hint("remove one of the two"));
        }
        let color = self.color.as_deref();
        let color = color.map(|text| named(text, &stack.colors)).transpose()?;
        block_on(async {
            let mut interrupt = interrupt::listen()?;
            let before = look(common, stack).await?;
            is_of(&before, name, &stack.key)?;
            let color = match color {
                Some(color) => color,
                None => other(&stack.colors, known_traffic(&before, &stack.key)?)?,
            };
            let change = Change {
                common,
                config: &config,
                name,
                stack,
                flags: &self.flags,
                folder: &common.folder(),
                kind: Kind::Deploy,
                steps: vec![Traffic::all_to(color.clone())],
                interval: Duration::ZERO,
                bake: self.care.bake,
                verifies,
            };
            let stages = Stages {
                change: &change,
                color: &color,
                up: up.of_color(&color),
                down,
                grace: self.grace,
            };
            if self.flags.dry_run {
                return stages.show(&before);
            }
            let record = change.record(&before);
            // The color is still to be brought up, and perhaps another one stopped.
            let mut keeper = change.keeper(&before, &record).lasting();
            let outcome = stages.run(record, &mut keeper, &mut interrupt).await;
            keeper.release().await;
            outcome?.print();
            Ok(())
        })
    }
}

/// A deployment, stage by stage.
struct Stages<'a> {
    change: &'a Change<'a>,
    color: &'a Color,
    up: CommandLine,
    down: Option<&'a CommandLine>,
    grace: Duration,
}

impl Stages<'_> {
    /// Says what would be done.
    fn show(&self, before: &Before) -> Result<(), Failure> {
        let traffic = known_traffic(before, &self.change.stack.key)?;
        self.refuse_busy(traffic)?;
        if !self.change.common.json {
            print(&format!("would run {}", self.up));
        }
        self.change.show_plan(before);
        if let (Some(down), false) = (self.down, self.change.common.json) {
            for old in self.colors_of(traffic) {
                print(&format!(
                    "would run {} after {:?}",
                    down.of_color(old),
                    self.grace
                ));
            }
        }
        Ok(())
    }

    async fn run(
        &self,
        mut record: Record,
        keeper: &mut Keeper,
        interrupt: &mut Interrupts,
    ) -> Result<Said, Failure> {
        let Change { common, stack, .. } = self.change;
        let color = self.color;
        let before = self.change.look().await?;
        let traffic = known_traffic(&before, &stack.key)?.clone();
        drop(before);
        self.refuse_busy(&traffic)?;
        if let Err(cause) = keeper.begin(&record).await {
            return Err(self.refused(record, cause));
        }
        let began = Instant::now();
        let production = format!("production is as it was: {traffic} has the traffic");
        let within = stack.up_timeout.unwrap_or(common.timeout);
        let up = self.stage("up", color, self.up.clone(), within);
        if let Err(undone) = up.run(interrupt).await {
            let left = format!("what was started of {color} is left as it is");
            let (why, hint) = match undone {
                Undone::Late(why) => (
                    why,
                    format!(
                        "{left}; should `up` need longer, say so: `upTimeout: 15m` in the stack"
                    ),
                ),
                Undone::Failed(why) | Undone::Interrupted(why) => {
                    (why, format!("{left}; mend it, and deploy again"))
                }
            };
            keeper
                .end(&mut record, Cause::NotUp { why: why.clone() })
                .await;
            return Err(Failure::new(Exit::Failed, format!("{why}; {production}")).hint(hint));
        }
        let up = began.elapsed();
        // Minutes may have passed.
        let before = self.change.look().await?;
        if before.traffic.as_ref() != Some(&traffic) {
            let found = shown(&before.key.reading);
            let message = format!(
                "somebody else changed `{}` to {found} while {color} was brought up; nothing was changed",
                stack.key,
            );
            keeper.end(&mut record, Cause::Moved { found }).await;
            return Err(Failure::new(Exit::Conflict, message).hint("look at `bluegreen history`"));
        }
        let began = Instant::now();
        record.is_up(before.key.at);
        let (record, left) = self.change.make(before, record, keeper, interrupt).await?;
        let flip = began.elapsed();
        let told = self.change.told(&record);
        let failed = |failure: Failure| {
            match failure.exit {
            Exit::Refused | Exit::Failed | Exit::RolledBack => failure.hint(format!(
                "{color} is left running: look at it with `bluegreen verify {color}`, mend it, and deploy again"
            )),
            _ => failure,
        }
        };
        if !matches!(&left, Left::Ended(outcome) if outcome.end == End::Done) {
            return told.of(&left, json!({})).map_err(failed);
        }
        let began = Instant::now();
        for old in self.colors_of(&traffic) {
            if let Some(down) = self.down {
                self.stop(old, down, interrupt).await?;
            }
        }
        let mut stages = json!({ "up": up.as_secs_f64(), "flip": flip.as_secs_f64() });
        if self.down.is_some() {
            stages["down"] = began.elapsed().as_secs_f64().into();
        }
        told.of(&left, json!({ "stages": stages }))
    }

    /// It ended before the color was brought up.
    fn refused(&self, mut record: Record, cause: Cause) -> Failure {
        let outcome = record.refused(cause);
        let told = self.change.told(&record);
        told.failure(&outcome)
    }

    /// The colors that have some of this traffic.
    fn colors_of(&self, traffic: &Traffic) -> impl Iterator<Item = &Color> {
        let Stack { colors, .. } = self.change.stack;
        let busy: Vec<_> = colors
            .iter()
            .filter(|color| traffic.weight(color) > 0)
            .collect();
        busy.into_iter()
    }

    /// A color that has traffic would be interrupted by being brought up anew.
    fn refuse_busy(&self, traffic: &Traffic) -> Result<(), Failure> {
        let color = self.color;
        if traffic.weight(color) == 0 {
            return Ok(());
        }
        let message = format!(
            "refused: {color} has traffic ({traffic}), and deploying it would interrupt that{NOTHING_CHANGED}"
        );
        Err(Failure::new(Exit::Refused, message).hint(
            "name an idle color, or none; `flip` away from this one first if it has to be this one",
        ))
    }

    /// Stops the old color after its grace, unless it has traffic again.
    async fn stop(
        &self,
        old: &Color,
        down: &CommandLine,
        interrupt: &mut Interrupts,
    ) -> Result<(), Failure> {
        let Change { common, stack, .. } = self.change;
        let color = self.color;
        talk_unless_quiet(common, &format!("{old} is stopped in {:?}", self.grace));
        tokio::select! {
            () = tokio::time::sleep(self.grace) => {}
            () = interrupt.received() => {
                let message = format!("interrupted: {color} has the traffic, but {old} still runs");
                return Err(Failure::new(Exit::Failed, message));
            }
        }
        let down = self.stage("down", old, down.of_color(old), common.timeout);
        let stopped = down::stop(&down, stack, interrupt).await;
        let but = |failure: Failure, runs: &str| Failure {
            message: format!(
                "{}; {color} has the traffic, but {old} {runs}",
                failure.message
            ),
            ..failure
        };
        stopped.map_err(|not_stopped| match not_stopped {
            // It had none when this began.
            NotStopped::Busy(failure) => Failure {
                exit: Exit::Conflict,
                ..failure
            },
            NotStopped::Runs(failure) => but(failure, "still runs"),
            NotStopped::InPart(failure) => but(failure, "may still run"),
            NotStopped::Stopped(failure) => failure,
        })
    }

    fn stage<'b>(
        &'b self,
        key: &'static str,
        color: &'b Color,
        line: CommandLine,
        within: Duration,
    ) -> Stage<'b> {
        Stage {
            common: self.change.common,
            stack: self.change.name,
            folder: self.change.folder,
            key,
            color,
            line,
            within,
        }
    }
}
