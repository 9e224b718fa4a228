//! The wait after a change: until every instance has the new document.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::applied::Asker;
use super::context::Context;
use super::event::Event;
use super::outcome::{Late, Proof};
use super::standing::{Standing, look};
use crate::store::Reading;
use crate::traffic::Traffic;

/// How often the wait looks at the clock where the store tells nothing new: instances can be gone by then.
pub const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How soon production is asked again whether it routes by the document: Traefik takes a few milliseconds to apply it.
/// Each further pause is twice as long, up to [`LOOK_AGAIN`].
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// How a wait ended.
pub(super) enum Waited {
    /// Every instance has it; their names, and how that is known.
    Confirmed(Vec<String>, Proof),
    /// The time is over, and these do not have it yet.
    Late(Vec<Late>),
    /// The key says something else by now.
    Moved(Reading),
    /// The store could not be reached any more.
    StoreLost(String),
}

/// Waits until every instance has this traffic, without those that are named. `late` holds those that are waited for.
pub(super) async fn confirm(
    context: &Context<'_>,
    to: &Traffic,
    deadline: Instant,
    without: &BTreeSet<String>,
    asker: &mut Asker,
    late: &mut Vec<Late>,
) -> Waited {
    let mut ask_again = FIRST_PAUSE;
    let mut asked_since = None;
    let mut session = None;
    let tell = context.tell;
    loop {
        let mut lost = None;
        let mut again = LOOK_AGAIN;
        let began = Instant::now();
        match look(context.store, context.stack, &mut session, to, without).await {
            Ok(Standing::Moved(reading)) => return Waited::Moved(reading),
            Ok(Standing::Has(having)) => {
                let since = *asked_since.get_or_insert_with(Instant::now);
                if let Some(proof) = asker.ask(&having, since).await {
                    return Waited::Confirmed(having.names, proof);
                }
                again = ask_again;
                ask_again = (ask_again * 2).min(LOOK_AGAIN);
                *late = vec![Late {
                    name: "production".to_owned(),
                    why: "does not route by it yet".to_owned(),
                }];
                tell(Event::WaitingFor(late));
            }
            Ok(Standing::Lacks(lacks)) => {
                *late = lacks;
                tell(Event::WaitingFor(late));
            }
            Err(error) => {
                session = None;
                let error = error.to_string();
                tell(Event::WaitingForStore(&error));
                lost = Some(error);
            }
        }
        let now = Instant::now();
        if now >= deadline {
            return lost.map_or_else(|| Waited::Late(std::mem::take(late)), Waited::StoreLost);
        }
        let pause = again.min(deadline - now);
        // The reports of thousands take their time, and all of them change now: the store has others to serve, too.
        let breath = now - began;
        let changed = async {
            tokio::time::sleep(breath).await;
            match &mut session {
                Some(session) => session.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changed => if changed.is_err() { session = None },
            () = tokio::time::sleep(pause) => {}
        }
    }
}
