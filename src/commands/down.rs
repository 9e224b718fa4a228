//! `down`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::flip::named;
use super::holder::Holder;
use super::observer::Observer;
use super::stage::{Stage, Undone, missing};
use super::{Common, Exit, Failure, block_on, interrupt, print, print_json};
use crate::color::Color;
use crate::config::Stack;
use crate::history::{self, author};
use crate::hook::{Hooks, Stage as Moment};
use crate::lease::Lease;
use crate::registry::first_few;
use crate::rollout::before;
use crate::rollout::confirm::LOOK_AGAIN;
use crate::rollout::hook::{self, Said, Told};
use crate::rollout::interrupts::Interrupts;
use crate::rollout::standing::{Standing, look};
use crate::traffic::Traffic;

/// How long is waited for those who have not come to the traffic in force: a change has just been made, or is made to
/// the config.
const SETTLES: Duration = Duration::from_secs(5);

/// Stops a color, unless it has traffic.
///
/// It runs the config's `stop` hooks, and then `down`, the command of the config, in the config's folder, for as long as --timeout at most. It refuses a
/// color that has traffic, however little, and it refuses where it is not known who has the traffic, or where a provider
/// or a Traefik may still send requests there. While it runs, no `flip` or `deploy` gives the color traffic. With
/// --dry-run it only says whether it would: for a color that is stopped by something else, such as by Docker from outside
/// of the container in which this runs.
///
/// Exit codes: 0 stopped; 1 `down` failed, or a hook, which leaves the color as it is; 2 usage or config mistake; 3 refused, nothing was stopped; 6 the store could
/// not be reached; 7 somebody else is changing the traffic, or gave the color traffic while it was stopped.
#[derive(Debug, Args)]
pub struct Down {
    /// The color
    #[arg(value_name = "COLOR")]
    color: String,
    /// Say whether the color can be stopped, and what would be run; stop nothing
    #[arg(long, env = "BLUEGREEN_DRY_RUN", value_parser = crate::flag::parse)]
    dry_run: bool,
    /// Who does it, for whoever is at it at the same time [default: user@host]
    #[arg(long, env = "BLUEGREEN_BY", value_parser = history::reason, value_name = "NAME")]
    by: Option<String>,
}

impl Down {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self { color, dry_run, by } = self;
        let config = common.load()?;
        let (name, stack) = common.stack(&config)?;
        let color = &named(&color, &stack.colors)?;
        let line = stack.down.as_ref().map(|line| line.of_color(color));
        block_on(async {
            if dry_run {
                let idle = refuse_busy(common, stack, color).await;
                idle.map_err(NotStopped::into_failure)?;
                say(common, name, color, "can be stopped: it has no traffic");
                if let (Some(line), false) = (line, common.json) {
                    print(&format!("would run {line}"));
                }
                return Ok(());
            }
            let line = line.ok_or_else(|| missing(name, "down"))?;
            let mut interrupt = interrupt::listen()?;
            let stage = Stage {
                common,
                stack: name,
                place: &common.place(),
                key: "down",
                color,
                line,
                within: common.timeout,
            };
            let by = by.filter(|by| !by.trim().is_empty());
            let by = by.unwrap_or_else(author);
            let lease = Lease::new(by.clone(), format!("down {color}"));
            let holder = Holder::take(common, &stack.key, lease).await?;
            let outcome = async {
                let traffic = refuse_busy(common, stack, color).await?.to_string();
                let told = Told {
                    stage: Moment::Stop,
                    stack: name,
                    color,
                    from: None,
                    to: &traffic,
                    rollout: "",
                    by: &by,
                    why: "",
                };
                stop(&stage, stack, &told, &mut interrupt).await
            };
            let outcome = outcome.await;
            holder.release().await;
            outcome.map_err(NotStopped::into_failure)?;
            say(common, name, color, "is stopped");
            Ok(())
        })
    }
}

fn say(common: &Common, name: &str, color: &Color, what: &str) {
    if common.json {
        print_json(&json!({ "exit": 0, "stack": name, "color": color.as_str() }));
    } else if !common.quiet {
        print(&format!("{name}: {color} {what}"));
    }
}

/// How a color was not stopped as it should have been.
pub(super) enum NotStopped {
    /// It runs as before, because it has traffic.
    Busy(Failure),
    /// It runs as before.
    Runs(Failure),
    /// It may be stopped in part.
    InPart(Failure),
    /// It is stopped, but something is not as it should be.
    Stopped(Failure),
}

impl NotStopped {
    /// What there is to say of it.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Busy(failure)
            | Self::Runs(failure)
            | Self::InPart(failure)
            | Self::Stopped(failure) => failure,
        }
    }
}

/// Runs the hooks before a color is stopped, and the command that stops it, unless it has traffic, and looks whether it has
/// got some meanwhile: a bare SET asks nobody.
///
/// # Errors
///
/// See the exit codes of `down`.
pub(super) async fn stop(
    stage: &Stage<'_>,
    stack: &Stack,
    told: &Told<'_>,
    interrupt: &mut Interrupts,
) -> Result<(), NotStopped> {
    let Stage { common, color, .. } = *stage;
    refuse_busy(common, stack, color).await?;
    if !stack.hooks.stop.is_empty() {
        run_hooks(stage, &stack.hooks, told, interrupt).await?;
        // They may have taken minutes.
        refuse_busy(common, stack, color).await?;
    }
    let stop = async {
        interrupt.received().await;
        "interrupted".to_owned()
    };
    stage.run(stop).await.map_err(|undone| {
        let (why, hint) = match undone {
            Undone::Late(why) => (why, "--timeout gives it longer"),
            Undone::Failed(why) => (why, "run it by hand to see what is wrong"),
            Undone::Interrupted(why) => (why, "it can be run again"),
        };
        let hint = format!("{color} may be stopped in part; {hint}");
        NotStopped::InPart(Failure::new(Exit::Failed, why).hint(hint))
    })?;
    let now = before::read(&common.store, stack).await.map_err(|error| {
        let message = format!(
            "{color} is stopped; whether somebody has given it traffic meanwhile is not known: the store {}: {error}",
            common.store
        );
        let hint = "look with `bluegreen status`, once the store answers";
        NotStopped::Stopped(Failure::new(Exit::Store, message).hint(hint))
    })?;
    match now.traffic.filter(|traffic| traffic.weight(color) > 0) {
        None => Ok(()),
        Some(traffic) => Err(NotStopped::Stopped(
            Failure::new(
                Exit::Conflict,
                format!("somebody else has given {color} traffic ({traffic}) while it was stopped"),
            )
            .hint("bring it up again, or flip away from it; `bluegreen history` says who it was"),
        )),
    }
}

/// Runs the hooks before a color is stopped.
async fn run_hooks(
    stage: &Stage<'_>,
    hooks: &Hooks,
    told: &Told<'_>,
    interrupt: &mut Interrupts,
) -> Result<(), NotStopped> {
    let observer = Observer::new(stage.common);
    let tell = |said: Said<'_>| observer.tell(said.into());
    let why = tokio::select! {
        ran = hook::run(hooks, told, stage.place, &tell) => match ran {
            Ok(()) => return Ok(()),
            Err(failed) => failed.to_string(),
        },
        () = interrupt.received() => "interrupted in a hook `stop`".to_owned(),
    };
    let message = format!("{why}; {} is not stopped", stage.color);
    let failure = Failure::new(Exit::Failed, message);
    Err(NotStopped::Runs(
        failure.hint("mend it, and stop the color with `bluegreen down`"),
    ))
}

/// Refuses a color that may be sent requests; gives the traffic in force.
async fn refuse_busy(common: &Common, stack: &Stack, color: &Color) -> Result<Traffic, NotStopped> {
    let refused = |why: &str, hint: &str| {
        let message = format!("refused: {color} is not stopped: {why}");
        Failure::new(Exit::Refused, message).hint(hint)
    };
    let status = "look with `bluegreen status`";
    let unread = |error| {
        let so = format!("; {color} is not stopped");
        NotStopped::Runs(Failure::store(&common.store, &error, &so))
    };
    let before = before::read(&common.store, stack).await.map_err(unread)?;
    let Some(traffic) = before.traffic else {
        let why = "it is not known which traffic is in force";
        return Err(NotStopped::Runs(refused(why, status)));
    };
    if traffic.weight(color) > 0 {
        let others = stack.colors.iter().filter(|other| *other != color);
        let others: Vec<_> = others
            .map(|other| format!("`bluegreen flip {other}`"))
            .collect();
        return Err(NotStopped::Busy(refused(
            &format!("it has traffic ({traffic})"),
            &format!("flip away from it first: {}", others.join(" or ")),
        )));
    }
    let (mut session, nobody) = (None, Default::default());
    let until = Instant::now() + SETTLES.min(common.timeout);
    loop {
        let standing = look(&common.store, stack, &mut session, &traffic, &nobody).await;
        match standing.map_err(unread)? {
            Standing::Has(_) => return Ok(traffic),
            Standing::Moved(_) => {
                let why = "somebody changes the traffic just now";
                return Err(NotStopped::Busy(refused(why, status)));
            }
            Standing::Lacks(late) if Instant::now() >= until => {
                let late = first_few(late.iter());
                let why = format!(
                    "{traffic} has the traffic, but {color} may still get requests: {late}"
                );
                return Err(NotStopped::Runs(refused(&why, status)));
            }
            Standing::Lacks(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}
