//! `flip`.

use std::time::Duration;

use clap::Args;

use super::change::{Change, ChangeFlags, is_of, known_traffic, look};
use super::{Common, Exit, Failure, block_on, interrupt};
use crate::color::Color;
use crate::config::Stack;
use crate::rollout::order;
use crate::rollout::request::Kind;
use crate::traffic::Traffic;

/// Moves all the traffic of a stack to one color, with care.
///
/// The color is verified first (see `verify`), and production is asked for the color that has the traffic now: another
/// site there is a mistake, and a color that is not well no reason to stay. The key is set only if it is still what it
/// was; then every instance of Traefik, behind every provider, is waited for until it has confirmed the new document,
/// and the one at production until it routes by it (with `marker` in the config: every one); then production is
/// verified through Traefik, and with --bake for as long as that says, then also by the figures of its traffic where the
/// config has an `analysis`. Where something fails after the key was set, it goes back, and that is confirmed too; a
/// store that refuses that is tried until the time is over. While it is at it, another flip of the stack is refused;
/// `rollback` never is. --timeout holds for each of these waits; production may fail for 3 s before that counts. Ctrl-C
/// before the key is set changes nothing; after it, the new traffic stands, and it says so.
///
/// Exit codes: 0 done; 1 failed, or it could not be found out whether the color is ready; nothing was changed; 2 usage
/// or config mistake; 3 refused: a check failed, nothing at all could be verified, or production or the key is somebody
/// else's; nothing was changed; 4 changed, then a check failed and it was rolled back (unless --no-rollback); 5 changed,
/// but not every instance confirmed in time (rolled back unless --no-rollback), or interrupted; 6 the store could not be
/// reached, or refused the way back: it says what is known; 7 somebody else changed the traffic meanwhile, or is at it.
#[derive(Debug, Args)]
pub struct Flip {
    /// The color [default: the other one]
    #[arg(value_name = "COLOR")]
    color: Option<String>,
    #[command(flatten)]
    care: CareFlags,
    #[command(flatten)]
    flags: ChangeFlags,
}

/// Flags of the commands that verify what they do.
#[derive(Debug, Args)]
pub struct CareFlags {
    /// Verify nothing, neither the color before nor production after
    #[arg(long, env = "BLUEGREEN_NO_VERIFY", value_parser = crate::flag::parse)]
    no_verify: bool,
    /// How long production has to keep passing after the flip, such as 60s
    #[arg(long, env = "BLUEGREEN_BAKE", default_value = "0s", hide_default_value = true, value_parser = crate::duration::parse, value_name = "DURATION")]
    pub(super) bake: Duration,
    /// Change the traffic although a freeze window is open; needs a --why
    #[arg(long, env = "BLUEGREEN_OVERRIDE_FREEZE", value_parser = crate::flag::parse)]
    override_freeze: bool,
}

impl CareFlags {
    /// Whether the traffic is changed although a freeze window is open.
    ///
    /// # Errors
    ///
    /// Where nobody says why.
    pub(super) fn overrides_freeze(&self, flags: &ChangeFlags) -> Result<bool, Failure> {
        if self.override_freeze && flags.why.trim().is_empty() {
            let message = "--override-freeze needs a reason, for the history";
            return Err(Failure::new(Exit::Usage, message)
                .hint("as in --why 'the fix for the login can not wait'"));
        }
        Ok(self.override_freeze)
    }

    /// Whether anything of the stack is verified.
    ///
    /// # Errors
    ///
    /// Where production is to be watched, and can't be.
    pub(super) fn verifies(&self, flags: &ChangeFlags, stack: &Stack) -> Result<bool, Failure> {
        if self.bake.is_zero() {
            return Ok(!self.no_verify);
        }
        let refused = |why: &str, hint: &str| {
            let message = format!("--bake watches production, which {why}");
            Err(Failure::new(Exit::Usage, message).hint(hint))
        };
        match (self.no_verify, flags.no_wait, &stack.production) {
            (true, ..) => refused("--no-verify rules out", "remove one of the two"),
            (_, true, _) => refused("--no-wait rules out", "remove one of the two"),
            (.., None) => refused(
                "the config does not name",
                "add `production: http://127.0.0.1:80` to the stack: where this host reaches Traefik's entrypoint",
            ),
            _ => Ok(true),
        }
    }
}

impl Flip {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self { color, care, flags } = self;
        let config = common.load()?;
        let (name, stack) = common.stack(&config)?;
        let verifies = care.verifies(&flags, stack)?;
        let overrides_freeze = care.overrides_freeze(&flags)?;
        let named = color.map(|text| named(&text, &stack.colors)).transpose()?;
        block_on(async {
            let mut interrupt = interrupt::listen()?;
            let before = look(common, stack).await?;
            is_of(&before, name, &stack.key)?;
            let color = match named {
                Some(color) => color,
                None => other(&stack.colors, known_traffic(&before, &stack.key)?)?,
            };
            let change = Change {
                common,
                config: &config,
                name,
                stack,
                flags: &flags,
                place: &common.place(),
                kind: Kind::Flip,
                steps: vec![Traffic::all_to(color)],
                interval: Duration::ZERO,
                bake: care.bake,
                verifies,
                overrides_freeze,
            };
            change.carry_out(before, &mut interrupt).await
        })
    }
}

/// The color of this name.
pub(super) fn named(text: &str, colors: &[Color]) -> Result<Color, Failure> {
    let usage = |error| Failure::new(Exit::Usage, format!("{error}"));
    let traffic = Traffic::parse(text.as_bytes(), colors).map_err(usage)?;
    let whole = traffic.sole().filter(|color| color.as_str() == text);
    let not_a_color =
        || Failure::new(Exit::Usage, format!("`{text}` is not a color")).hint("name one color");
    Ok(whole.ok_or_else(not_a_color)?.clone())
}

/// The one color that has no traffic.
pub(super) fn other(colors: &[Color], traffic: &Traffic) -> Result<Color, Failure> {
    order::other(colors, traffic).map_err(|_| {
        let names: Vec<_> = colors.iter().map(Color::as_str).collect();
        Failure::new(
            Exit::Usage,
            format!("the traffic is {traffic}: it is not clear which color is the other one"),
        )
        .hint(format!("name it: {}", names.join(", ")))
    })
}
