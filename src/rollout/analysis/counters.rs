//! Counters: the figures of a step, out of counters that rise as long as an instance runs.
//!
//! What an instance had counted when it was first seen is not of the step. After that everything is: also what it has
//! counted since it began anew, or since one of its services did.

use std::collections::BTreeMap;

use super::figures::{Figures, Sample};

/// What one instance has counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// When its process began, where that is known: in seconds, by its own clock, to be compared with nothing else.
    pub(super) began: Option<f64>,
    /// By service of Traefik's.
    pub(super) services: BTreeMap<String, Figures>,
}

impl Reading {
    /// Counts a sample in.
    pub(super) fn count(&mut self, sample: Sample) {
        let Sample {
            service,
            counted,
            value,
        } = sample;
        self.services
            .entry(service)
            .or_default()
            .count(counted, value);
    }
}

/// What a source told.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What each instance has counted, by what it is known by.
    pub(super) readings: Vec<(String, Reading)>,
    /// Who did not tell, and why.
    pub(super) silent: Vec<String>,
}

/// What has been counted since the first look.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    /// What each instance told last.
    before: BTreeMap<String, Reading>,
    /// By service of Traefik's.
    since: BTreeMap<String, Figures>,
}

impl Counters {
    /// Takes what an instance tells now.
    pub(super) fn take(&mut self, instance: &str, reading: Reading) {
        if let Some(before) = self.before.get(instance) {
            let restarted =
                before.began.is_some() && reading.began.is_some() && before.began != reading.began;
            for (service, now) in &reading.services {
                let former = before.services.get(service).filter(|_| !restarted);
                let since = self.since.entry(service.clone()).or_default();
                match former {
                    Some(former) => since.add(&now.since(former)),
                    None => since.add(now),
                }
            }
        }
        self.before.insert(instance.to_owned(), reading);
    }

    /// What was counted of a service of Traefik's.
    pub(super) fn of(&self, service: &str) -> Figures {
        self.since.get(service).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::figures::{ALL, Counted};
    use super::*;

    /// A reading of the service `s`: requests, those of them with 5xx, and those that took longer than 100 ms.
    fn reading(requests: u64, errors: u64, slow: u64) -> Reading {
        let mut reading = Reading::default();
        let within = |bound| Counted::Within(bound);
        for (counted, value) in [
            (Counted::Requests { errors: false }, requests - errors),
            (Counted::Requests { errors: true }, errors),
            (within(Duration::from_millis(100)), requests - slow),
            (within(ALL), requests),
        ] {
            reading.count(Sample {
                service: "s".into(),
                counted,
                value,
            });
        }
        reading
    }

    /// What is counted of readings of instances, in turn: requests, errors and slow ones.
    fn counted(readings: &[(&str, Reading)]) -> (u64, u64, u64) {
        let mut counters = Counters::default();
        for (instance, reading) in readings {
            counters.take(instance, reading.clone());
        }
        let figures = counters.of("s");
        let fast = figures.buckets.get(&Duration::from_millis(100));
        (
            figures.requests,
            figures.errors,
            figures.timed() - fast.copied().unwrap_or_default(),
        )
    }

    #[test]
    fn only_what_comes_after_the_first_look_counts() {
        assert_eq!(counted(&[("a", reading(1000, 900, 800))]), (0, 0, 0));
        let readings = [
            ("a", reading(1000, 900, 800)),
            ("a", reading(1010, 901, 803)),
        ];
        assert_eq!(counted(&readings), (10, 1, 3));
    }

    #[test]
    fn a_restarted_instance_counts_from_zero() {
        let readings = [
            ("a", reading(1000, 900, 800)),
            ("a", reading(1010, 900, 800)),
            ("a", reading(5, 1, 2)),
            ("a", reading(7, 1, 3)),
        ];
        assert_eq!(counted(&readings), (17, 1, 3));
        // All of it began anew, though some of it is higher than before: few errors before, and many since.
        let readings = [("a", reading(1000, 1, 1)), ("a", reading(500, 400, 300))];
        assert_eq!(counted(&readings), (500, 400, 300));
    }

    #[test]
    fn a_restart_that_no_counter_shows_is_known_by_the_process() {
        let at = |began, reading: Reading| Reading {
            began: Some(began),
            ..reading
        };
        let readings = [
            ("a", at(1.0, reading(3, 0, 0))),
            ("a", at(2.0, reading(9, 4, 2))),
        ];
        assert_eq!(counted(&readings), (9, 4, 2));
    }

    #[test]
    fn a_service_that_vanishes_counts_from_zero_when_it_is_back() {
        let readings = [
            ("a", reading(100, 50, 50)),
            ("a", Reading::default()),
            ("a", reading(200, 2, 3)),
        ];
        assert_eq!(counted(&readings), (200, 2, 3));
    }

    #[test]
    fn a_service_that_had_no_requests_before_counts_from_the_first() {
        let readings = [("a", Reading::default()), ("a", reading(3, 2, 1))];
        assert_eq!(counted(&readings), (3, 2, 1));
    }

    #[test]
    fn instances_come_and_go() {
        let readings = [
            ("a", reading(100, 0, 0)),
            ("b", reading(500, 400, 400)),
            ("b", reading(501, 401, 400)),
            // One that is new here may have had a long life elsewhere.
            ("c", reading(900, 900, 900)),
            ("c", reading(903, 901, 900)),
            // One that was away has counted on.
            ("a", reading(110, 2, 3)),
        ];
        assert_eq!(counted(&readings), (14, 4, 3));
    }

    #[test]
    fn nobody_overflows() {
        let most = 1 << 53;
        let mut counters = Counters::default();
        for _ in 0..2000 {
            counters.take("a", Reading::default());
            counters.take("a", reading(most, most, most));
        }
        assert_eq!(counters.of("s").requests, 2000 * most);
        let mut figures = Figures {
            requests: u64::MAX,
            ..Figures::default()
        };
        figures.add(&counters.of("s"));
        assert_eq!(figures.requests, u64::MAX);
    }

    proptest! {
        #[test]
        fn nothing_is_ever_counted_down(
            looks in prop::collection::vec((0..3_usize, 0..1000_u64, 0..100_u64, 0..100_u64, prop::option::of(0..3_u8)), 1..40)
        ) {
            let mut counters = Counters::default();
            let mut before = Figures::default();
            for (instance, requests, errors, slow, began) in looks {
                let read = Reading {
                    began: began.map(f64::from),
                    ..reading(requests + 100, errors, slow)
                };
                counters.take(["a", "b", "c"][instance], read);
                let now = counters.of("s");
                prop_assert!(now.requests >= before.requests && now.errors >= before.errors);
                prop_assert!(now.errors <= now.requests && now.timed() == now.requests);
                prop_assert!(now.requests <= before.requests + 1100);
                before = now;
            }
        }
    }
}
