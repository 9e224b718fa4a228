//! Bringing colors up by the config's `up`, before a rollout sends them traffic. Meanwhile its record keeps others away.

use std::time::{Duration, Instant};

use super::change::Change;
use super::stage::{Stage, Undone};
use super::{Common, Exit, Failure, talk_unless_quiet};
use crate::check::CommandLine;
use crate::color::Color;
use crate::rollout::before::Before;
use crate::rollout::interrupts::Interrupts;
use crate::rollout::keeper::Keeper;
use crate::rollout::outcome::{Cause, shown};
use crate::rollout::record::{Lost, Record, Stage as At, Want};
use crate::traffic::Traffic;

impl Change<'_> {
    /// Begins the rollout, and brings the colors up while this is the traffic; gives what is there then, and how long it
    /// took. The record is that of a rollout that goes on with verifying them, or that has ended.
    ///
    /// # Errors
    ///
    /// A [`Failure`]; nothing was changed.
    pub(super) async fn bring_up(
        &self,
        up: &CommandLine,
        colors: &[&Color],
        traffic: &Traffic,
        record: &mut Record,
        keeper: &mut Keeper,
        interrupt: &mut Interrupts,
    ) -> Result<(Before, Duration), Failure> {
        record.stage = At::Up;
        record.runner = Some(keeper.runner());
        if let Err(cause) = keeper.begin(record).await {
            let outcome = record.refused(cause);
            return Err(self.told(record).failure(&outcome));
        }
        let began = Instant::now();
        for color in colors {
            let stage = Stage {
                common: self.common,
                stack: self.name,
                place: self.place,
                key: "up",
                color,
                line: up.of_color(color),
                within: self.stack.up_timeout.unwrap_or(self.common.timeout),
            };
            let mut unwanted = None;
            let stop = async {
                tokio::select! {
                    () = interrupt.received() => "interrupted".to_owned(),
                    cause = unwanted_any_more(self.common, record, keeper) => {
                        let why = match &cause {
                            Cause::Busy { holder } => format!("{holder} has taken its place"),
                            cause => cause.to_string(),
                        };
                        unwanted = Some(cause);
                        why
                    }
                }
            };
            let Err(undone) = stage.run(stop).await else {
                continue;
            };
            let left = format!("what was started of {color} is left as it is");
            let again = self.kind.word();
            let (why, hint) = match undone {
                Undone::Late(why) => (
                    why,
                    format!(
                        "{left}; should `up` need longer, say so: `upTimeout: 15m` in the stack"
                    ),
                ),
                Undone::Failed(why) | Undone::Interrupted(why) => {
                    (why, format!("{left}; mend it, and {again} again"))
                }
            };
            let message = format!("{why}; production is as it was: {traffic} has the traffic");
            let exit = match &unwanted {
                Some(Cause::Busy { .. }) => Exit::Conflict,
                _ => Exit::Failed,
            };
            let cause = unwanted.unwrap_or(Cause::NotUp { why });
            keeper.end(record, cause).await;
            return Err(Failure::new(exit, message).hint(hint));
        }
        let took = began.elapsed();
        // Minutes may have passed.
        let before = self.look().await?;
        if before.traffic.as_ref() != Some(traffic) {
            let found = shown(&before.key.reading);
            let names: Vec<_> = colors.iter().map(|color| color.as_str()).collect();
            let message = format!(
                "somebody else changed `{}` to {found} while {} was brought up; nothing was changed",
                self.stack.key,
                names.join(" and ")
            );
            keeper.end(record, Cause::Moved { found }).await;
            return Err(Failure::new(Exit::Conflict, message).hint("look at `bluegreen history`"));
        }
        record.is_up(before.key.at);
        Ok((before, took))
    }
}

/// Waits until somebody wants it no more, or has taken its place. A pause is kept for when the colors are up.
async fn unwanted_any_more(common: &Common, record: &mut Record, keeper: &mut Keeper) -> Cause {
    loop {
        let wish = match keeper.wish(record).await {
            Ok(wish) => wish,
            Err(Lost(holder)) => return Cause::Busy { holder },
        };
        let done = format!("{} by {}", wish.what.done(), wish.by);
        match wish.what {
            Want::Abort => return Cause::Aborted { by: wish.by },
            Want::Pause => record.paused = Some(wish),
            Want::Resume => record.paused = None,
        }
        talk_unless_quiet(common, &done);
        // Everybody is to see that it is known.
        keeper.write(record, None, false).await.ok();
    }
}
