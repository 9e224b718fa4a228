//! `deploy`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::change::{Change, ChangeFlags, is_of, known_traffic, look};
use super::down::{self, NotStopped};
use super::flip::{CareFlags, named, other};
use super::stage::{Stage, missing};
use super::told::Said;
use super::{
    Common, Exit, Failure, NOTHING_CHANGED, block_on, interrupt, print, talk_unless_quiet,
};
use crate::check::CommandLine;
use crate::color::Color;
use crate::config::Stack;
use crate::hook::Stage as Moment;
use crate::rollout::before::Before;
use crate::rollout::engine::Left;
use crate::rollout::hook;
use crate::rollout::interrupts::Interrupts;
use crate::rollout::keeper::Keeper;
use crate::rollout::outcome::End;
use crate::rollout::record::Record;
use crate::rollout::request::Kind;
use crate::traffic::Traffic;

/// Brings a color up, and moves the traffic to it with care.
///
/// The stages: `up`, the command of the config, brings the color up, by default the idle one; then all that `flip`
/// does: the color is verified, the key is set, every instance has confirmed, production is verified and, with --bake,
/// watched; with --stop-old, `down` stops the color that had the traffic, after --grace. A color that has traffic is
/// never brought up or stopped. With --detach, `up` runs here, and a provider does the rest. A failure before the flip
/// leaves production as it is, one after it goes back; what was started of the color is left running, to be looked at.
/// `up` may take as long as `upTimeout` in the config says, else as long as --timeout, and `down` as long as --timeout:
/// after that, and at Ctrl-C, SIGTERM or SIGHUP, it is ended with all that it has started.
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
        let overrides_freeze = self.care.overrides_freeze(&self.flags)?;
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
        if down.is_some() && self.flags.detach {
            let message =
                "--stop-old stops the old color here in the end, which --detach does not wait for";
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
                place: &common.place(),
                kind: Kind::Deploy,
                steps: vec![Traffic::all_to(color.clone())],
                interval: Duration::ZERO,
                bake: self.care.bake,
                verifies,
                overrides_freeze,
            };
            let stages = Stages {
                change: &change,
                color: &color,
                up,
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
    up: &'a CommandLine,
    down: Option<&'a CommandLine>,
    grace: Duration,
}

impl Stages<'_> {
    /// Says what would be done.
    fn show(&self, before: &Before) -> Result<(), Failure> {
        let traffic = known_traffic(before, &self.change.stack.key)?;
        self.refuse_busy(traffic)?;
        if !self.change.common.json {
            let up = self.up.of_color(self.color);
            print(&format!("would run {up}"));
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
        let (change, color) = (self.change, self.color);
        let before = change.look().await?;
        let traffic = known_traffic(&before, &change.stack.key)?.clone();
        self.refuse_busy(&traffic)?;
        change.refuse_frozen(&before, &record)?;
        change.refuse_nested(&before)?;
        if change.flags.detach {
            change.refuse_alone(&before)?;
        }
        drop(before);
        let colors = [color];
        let up = change.bring_up(self.up, &colors, &traffic, &mut record, keeper, interrupt);
        let (before, up) = up.await?;
        if change.flags.detach {
            return change.hand_on(record, keeper).await;
        }
        let began = Instant::now();
        let (record, left) = change.make(before, record, keeper, interrupt).await?;
        let flip = began.elapsed();
        let told = change.told(&record);
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
                self.stop(old, down, &record, interrupt).await?;
            }
        }
        let mut stages = json!({ "up": up.as_secs_f64(), "flip": flip.as_secs_f64() });
        if self.down.is_some() {
            stages["down"] = began.elapsed().as_secs_f64().into();
        }
        told.of(&left, json!({ "stages": stages }))
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
        record: &Record,
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
        let stage = Stage {
            common,
            stack: self.change.name,
            place: self.change.place,
            key: "down",
            color: old,
            line: down.of_color(old),
            within: common.timeout,
        };
        let told = hook::Told::of(record, Moment::Stop, old);
        let stopped = down::stop(&stage, stack, &told, interrupt).await;
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
}
