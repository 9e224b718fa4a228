//! The quantile of a histogram, as Prometheus' `histogram_quantile` estimates it: within its bucket, by a line.

use std::collections::BTreeMap;
use std::time::Duration;

use super::figures::ALL;

/// How long it takes at most, in a share of the cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantile {
    /// So long.
    At(Duration),
    /// Longer than the last bucket but that of all tells.
    Above(Duration),
}

/// The quantile of buckets that each have what the ones before have; none where there is nothing in them, or no more
/// than one.
pub(super) fn quantile(buckets: &BTreeMap<Duration, u64>, quantile: f64) -> Option<Quantile> {
    let all = *buckets.get(&ALL).filter(|all| **all > 0)?;
    let rank = quantile * all as f64;
    let (mut bound_before, mut count_before) = (Duration::ZERO, 0);
    for (bound, count) in buckets.iter().filter(|(bound, _)| **bound != ALL) {
        // Where buckets were read one by one, a later one may have less.
        let count = (*count).max(count_before);
        if count > count_before && count as f64 >= rank {
            let part = (rank - count_before as f64) / (count - count_before) as f64;
            let width = *bound - bound_before;
            return Some(Quantile::At(
                bound_before + width.mul_f64(part.clamp(0.0, 1.0)),
            ));
        }
        (bound_before, count_before) = (*bound, count);
    }
    (buckets.len() > 1).then_some(Quantile::Above(bound_before))
}

#[cfg(test)]
mod tests {
    use super::Quantile::{Above, At};
    use super::*;

    /// The buckets that Traefik has by default: up to 0.1, 0.3, 1.2 and 5 s, and all.
    fn of(counts: [u64; 5], at: f64) -> Option<Quantile> {
        let bounds = [100, 300, 1200, 5000].map(Duration::from_millis);
        let bounds = bounds.into_iter().chain([ALL]);
        quantile(&bounds.zip(counts).collect(), at)
    }

    fn ms(ms: u64) -> Option<Quantile> {
        Some(At(Duration::from_millis(ms)))
    }

    #[test]
    fn it_lies_on_a_line_within_its_bucket() {
        // As `histogram_quantile` says.
        assert_eq!(of([100, 100, 100, 100, 100], 0.95), ms(95));
        assert_eq!(of([90, 100, 100, 100, 100], 0.95), ms(200));
        assert_eq!(of([0, 0, 100, 100, 100], 0.5), ms(750));
        assert_eq!(of([50, 50, 50, 100, 100], 0.5), ms(100));
        assert_eq!(of([0, 0, 0, 1, 1], 0.5), ms(3100));
    }

    #[test]
    fn beyond_the_last_bound_only_that_is_known() {
        assert_eq!(
            of([0, 0, 0, 90, 100], 0.95),
            Some(Above(Duration::from_secs(5)))
        );
        assert_eq!(of([0, 0, 0, 90, 100], 0.9), ms(5000));
    }

    #[test]
    fn there_is_none_of_nothing() {
        assert_eq!(of([0; 5], 0.95), None);
        assert_eq!(quantile(&BTreeMap::new(), 0.5), None);
        assert_eq!(quantile(&BTreeMap::from([(ALL, 5)]), 0.5), None);
        assert_eq!(
            quantile(&BTreeMap::from([(Duration::from_secs(1), 5)]), 0.5),
            None
        );
    }

    #[test]
    fn buckets_out_of_step_and_huge_counts_do_no_harm() {
        assert_eq!(of([50, 40, 100, 100, 100], 0.6), ms(480));
        assert!(of([u64::MAX; 5], 0.95).is_some());
        assert!(of([0, 0, 0, 0, u64::MAX], 0.000_001).is_some());
    }
}
