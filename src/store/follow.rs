//! Following keys: one connection after the other, for ever.
//!
//! A push tells of a change at once. A read once a second finds what no push tells of (SWAPDB, a silent failover) and
//! finds out whether the server is still there. Any error: a new connection, at once and then with a growing delay.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::{Changed, KeyState, Session, Store, StoreError};
use crate::color::Color;

/// How often the keys are read where nothing tells of a change.
const RESYNC: Duration = Duration::from_secs(1);

/// The longest delay between two tries to connect, before jitter.
const MAX_DELAY: Duration = Duration::from_millis(500);

/// The keys that are followed, with what is at stake.
pub type Followed = BTreeMap<String, Stakes>;

/// What is at stake where a key tells no traffic of its stack: it matters what other providers serve then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stakes {
    /// The stack's colors.
    pub colors: Vec<Color>,
    /// Whether the stack has a guard: a traffic that the history does not name tells nothing yet, either.
    pub guarded: bool,
    /// Whether dead servers are left out of the stack: it matters what the others say of them.
    pub leaves_out: bool,
}

/// What following the keys brings.
#[derive(Clone, Debug)]
pub enum Event {
    /// What keys hold, read just now: all of them, or those that have changed.
    Read(BTreeMap<String, KeyState>),
    /// The store can't be reached; why.
    Lost(String),
}

/// Follows the keys until nobody listens any more.
pub async fn follow(
    store: Store,
    mut followed: watch::Receiver<Followed>,
    events: mpsc::Sender<Event>,
) {
    let mut failures = 0;
    while !events.is_closed() {
        let key = followed.borrow().keys().next().cloned();
        let lost = match store.connect(&key.unwrap_or_default()).await {
            Ok(mut session) => {
                session_loop(&mut session, &mut followed, &events, &mut failures).await
            }
            Err(error) => Err(error),
        };
        let Err(error) = lost else {
            return;
        };
        if events.send(Event::Lost(error.to_string())).await.is_err() {
            return;
        }
        tokio::time::sleep(delay(failures)).await;
        failures += 1;
    }
}

/// Reads whenever there is a reason to. Ends with an error once the session is lost, without one once nobody listens.
async fn session_loop(
    session: &mut Session,
    followed: &mut watch::Receiver<Followed>,
    events: &mpsc::Sender<Event>,
    failures: &mut u32,
) -> Result<(), StoreError> {
    let mut resync = interval(RESYNC);
    resync.set_missed_tick_behavior(MissedTickBehavior::Delay);
    resync.reset();
    let mut elsewhere = pin!(session.elsewhere());
    let mut changed = Changed::Anything;
    loop {
        let due = due(followed, &changed);
        if !due.is_empty() {
            let keys: Vec<_> = due.keys().cloned().collect();
            let mut states = session.read(&keys).await?;
            let asked = states.iter().filter(|(key, state)| {
                let stakes = due.get(*key);
                let told = stakes.and_then(|it| state.tells(&it.colors, it.guarded));
                // A change of the key must not wait for what the others say of servers.
                let leaves_out = stakes.is_some_and(|stakes| stakes.leaves_out);
                told.is_none() || leaves_out && changed.concerns_reports(key)
            });
            let asked: Vec<_> = asked.map(|(key, _)| key.clone()).collect();
            for (key, told) in session.told(&asked).await? {
                if let Some(state) = states.get_mut(&key) {
                    let (peers, dead) = match told {
                        Ok(told) => (Ok(told.peers), told.dead),
                        Err(why) => (Err(why), None),
                    };
                    state.peers = Some(peers);
                    state.dead = dead;
                }
            }
            *failures = 0;
            if events.send(Event::Read(states)).await.is_err() {
                return Ok(());
            }
        }
        changed = tokio::select! {
            changed = session.changed() => changed?,
            changed = followed.changed() => match changed {
                Ok(()) => Changed::Anything,
                Err(_) => return Ok(()),
            },
            error = &mut elsewhere => return Err(error),
            _ = resync.tick() => Changed::Anything,
        };
    }
}

/// The keys that are to be read: those that have changed, so that one of many stacks costs no more than its share; all,
/// where others are followed than before.
fn due(followed: &mut watch::Receiver<Followed>, changed: &Changed) -> Followed {
    let followed = followed.borrow_and_update();
    let mut due = followed.clone();
    if !followed.has_changed() {
        due.retain(|key, _| changed.concerns(key));
    }
    due
}

/// Nothing before the first new try, then 20 ms, doubled each time up to the longest; half of it to one and a half
/// times as much, so that many providers do not come back in step.
fn delay(failures: u32) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let delay = Duration::from_millis(10)
        .saturating_mul(1 << failures.min(16))
        .min(MAX_DELAY);
    delay.mul_f64(0.5 + fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_key_that_is_followed_from_now_on_is_read_at_whatever_change() {
        let of = |keys: &[&str]| -> Followed {
            let keys = keys.iter();
            let stakes = Stakes {
                colors: Vec::new(),
                guarded: false,
                leaves_out: false,
            };
            keys.map(|key| ((*key).to_owned(), stakes.clone()))
                .collect()
        };
        let (sender, mut followed) = watch::channel(of(&["a", "b"]));
        let changed = Changed::Names(BTreeSet::from(["{a}:history".to_owned()]));
        assert_eq!(due(&mut followed, &Changed::Anything), of(&["a", "b"]));
        assert_eq!(due(&mut followed, &changed), of(&["a"]));
        sender.send_replace(of(&["a", "b", "new"]));
        assert_eq!(due(&mut followed, &changed), of(&["a", "b", "new"]));
        assert_eq!(due(&mut followed, &changed), of(&["a"]));
    }
}
