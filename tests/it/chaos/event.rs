//! Events: one fault or two at once, under load, perhaps with a change of the traffic meanwhile.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::fault::Fault;
use super::world::{Aftermath, World};

/// How long a fault lasts that ends by itself.
const LASTS: Duration = Duration::from_millis(600);

/// Faults that happen at once, and whether the traffic is to be changed meanwhile.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) faults: Vec<Fault>,
    pub(super) with_change: bool,
}

impl Event {
    /// One fault, or two that happen to different things.
    pub(super) fn any(rng: &mut Rng) -> Self {
        let mut all = Fault::each(rng);
        let mut faults = vec![all.swap_remove(rng.usize(..all.len()))];
        if rng.bool() {
            let other = all.swap_remove(rng.usize(..all.len()));
            faults.push(other);
            let [one, other] = [0, 1].map(|i| faults[i].concerns());
            // Operators need all that the others take away.
            if one == other || [one, other].contains(&"operators".to_owned()) {
                faults.pop();
            }
        }
        let with_change = rng.bool();
        Self {
            faults,
            with_change,
        }
    }

    /// One fault of those where Sentinels watch.
    pub(super) fn any_with_sentinels(rng: &mut Rng) -> Self {
        let mut all = Fault::each_with_sentinels(rng);
        Self {
            faults: vec![all.swap_remove(rng.usize(..all.len()))],
            with_change: rng.bool(),
        }
    }

    /// Whether the traffic is changed meanwhile: asked for, and Redis is there to be told.
    pub(super) fn changes(&self) -> bool {
        self.with_change && self.faults.iter().all(Fault::leaves_redis)
    }

    /// What it is called.
    pub(super) fn kind(&self) -> String {
        match &*self.faults {
            [one] => one.kind(),
            _ => "two at once".to_owned(),
        }
    }

    /// It happens, under load; it ends; and everything recovers.
    pub(super) async fn happen(&self, world: &mut World) -> Aftermath {
        world.keys.can_fail_over().await;
        let load = world.load().await;
        let began = Instant::now();
        let mut gone = BTreeSet::new();
        for fault in &self.faults {
            gone.extend(fault.begin(world).await);
        }
        tokio::time::sleep(LASTS).await;
        if self.changes() {
            let idle = world.idle();
            world.change(&idle).await;
        }
        for fault in &self.faults {
            fault.end(world).await;
        }
        if !self.changes() && self.faults.iter().any(Fault::loses_the_key) {
            // It was not the color that moved: the load judges that. Now the operator says it again.
            let color = world.color.clone();
            world.change(&color).await;
        }
        let ended = Instant::now();
        world.aftermath(load, gone, began, ended).await
    }
}
