//! Dead servers: asks those for their health that are to be left out of the document once they are dead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::Shared;
use super::pulse::Pulse;
use crate::config::Config;
use crate::dead::{self, Dead};
use crate::verify::health;

/// How often each is asked, on average: half of it to one and a half times as much, so that many providers do not ask in
/// step.
const EVERY: Duration = Duration::from_secs(1);

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How many are asked at once.
const AT_ONCE: usize = 64;

/// A server that is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    stack: String,
    service: String,
    url: String,
    /// The path that tells.
    path: String,
}

/// Asks all of them, again and again.
pub async fn watch(shared: Arc<Shared>) {
    let mut publications = shared.state.publications();
    let mut pulses: BTreeMap<Target, Pulse> = BTreeMap::new();
    let mut config = Arc::clone(&shared.state.serving().config);
    let mut targets = targets(&config);
    loop {
        let now = Arc::clone(&shared.state.serving().config);
        if !Arc::ptr_eq(&now, &config) {
            config = now;
            targets = self::targets(&config);
        }
        pulses.retain(|target, _| targets.contains(target));
        for target in &targets {
            pulses.entry(target.clone()).or_default();
        }
        tell(&shared, &pulses);
        if targets.is_empty() {
            if publications.changed().await.is_err() {
                return;
            }
            continue;
        }
        let again = tokio::time::sleep(EVERY.mul_f64(0.5 + fastrand::f64()));
        let looks = stream::iter(targets.clone());
        let looks = looks.map(async |target| {
            let well = health::answers(&target.url, &target.path, TIMEOUT).await;
            (target, well)
        });
        let mut looks = std::pin::pin!(looks.buffer_unordered(AT_ONCE));
        while let Some((target, well)) = looks.next().await {
            let pulse = pulses.entry(target).or_default();
            let before = pulse.is_dead();
            pulse.look(well, Instant::now());
            if pulse.is_dead() != before {
                tell(&shared, &pulses);
            }
        }
        again.await;
    }
}

/// What is to be asked by a config.
fn targets(config: &Config) -> BTreeSet<Target> {
    let services = config.stacks.iter().flat_map(|(stack, it)| {
        let services = it.services.iter();
        services.map(move |(name, service)| (stack, name, service))
    });
    let services = services.filter(|(.., service)| service.leaves_out_dead);
    let targets = services.flat_map(|(stack, name, service)| {
        let path = service.health.iter();
        path.flat_map(move |path| {
            let urls = dead::asked(service).into_iter();
            urls.map(move |url| Target {
                stack: stack.clone(),
                service: name.clone(),
                url: url.clone(),
                path: path.clone(),
            })
        })
    });
    targets.collect()
}

/// Tells the reporter what is dead, of each stack of which all is known.
fn tell(shared: &Shared, pulses: &BTreeMap<Target, Pulse>) {
    let mut dead: BTreeMap<String, Option<Dead>> = BTreeMap::new();
    for (target, pulse) in pulses {
        let of_stack = dead.entry(target.stack.clone());
        let of_stack = of_stack.or_insert_with(|| Some(Dead::new()));
        match pulse.is_dead() {
            None => *of_stack = None,
            Some(false) => {}
            Some(true) => {
                if let Some(dead) = of_stack {
                    let urls = dead.entry(target.service.clone()).or_default();
                    urls.insert(target.url.clone());
                }
            }
        }
    }
    let known = dead.into_iter();
    let known = known.filter_map(|(stack, dead)| Some((stack, dead?)));
    let known: BTreeMap<_, _> = known.collect();
    shared.dead.send_if_modified(|told| {
        let differs = *told != known;
        *told = known;
        differs
    });
}
