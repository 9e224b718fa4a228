//! `flip`.

use clap::Args;

use super::before::look;
use super::change::{Change, ChangeFlags};
use super::{Common, Exit, Failure, block_on, talk};
use crate::color::Color;
use crate::traffic::Traffic;

/// Moves all the traffic of a stack to one color.
///
/// The key is set only if it is still what it was; then every instance of Traefik, behind every provider, is waited
/// for until it has confirmed the new document (with `marker` in the config: until it routes by it). Where one does
/// not in time, it goes back. This version does not check the color itself, neither before nor after.
///
/// Exit codes: 0 done; 1 failed, nothing was changed; 2 usage or config mistake; 5 changed, but not every instance
/// confirmed in time (rolled back unless --no-rollback); 6 the store could not be reached; 7 somebody else changed the
/// traffic meanwhile.
#[derive(Debug, Args)]
pub struct Flip {
    /// The color [default: the other one]
    #[arg(value_name = "COLOR")]
    color: Option<String>,
    /// Do not check anything (this version doesn't anyway, and says so without this flag)
    #[arg(long, env = "BLUEGREEN_NO_VERIFY", value_parser = clap::builder::FalseyValueParser::new())]
    no_verify: bool,
    #[command(flatten)]
    flags: ChangeFlags,
}

impl Flip {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self {
            color,
            no_verify,
            flags,
        } = self;
        let config = common.load()?;
        let (name, stack) = common.stack(&config)?;
        let named = match &color {
            Some(text) => {
                let usage = |error| Failure::new(Exit::Usage, format!("{error}"));
                let traffic = Traffic::parse(text.as_bytes(), &stack.colors).map_err(usage)?;
                let whole = traffic.sole().filter(|color| color.as_str() == text);
                let not_a_color = || {
                    Failure::new(Exit::Usage, format!("`{text}` is not a color"))
                        .hint("name one color")
                };
                Some(whole.ok_or_else(not_a_color)?.clone())
            }
            None => None,
        };
        block_on(async {
            let before = look(&common.store, stack).await?;
            let to = match named {
                Some(color) => color,
                None => other(&stack.colors, before.known_traffic(&stack.key)?)?,
            };
            if !no_verify && !common.quiet {
                talk(&format!(
                    "note: this version does not check {to} itself, neither before nor after (--no-verify hides this)"
                ));
            }
            let to = Traffic::all_to(to);
            let change = Change {
                common,
                config: &config,
                name,
                stack,
                flags: &flags,
                to,
                default_why: "",
            };
            change.make(before).await
        })
    }
}

/// The one color that has no traffic.
fn other(colors: &[Color], traffic: &Traffic) -> Result<Color, Failure> {
    let idle: Vec<_> = colors
        .iter()
        .filter(|color| traffic.weight(color) == 0)
        .collect();
    match idle.as_slice() {
        [color] => Ok((*color).clone()),
        _ => {
            let names: Vec<_> = colors.iter().map(Color::as_str).collect();
            Err(Failure::new(
                Exit::Usage,
                format!("the traffic is {traffic}: it is not clear which color is the other one"),
            )
            .hint(format!("name it: {}", names.join(", "))))
        }
    }
}
