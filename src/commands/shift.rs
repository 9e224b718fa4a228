//! `shift`.

use std::time::Duration;

use clap::Args;

use super::change::{Change, ChangeFlags, is_of, look};
use super::flip::CareFlags;
use super::nested::own_rollout;
use super::{Common, Exit, Failure, block_on, interrupt};
use crate::rollout::request::Kind;
use crate::traffic::Traffic;

/// Shifts the traffic of a stack to weights, with the care of a flip.
///
/// Every color that gets a larger share than it has is verified first. The key is set only if it is still what it was;
/// every instance is waited for; then production is verified through Traefik, and with --bake for as long as that says.
/// Where something fails after the key was set, it goes back.
///
/// A `before` or `after` hook may call it for its own rollout: it verifies, sets the key and waits, and the rollout goes
/// on from there, and back where it fails.
///
/// Examples: `bluegreen shift blue:90,green:10`; `bluegreen shift green`.
///
/// Exit codes: as of `flip`.
#[derive(Debug, Args)]
pub struct Shift {
    /// The traffic: a color, or weights such as `blue:90,green:10`
    #[arg(value_name = "TRAFFIC")]
    traffic: String,
    #[command(flatten)]
    care: CareFlags,
    #[command(flatten)]
    flags: ChangeFlags,
}

impl Shift {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self {
            traffic,
            care,
            flags,
        } = self;
        let config = common.load()?;
        let (name, stack) = common.stack(&config)?;
        let verifies = care.verifies(&flags, stack)?;
        let overrides_freeze = care.overrides_freeze(&flags)?;
        let to = Traffic::parse(traffic.as_bytes(), &stack.colors)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        block_on(async {
            let mut interrupt = interrupt::listen()?;
            let before = look(common, stack).await?;
            is_of(&before, name, &stack.key)?;
            let change = Change {
                common,
                config: &config,
                name,
                stack,
                flags: &flags,
                place: &common.place(),
                kind: Kind::Shift,
                steps: vec![to],
                interval: Duration::ZERO,
                bake: care.bake,
                verifies,
                overrides_freeze,
            };
            match own_rollout(&before) {
                Some(own) if !flags.dry_run && !flags.detach => change.shift_of(&own, before).await,
                _ => change.carry_out(before, &mut interrupt).await,
            }
        })
    }
}
