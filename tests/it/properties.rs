//! Properties: what holds for any input, tried on many that are made up. `make fuzz` tries many more.
//!
//! `PROPTEST_CASES` raises the number of cases, and `PROPTEST_RNG_SEED` repeats a run: each prints its seed.

mod changes;
mod config;
mod configs;
mod document;
mod listener;
mod secrets;
mod traffic;

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// For how long a smaller input is looked for, in milliseconds: with a Traefik in it a case may take seconds.
const SHRINKING: u32 = 30_000;

/// Tries a property on this many inputs at least, and shows a small input for which it does not hold.
///
/// It does not hold where it panics.
#[track_caller]
fn holds<S>(cases: u32, inputs: S, property: impl Fn(S::Value))
where
    S: Strategy,
    S::Value: Debug,
{
    let asked = Config::default();
    let raised = std::env::var_os("PROPTEST_CASES").map_or(0, |_| asked.cases);
    let seed = match asked.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => fastrand::u64(..),
    };
    let config = Config {
        cases: cases.max(raised),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 2000,
        max_shrink_time: SHRINKING,
        ..asked
    };
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    eprintln!("{name}: {} cases, PROPTEST_RNG_SEED={seed}", config.cases);
    let result = TestRunner::new(config).run(&inputs, |input| {
        property(input);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("PROPTEST_RNG_SEED={seed}: {failure}");
    }
}
