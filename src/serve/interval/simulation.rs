//! The provider of a Traefik as it is in its `pkg/provider/http` and `pkg/job`, with a network, polling what decides
//! about the hold: over hours, in no time.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{DEFAULT_HOLD, Interval, MARGIN, POLL_TIMEOUT};
use crate::serve::hold::Cut;

/// How a Traefik is set, and what lies between it and us.
#[derive(Clone, Debug)]
struct World {
    poll_interval: Duration,
    poll_timeout: Duration,
    /// There and back.
    network: [Duration; 2],
    /// What the first document costs before the ticker is started.
    decode: Duration,
    /// By how much more each way may take.
    jitter: Duration,
    /// Of a hundred polls, how many are answered early because of a change.
    changes: u32,
    seed: u64,
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    /// The numbers of the polls that Traefik gave up.
    errors: Vec<u32>,
    /// How long there was no poll in the second half, and how long that half was.
    gap: Duration,
    time: Duration,
}

impl World {
    fn run(&self, polls: u32) -> Outcome {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let start = Instant::now();
        let (mut now, mut backoff) = (Duration::ZERO, Duration::from_millis(500));
        let (mut cut, mut outcome) = (Cut::default(), Outcome::default());
        let mut count = 0;
        // Each turn is one run of Traefik's `operation`, on one connection.
        while count < polls {
            let mut interval = Interval::default();
            let mut ran_out = None;
            let mut ticker: Option<Duration> = None;
            loop {
                count += 1;
                let way = |random: &mut fastrand::Rng, way: Duration| {
                    way + self.jitter.mul_f64(random.f64()) + Duration::from_micros(300)
                };
                let asked = now;
                let arrived = asked + way(&mut random, self.network[0]);
                interval.arrived(start + arrived);
                if let Some(hold) = ran_out.take() {
                    cut.allowed(hold);
                }
                let first = ticker.is_none();
                let mut hold = cut
                    .hold()
                    .map_or(interval.hold(), |cut| cut.min(interval.hold()));
                let allowed = hold;
                if first {
                    hold = Duration::ZERO;
                } else if random.u32(..100) < self.changes {
                    hold = hold.mul_f64(random.f64());
                }
                let answered = arrived + hold;
                let back = answered + way(&mut random, self.network[1]);
                let gives_up = asked + self.poll_timeout;
                if back > gives_up {
                    outcome.errors.push(count);
                    let closed = gives_up + way(&mut random, self.network[0]);
                    if closed < answered {
                        cut.gave_up("a", closed - arrived, allowed);
                    } else {
                        interval.answered(start + answered);
                        if hold == allowed && interval.timed_out(start + closed) {
                            cut.timed_out("a", POLL_TIMEOUT);
                        }
                    }
                    now = gives_up + backoff.mul_f64(0.5 + random.f64());
                    backoff = backoff.mul_f64(1.5).min(Duration::from_secs(60));
                    break;
                }
                interval.answered(start + answered);
                ran_out = (!first && hold == allowed).then_some(hold);
                if ran_out.is_some() {
                    cut.kept_to("a");
                }
                now = back;
                // A ticker keeps one tick for who is busy, and drops the others.
                let next = match ticker {
                    None => back + self.decode + self.poll_interval,
                    Some(next) => next,
                };
                now = now.max(next);
                let late = (now - next).as_nanos() / self.poll_interval.as_nanos();
                ticker = Some(next + self.poll_interval * (u32::try_from(late).unwrap() + 1));
                if count > polls / 2 {
                    outcome.gap += now - answered;
                    outcome.time += now + self.network[0] - arrived;
                }
                if count >= polls {
                    break;
                }
            }
        }
        outcome
    }
}

fn ms(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn world() -> impl Strategy<Value = World> {
    let poll_interval = prop_oneof![
        3 => Just(Duration::from_secs(5)),
        1 => ms(50..10_000),
    ];
    (
        poll_interval,
        (ms(0..100), ms(0..100)),
        (ms(0..300), ms(0..40)),
        prop_oneof![Just(0), 0..60_u32],
        any::<u64>(),
    )
        .prop_map(
            |(poll_interval, (there, back), (decode, jitter), changes, seed)| World {
                poll_interval,
                poll_timeout: POLL_TIMEOUT,
                network: [there, back],
                decode,
                jitter,
                changes,
                seed,
            },
        )
}

/// As on one host, with Traefik's defaults.
const DEFAULTS: World = World {
    poll_interval: Duration::from_secs(5),
    poll_timeout: POLL_TIMEOUT,
    network: [Duration::ZERO; 2],
    decode: Duration::from_millis(5),
    jitter: Duration::from_millis(2),
    changes: 0,
    seed: 7,
};

#[test]
fn with_traefiks_defaults_one_change_in_twenty_waits_and_none_for_long() {
    let Outcome { errors, gap, time } = DEFAULTS.run(1000);
    assert_eq!(errors, [0; 0]);
    let part = gap.as_secs_f64() / time.as_secs_f64();
    assert!((0.03..0.06).contains(&part), "{part}");
}

#[test]
fn a_poll_that_asks_for_nothing_is_held_for_the_default_until_its_interval_is_known() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut interval = Interval::default();
    for (arrived, answered) in [(0, 0), (5_002, 9_002)] {
        interval.arrived(at(arrived));
        assert_eq!(interval.hold(), DEFAULT_HOLD);
        interval.answered(at(answered));
    }
    interval.arrived(at(10_002));
    assert_eq!(interval.hold(), Duration::from_millis(5_000) - MARGIN);
}

/// One that polls again at once has no tick to wait for, and a longer hold would gain nothing.
#[test]
fn a_short_interval_changes_nothing() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut interval = Interval::default();
    for (arrived, answered) in [(0, 0), (101, 4_101), (4_103, 8_103), (8_105, 12_105)] {
        interval.arrived(at(arrived));
        assert_eq!(interval.hold(), DEFAULT_HOLD);
        interval.answered(at(answered));
    }
}

/// A `pollTimeout` of 5 s to which the way is too long: what is found out by errors is found out by two.
#[test]
fn a_network_that_was_not_seen_to_be_slow_costs_two_polls() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut cut = Cut::default();
    for _ in 0..2 {
        let mut interval = Interval::default();
        for (arrived, answered) in [(0, 0), (5_000, 9_000), (10_000, 14_750)] {
            interval.arrived(at(arrived));
            interval.answered(at(answered));
        }
        assert!(!interval.timed_out(at(14_760)), "it may have been stopped");
        assert!(interval.timed_out(at(15_010)));
        cut.timed_out("a", POLL_TIMEOUT);
        assert_eq!(cut.hold(), Some(DEFAULT_HOLD));
        (0..3).for_each(|_| cut.kept_to("a"));
    }
    assert_eq!(cut.hold(), Some(DEFAULT_HOLD));
}

proptest! {
    /// A network with up to 0.2 s there and back and 40 ms of jitter on each way, at any interval.
    #[test]
    fn never_a_time_out_where_the_time_out_is_traefiks_default(world in world()) {
        let Outcome { errors, gap, time } = world.run(400);
        prop_assert_eq!(errors, [0; 0]);
        // What the interval exceeds the longest hold by can't be helped.
        let way = world.network[0] + world.network[1];
        let beyond = world.poll_interval.saturating_sub(POLL_TIMEOUT);
        let margin = MARGIN + way + world.decode + world.jitter * 4;
        let polls = time.as_secs_f64() / world.poll_interval.as_secs_f64().max(4.0);
        if world.changes == 0 {
            prop_assert!(gap <= (margin + beyond).mul_f64(polls.ceil()), "{gap:?} of {time:?}");
        }
    }

    /// A shorter `pollTimeout` is found out, and once it is, it is never exceeded again. (One that ends while the answer
    /// is on its way can't be told from a Traefik that stops.)
    #[test]
    fn a_shorter_time_out_is_found_out_for_good(
        world in world(), poll_timeout in prop_oneof![ms(500..3_900), ms(4_100..4_700)],
        poll_interval in prop_oneof![Just(5_000), 50..3_000_u64], network in (ms(0..25), ms(0..25))
    ) {
        let poll_interval = Duration::from_millis(poll_interval);
        let (network, jitter) = ([network.0, network.1], Duration::from_millis(5));
        let world = World { poll_interval, poll_timeout, network, jitter, changes: 0, decode: Duration::ZERO, ..world };
        let errors = world.run(400).errors;
        prop_assert!(errors.len() <= 3 && errors.iter().all(|poll| *poll < 40), "{errors:?}");
    }
}
