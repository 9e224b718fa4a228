//! The way back, where a change can't stand: the key is set to what was before.

use std::time::Instant;

use super::attempts::{Attempt, Attempts, End, Next, NotWritten};
use super::confirm::LOOK_AGAIN;
use super::context::Context;
use super::event::Event;
use super::interrupts::Interrupts;
use super::keeper::Keeper;
use super::outcome::{WayBack, shown};
use super::record::{Lost, Record};
use crate::history::Entry;
use crate::store::write::Written;
use crate::store::{Reading, StoreError};
use crate::traffic::Traffic;

/// Sets the key back, unless somebody else has set it to something valid meanwhile; what is gone or garbled says nothing.
/// A store that is away or refuses is tried until the time is over, or somebody interrupts. `then` is the record once the
/// key is set back; `is` the traffic now.
///
/// # Errors
///
/// Where somebody else runs the rollout by now.
pub(super) async fn set_back(
    context: &Context<'_>,
    keeper: &mut Keeper,
    then: &Record,
    is: &Traffic,
    entry: &Entry,
    interrupts: &mut Interrupts,
) -> Result<Option<WayBack>, Lost> {
    let mut attempts = Attempts::until(Instant::now() + then.request.timeout);
    let mut expected = Reading::Value(is.to_string().into_bytes());
    let mut over = false;
    loop {
        let written = keeper.write(then, Some((&expected, entry)), false).await;
        let attempt = match written {
            Ok(Written::Done) => Attempt::Set,
            Ok(Written::Conflict(reading)) if is_anothers(context, &reading, is) => {
                Attempt::Taken(reading)
            }
            Ok(Written::Conflict(reading)) => Attempt::Garbled(reading),
            Ok(Written::Held(other)) => return Err(Lost(other.to_string())),
            // A record that vanished says nothing either.
            Ok(Written::Stale(None)) => {
                keeper.take_over(None);
                continue;
            }
            Ok(Written::Stale(Some(bytes))) => {
                then.is_still_run(&bytes, keeper.token())?;
                keeper.take_over(Some(bytes));
                continue;
            }
            Err(error) => Attempt::from(error),
        };
        if over {
            attempts.give_up();
        }
        match attempts.next(attempt, Instant::now()) {
            Next::End(end) => return Ok(way(end)),
            Next::Expect(reading) => expected = reading,
            Next::Pause(why) => {
                (context.tell)(Event::WaitingForWayBack(&why));
                tokio::select! {
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    // Once more, for what is known in the end.
                    () = interrupts.received() => over = true,
                }
            }
        }
    }
}

/// What became of it; none where the key is set back.
fn way(end: End) -> Option<WayBack> {
    Some(match end {
        End::Back => return None,
        End::Taken(reading) => WayBack::Taken {
            found: shown(&reading),
        },
        End::Stands(NotWritten::Refused(reason)) => WayBack::Refused { reason },
        End::Stands(NotWritten::Away(reason)) => WayBack::Away { reason },
        End::Unknown(reason) => WayBack::Unknown { reason },
    })
}

/// Whether the key has a valid value that the rollout did not give it.
fn is_anothers(context: &Context<'_>, reading: &Reading, is: &Traffic) -> bool {
    let Reading::Value(value) = reading else {
        return false;
    };
    Traffic::parse(value, &context.stack.colors).is_ok_and(|traffic| traffic != *is)
}

impl From<StoreError> for Attempt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(refusal) => Self::NotWritten(NotWritten::Refused(refusal.reason)),
            StoreError::Unreachable(why) => Self::NotWritten(NotWritten::Away(why)),
            StoreError::Unknown(why) => Self::Unanswered(why),
        }
    }
}
