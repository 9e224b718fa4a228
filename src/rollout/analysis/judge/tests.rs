use super::super::figures::ALL;
use super::*;

/// So many requests, those with 5xx, and those that took longer than 100 ms, than 1 s and than 5 s.
fn figures(requests: u64, errors: u64, [slow, slower, slowest]: [u64; 3]) -> Figures {
    let bounds = [100, 1000, 5000].map(Duration::from_millis);
    let within = [requests - slow, requests - slower, requests - slowest];
    let buckets = bounds.into_iter().zip(within).chain([(ALL, requests)]);
    Figures {
        requests,
        errors,
        buckets: buckets.collect(),
    }
}

fn with_errors(requests: u64, errors: u64) -> Figures {
    figures(requests, errors, [0; 3])
}

fn share(share: f64) -> Value {
    Value::Share(share)
}

fn ms(ms: u64) -> Value {
    Value::Time(Duration::from_millis(ms))
}

const NONE: Option<(u64, u64)> = None;

#[test]
fn errors_are_judged_by_a_limit_by_the_other_color_or_by_both() {
    use Limit::{AtMost, Beside};
    use Verdict::{Failed, NobodyBeside, NotEnough, Passed};
    let beside = |other, most| Beside {
        other: share(other),
        most: share(most),
    };
    let (limit, more) = (Some(0.05), Some(0.01));
    for (limits, own, other, verdict) in [
        // A limit: what is at it is kept.
        ((limit, None), (100, 5), NONE, Passed(share(0.05))),
        (
            (limit, None),
            (100, 6),
            NONE,
            Failed(share(0.06), AtMost(share(0.05))),
        ),
        ((Some(0.0), None), (100, 0), NONE, Passed(share(0.0))),
        (
            (Some(0.0), None),
            (1000, 1),
            NONE,
            Failed(share(0.001), AtMost(share(0.0))),
        ),
        // Too few.
        ((limit, None), (0, 0), NONE, NotEnough(0)),
        ((limit, more), (19, 19), Some((100, 0)), NotEnough(19)),
        (
            (limit, None),
            (20, 20),
            NONE,
            Failed(share(1.0), AtMost(share(0.05))),
        ),
        // The other color.
        ((None, more), (100, 1), Some((100, 0)), Passed(share(0.01))),
        (
            (None, more),
            (100, 2),
            Some((100, 0)),
            Failed(share(0.02), beside(0.0, 0.01)),
        ),
        ((None, more), (100, 50), Some((100, 60)), Passed(share(0.5))),
        ((None, more), (100, 50), Some((19, 0)), NobodyBeside(19)),
        ((None, more), (100, 50), NONE, NobodyBeside(0)),
        // Both: either is enough to fail, and where nobody is beside, the limit is enough to pass.
        (
            (limit, more),
            (100, 2),
            Some((100, 0)),
            Failed(share(0.02), beside(0.0, 0.01)),
        ),
        (
            (limit, more),
            (100, 6),
            Some((100, 6)),
            Failed(share(0.06), AtMost(share(0.05))),
        ),
        ((limit, more), (100, 5), Some((100, 4)), Passed(share(0.05))),
        ((limit, more), (100, 5), Some((19, 0)), Passed(share(0.05))),
        ((limit, more), (100, 5), NONE, Passed(share(0.05))),
        // Huge.
        (
            (limit, None),
            (u64::MAX, u64::MAX),
            NONE,
            Failed(share(1.0), AtMost(share(0.05))),
        ),
    ] {
        let (limit, more) = limits;
        let other = other.map(|(requests, errors)| with_errors(requests, errors));
        let judged = errors(
            &Errors { limit, more },
            20,
            &with_errors(own.0, own.1),
            other.as_ref(),
        );
        assert_eq!(judged, verdict, "{limits:?} {own:?} {other:?}");
    }
}

#[test]
fn latency_is_judged_by_a_limit_by_the_other_color_or_by_both() {
    use Limit::{AtMost, Beside};
    use Verdict::{Failed, NobodyBeside, NotEnough, Passed, Unmeasured};
    let beside = |other, most| Beside {
        other: ms(other),
        most: ms(most),
    };
    let above = Value::Above(Duration::from_secs(5));
    let beyond = || Unmeasured(super::Unmeasured::Beyond(Duration::from_secs(5)));
    let (fast, slow, slower, slowest) = ([0, 0, 0], [100, 0, 0], [100, 100, 0], [100, 100, 100]);
    for (limit, times, own, other, verdict) in [
        (Some(100), None, (100, fast), None, Passed(ms(50))),
        (
            Some(49),
            None,
            (100, fast),
            None,
            Failed(ms(50), AtMost(ms(49))),
        ),
        (Some(50), None, (100, fast), None, Passed(ms(50))),
        (Some(1000), None, (100, slow), None, Passed(ms(550))),
        // Too few.
        (Some(1), None, (0, fast), None, NotEnough(0)),
        (
            Some(1),
            Some(1.0),
            (19, fast),
            Some((100, fast)),
            NotEnough(19),
        ),
        // Beyond the last bound it is at least that.
        (
            Some(1000),
            None,
            (100, slowest),
            None,
            Failed(above, AtMost(ms(1000))),
        ),
        (
            Some(5000),
            None,
            (100, slowest),
            None,
            Failed(above, AtMost(ms(5000))),
        ),
        (Some(6000), None, (100, slowest), None, beyond()),
        // The other color.
        (
            None,
            Some(1.5),
            (100, fast),
            Some((100, fast)),
            Passed(ms(50)),
        ),
        (
            None,
            Some(1.5),
            (100, slow),
            Some((100, fast)),
            Failed(ms(550), beside(50, 75)),
        ),
        (
            None,
            Some(11.0),
            (100, slow),
            Some((100, fast)),
            Passed(ms(550)),
        ),
        (
            None,
            Some(1.5),
            (100, slow),
            Some((19, fast)),
            NobodyBeside(19),
        ),
        (None, Some(1.5), (100, slow), None, NobodyBeside(0)),
        (
            None,
            Some(1.5),
            (100, slowest),
            Some((100, slow)),
            Failed(above, beside(550, 825)),
        ),
        (
            None,
            Some(1.5),
            (100, slowest),
            Some((100, slowest)),
            beyond(),
        ),
        (
            None,
            Some(1.5),
            (100, slower),
            Some((100, slowest)),
            Passed(ms(3000)),
        ),
        (
            None,
            Some(1e300),
            (100, slower),
            Some((100, slower)),
            Passed(ms(3000)),
        ),
        // Both.
        (
            Some(1000),
            Some(1.5),
            (100, slow),
            Some((100, fast)),
            Failed(ms(550), beside(50, 75)),
        ),
        (
            Some(500),
            Some(1.5),
            (100, slow),
            Some((100, slow)),
            Failed(ms(550), AtMost(ms(500))),
        ),
        (
            Some(1000),
            Some(1.5),
            (100, slow),
            Some((3, fast)),
            Passed(ms(550)),
        ),
        (
            Some(6000),
            Some(1.5),
            (100, slowest),
            Some((100, slower)),
            Failed(above, beside(3000, 4500)),
        ),
        (
            Some(6000),
            Some(2.0),
            (100, slowest),
            Some((100, slower)),
            beyond(),
        ),
    ] {
        let limits = Latency {
            quantile: 0.5,
            limit: limit.map(Duration::from_millis),
            times,
        };
        let of = |(requests, slow)| {
            let [a, b, c]: [u64; 3] = slow;
            figures(
                requests,
                0,
                [a.min(requests), b.min(requests), c.min(requests)],
            )
        };
        let judged = latency(&limits, 20, &of(own), other.map(of).as_ref());
        assert_eq!(judged, verdict, "{limits:?} {own:?} {other:?}");
    }
}

#[test]
fn a_query_is_judged_on_both_sides() {
    use Limit::{AtLeast, AtMost};
    use Verdict::{Failed, Passed, Unmeasured};
    let n = Value::Number;
    for (at_most, at_least, number, verdict) in [
        (Some(5.0), None, 5.0, Passed(n(5.0))),
        (Some(5.0), None, 5.1, Failed(n(5.1), AtMost(n(5.0)))),
        (
            Some(5.0),
            None,
            f64::INFINITY,
            Failed(n(f64::INFINITY), AtMost(n(5.0))),
        ),
        (None, Some(5.0), 5.0, Passed(n(5.0))),
        (
            None,
            Some(5.0),
            f64::NEG_INFINITY,
            Failed(n(f64::NEG_INFINITY), AtLeast(n(5.0))),
        ),
        (Some(5.0), Some(1.0), 3.0, Passed(n(3.0))),
        (Some(5.0), Some(1.0), 0.0, Failed(n(0.0), AtLeast(n(1.0)))),
    ] {
        let limits = Query {
            name: "q".into(),
            query: "q".into(),
            at_most,
            at_least,
        };
        assert_eq!(query(&limits, number), verdict);
        assert!(matches!(
            query(&limits, f64::NAN),
            Unmeasured(super::Unmeasured::NoNumber(_))
        ));
    }
}

/// The failures in a row after each of these verdicts, said of so many requests.
fn streak(verdicts: &[(char, u64)]) -> Vec<u32> {
    let mut streaks = Streaks::default();
    let subject = Subject {
        figure: Figure::Errors,
        service: Some("a".into()),
        color: "green".parse().unwrap(),
    };
    let mut after = Vec::new();
    for (verdict, requests) in verdicts {
        let verdict = match verdict {
            'p' => Verdict::Passed(share(0.0)),
            'f' => Verdict::Failed(share(1.0), Limit::AtMost(share(0.0))),
            'n' => Verdict::NotEnough(*requests),
            'b' => Verdict::Unmeasured(Unmeasured::Blind("away".into())),
            _ => Verdict::Unmeasured(Unmeasured::NoNumber("none".into())),
        };
        let judged = streaks.judged(subject.clone(), verdict, Some(*requests));
        after.push(judged.failures);
    }
    after
}

#[test]
fn failures_count_in_a_row_and_once_for_the_same_requests() {
    assert_eq!(
        streak(&[('f', 20), ('f', 25), ('p', 30), ('f', 35)]),
        [1, 2, 0, 1]
    );
    assert_eq!(
        streak(&[('f', 20), ('f', 20), ('f', 20), ('f', 21)]),
        [1, 1, 1, 2]
    );
    assert_eq!(
        streak(&[('b', 0), ('b', 0), ('n', 5), ('p', 20)]),
        [1, 2, 2, 0]
    );
    assert_eq!(
        streak(&[('f', 20), ('b', 20), ('f', 20), ('u', 20)]),
        [1, 2, 2, 2]
    );
    assert_eq!(streak(&[('n', 0), ('u', 0), ('p', 20)]), [0, 0, 0]);
}

#[test]
fn each_subject_has_a_streak_of_its_own_and_each_look_of_a_query_is_a_new_one() {
    let mut streaks = Streaks::default();
    let mut failed = |figure, color: &str| {
        let subject = Subject {
            figure,
            service: None,
            color: color.parse().unwrap(),
        };
        let verdict = Verdict::Failed(Value::Number(1.0), Limit::AtMost(Value::Number(0.0)));
        streaks.judged(subject, verdict, None).failures
    };
    assert_eq!(failed(Figure::Query("errors".into()), "green"), 1);
    assert_eq!(failed(Figure::Query("errors".into()), "green"), 2);
    assert_eq!(failed(Figure::Errors, "green"), 1);
    assert_eq!(failed(Figure::Query("errors".into()), "red"), 1);
}
