//! Faults, one after the other, on a small site under constant load: none loses a request or misroutes one.
//!
//! - [`world`]: two Traefiks, each with its provider, on one Redis
//! - [`keys`]: Redis, alone or watched by Sentinels
//! - [`network`]: the links between them, which can go bad
//! - [`fault`]: what can happen, and how it ends
//! - [`event`]: one fault or two at once, and what came of them
//! - [`ledger`]: which color was allowed when
//! - [`runners`]: rollouts whose runner is killed or sleeps; [`hosts`]: where they run; [`round`]: what happens to one;
//!   [`journal`]: what was written meanwhile
//!
//! What happens is chosen by a seed, which is printed: `make chaos CHAOS_SEED=7`.

mod event;
mod fault;
mod hosts;
mod journal;
mod keys;
mod ledger;
mod network;
mod round;
mod runners;
mod world;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;

use event::Event;
use fault::Fault;
use keys::Keys;
use world::{Aftermath, World};

/// For how long `make chaos` goes on where `CHAOS_SECONDS` does not say.
const SECONDS: u64 = 300;

/// The short form: every kind of fault once, in a part of the kinds each, and what only two at once can show.
async fn every_kind(part: usize, of: usize) {
    let mut rng = rng();
    let one = Fault::each(&mut rng).into_iter().map(|fault| vec![fault]);
    let two = [
        vec![Fault::KillProvider(0), Fault::StopRedis],
        vec![Fault::TermProvider(1), Fault::FlushAll],
        vec![Fault::KillProvider(1), Fault::EmptyRedis],
    ];
    let mut world = World::start(Keys::of_one().await).await;
    for faults in one.chain(two).skip(part).step_by(of) {
        // So that what moves to the first color by mistake is seen.
        world.change("green").await;
        world.settled().await;
        let with_change = rng.bool();
        let event = Event {
            faults,
            with_change,
        };
        let aftermath = event.happen(&mut world).await;
        judge(&event, &aftermath);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_third_kind_of_fault() {
    every_kind(0, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_third_kind_of_fault_from_the_second() {
    every_kind(1, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_third_kind_of_fault_from_the_third() {
    every_kind(2, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_dies_under_sentinels() {
    let mut rng = rng();
    let mut world = World::start(Keys::watched().await).await;
    for fault in [Fault::Failover, Fault::KillPrimary] {
        let event = Event {
            faults: vec![fault],
            with_change: rng.bool(),
        };
        let aftermath = event.happen(&mut world).await;
        judge(&event, &aftermath);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `make chaos`"]
async fn faults_at_random() {
    let world = World::start(Keys::of_one().await).await;
    at_random(world, Event::any).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `make chaos`"]
async fn failovers_at_random() {
    let world = World::start(Keys::watched().await).await;
    at_random(world, Event::any_with_sentinels).await;
}

async fn at_random(mut world: World, next: fn(&mut Rng) -> Event) {
    let mut rng = rng();
    let seconds = std::env::var("CHAOS_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut kinds: BTreeMap<String, Vec<Aftermath>> = BTreeMap::new();
    while Instant::now() < deadline {
        let event = next(&mut rng);
        let aftermath = event.happen(&mut world).await;
        println!(
            "{:<58}{:<8}{:>6.0} ms{:>7} requests{:>5} excused{:>3} failed{:>3} misrouted",
            format!("{:?}", event.faults),
            if event.changes() { "changed" } else { "" },
            aftermath.recovery.as_secs_f64() * 1000.0,
            aftermath.requests,
            aftermath.excused,
            aftermath.failed.len(),
            aftermath.misrouted.len()
        );
        judge(&event, &aftermath);
        kinds.entry(event.kind()).or_default().push(aftermath);
    }
    summary(&mut kinds);
}

/// A choice by the seed that is given, or by one of its own.
fn rng() -> Rng {
    let seed =
        std::env::var("CHAOS_SEED").map_or_else(|_| fastrand::u64(..), |s| s.parse().unwrap());
    println!("CHAOS_SEED={seed}");
    Rng::with_seed(seed)
}

#[track_caller]
fn judge(event: &Event, aftermath: &Aftermath) {
    for (what, samples) in [
        ("failed", &aftermath.failed),
        ("were misrouted", &aftermath.misrouted),
    ] {
        let some: Vec<_> = samples.iter().take(5).collect();
        let (n, all) = (samples.len(), aftermath.requests);
        assert!(n == 0, "{event:?}: {n} of {all} {what}: {some:#?}");
    }
}

/// For each kind how often it happened, and what came of it.
fn summary(kinds: &mut BTreeMap<String, Vec<Aftermath>>) {
    println!(
        "\n{:<34}{:>4}{:>13}{:>11}{:>11}{:>9}",
        "fault", "n", "confirmed ms", "worst ms", "requests", "excused"
    );
    for (kind, all) in kinds {
        all.sort_by_key(|aftermath| aftermath.recovery);
        let ms = |i: usize| all[i].recovery.as_secs_f64() * 1000.0;
        println!(
            "{kind:<34}{:>4}{:>13.0}{:>11.0}{:>11}{:>9}",
            all.len(),
            ms(all.len() / 2),
            ms(all.len() - 1),
            all.iter().map(|one| one.requests).sum::<usize>(),
            all.iter().map(|one| one.excused).sum::<usize>()
        );
    }
}
