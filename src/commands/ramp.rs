//! `ramp`.

use std::time::Duration;

use clap::Args;

use super::change::{Change, ChangeFlags, is_of, known_traffic, look};
use super::flip::{CareFlags, named, other};
use super::{Common, Exit, Failure, block_on, interrupt, rollout};
use crate::rollout::order::rises;
use crate::rollout::record::Want;
use crate::rollout::request::Kind;
use crate::traffic::ramp;

/// Moves the traffic of a stack to a color by steps, each with the care of a flip.
///
/// Before each step the color is verified; after it every instance is waited for, and production has to keep passing for
/// as long as --interval says, and after the last step for as long as --bake says, by its answers and, where the config
/// has an `analysis`, by the figures of its traffic. The first failure goes back to the traffic before the ramp. Steps that
/// would take traffic from the color are left out. Ctrl-C pauses it: the traffic stays as it is, and
/// `bluegreen ramp --resume` or `bluegreen rollout resume` goes on.
///
/// Examples: `bluegreen ramp green --steps 5,25,50,100 --interval 2m`; `bluegreen ramp --resume`.
///
/// Exit codes: as of `flip`; 5 also where it was paused by Ctrl-C.
#[derive(Debug, Args)]
pub struct Ramp {
    /// The color [default: the other one]
    #[arg(value_name = "COLOR")]
    color: Option<String>,
    /// The share of the color after each step, in percent
    #[arg(long, env = "BLUEGREEN_STEPS", default_value = "5,25,50,100", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=100), value_name = "PERCENT,...")]
    steps: Vec<u32>,
    /// How long production has to keep passing after each step but the last, such as 2m
    #[arg(long, env = "BLUEGREEN_INTERVAL", default_value = "2m", value_parser = crate::duration::parse, value_name = "DURATION")]
    interval: Duration,
    /// Go on with the ramp that was paused, or whose terminal has gone
    #[arg(long, env = "BLUEGREEN_RESUME", value_parser = crate::flag::parse, conflicts_with = "color")]
    resume: bool,
    #[command(flatten)]
    care: CareFlags,
    #[command(flatten)]
    flags: ChangeFlags,
}

impl Ramp {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self {
            color,
            steps,
            interval,
            resume,
            care,
            flags,
        } = self;
        let config = common.load()?;
        let (name, stack) = common.stack(&config)?;
        if !rises(&steps) {
            let message = "--steps has to rise from step to step, up to 100";
            return Err(Failure::new(Exit::Usage, message).hint("as in --steps 5,25,50,100"));
        }
        if flags.no_wait {
            let message = "a ramp waits for every step, which --no-wait rules out";
            return Err(Failure::new(Exit::Usage, message).hint("remove it"));
        }
        if resume {
            return rollout::act(common, &config, Want::Resume, &flags.author());
        }
        let verifies = care.verifies(&flags, stack)?;
        let overrides_freeze = care.overrides_freeze(&flags)?;
        if verifies && stack.production.is_none() {
            let message = "a ramp watches production, which the config does not name";
            return Err(Failure::new(Exit::Usage, message).hint(
                "add `production: http://127.0.0.1:80` to the stack: where this host reaches Traefik's entrypoint",
            ));
        }
        let named = color.map(|text| named(&text, &stack.colors)).transpose()?;
        block_on(async {
            let mut interrupt = interrupt::listen()?;
            let before = look(common, stack).await?;
            is_of(&before, name, &stack.key)?;
            let from = known_traffic(&before, &stack.key)?.clone();
            let color = match named {
                Some(color) => color,
                None => other(&stack.colors, &from)?,
            };
            let change = Change {
                common,
                config: &config,
                name,
                stack,
                flags: &flags,
                place: &common.place(),
                kind: Kind::Ramp,
                steps: ramp(&from, &color, &steps, &stack.colors),
                interval,
                bake: care.bake,
                verifies,
                overrides_freeze,
            };
            change.carry_out(before, &mut interrupt).await
        })
    }
}
