//! The guard at work: looks at the servers of what is held back, again and again, until the key is followed or says
//! something else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Shared;
use super::figures::Failing;
use crate::config::{Guard, Stack};
use crate::state::guard::{Held, Unwell, Verdict};
use crate::verify::health;

/// Between two looks, on average: half of it to one and a half times as much, so that many providers do not ask in step.
const AGAIN: Duration = Duration::from_secs(1);

/// What was seen of a stack.
pub type Seen = (String, Verdict);

/// Looks at all that is held back, each by itself, for as long as it is.
pub async fn watch(
    shared: Arc<Shared>,
    mut held: watch::Receiver<BTreeMap<String, Held>>,
    seen: mpsc::Sender<Seen>,
) {
    // A look ends as soon as nobody has it any more.
    let mut looks: BTreeMap<String, (Held, JoinSet<()>)> = BTreeMap::new();
    loop {
        let wanted = held.borrow_and_update().clone();
        looks.retain(|stack, (held, _)| wanted.get(stack) == Some(held));
        for (stack, held) in wanted {
            looks.entry(stack.clone()).or_insert_with(|| {
                let mut look = JoinSet::new();
                look.spawn(look_again(
                    Arc::clone(&shared),
                    stack,
                    held.clone(),
                    seen.clone(),
                ));
                (held, look)
            });
        }
        if held.changed().await.is_err() {
            return;
        }
    }
}

async fn look_again(shared: Arc<Shared>, stack: String, held: Held, seen: mpsc::Sender<Seen>) {
    loop {
        // Each time anew: its servers may have been corrected.
        let config = Arc::clone(&shared.state.serving().config);
        let known = config.stacks.get(&stack);
        let guarded = known.and_then(|known| Some((known, known.guard.as_ref()?)));
        if let Some((known, guard)) = guarded {
            let figures = || shared.figures.borrow().get(&stack).cloned();
            let verdict = look(known, guard, &held, figures).await;
            if seen.send((stack.clone(), verdict)).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(AGAIN.mul_f64(0.5 + fastrand::f64())).await;
    }
}

/// Looks once at all servers of the colors that would get more, and at the figures of the traffic that they have.
async fn look(
    stack: &Stack,
    guard: &Guard,
    held: &Held,
    figures: impl Fn() -> Option<Failing>,
) -> Verdict {
    let asked = held.colors.iter().filter(|_| guard.health);
    let looks = asked.map(async |color| (color, health::look(stack, color, guard.within).await));
    let looks = join_all(looks).await;
    let servers = looks.into_iter().flat_map(|(color, servers)| {
        let unwell = servers.into_iter();
        unwell.filter_map(move |(server, why)| Some((format!("{server} of {color}"), why?)))
    });
    let failing = figures().filter(|_| guard.analysis).unwrap_or_default();
    let failing = failing
        .into_iter()
        .filter(|(color, _)| held.colors.contains(color));
    let failing = failing.flat_map(|(_, failing)| failing);
    let failing = failing.map(|(name, why)| (format!("analysis {name}"), why));
    let mut unwell = servers.chain(failing);
    let first = unwell.next();
    Verdict {
        traffic: held.traffic.clone(),
        unwell: first.map(|(what, why)| Unwell {
            what,
            why,
            more: unwell.count(),
        }),
    }
}
