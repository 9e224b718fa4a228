//! A ramp under constant load through two Traefiks, to a green that is well until it gets more than it bears: the figures
//! show it, it goes back by itself, and no more users have seen green than the steps allow.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::edges::{Edges, stop};
use crate::support::backend::Overload;
use crate::support::load::Sample;

/// How many more requests may reach green than its share: each Traefik goes round for each service by itself, and begins
/// anew at each step.
const UNEVEN: f64 = 12.0;

/// How many requests, which began while the step was in force, have reached green, and how many there were.
fn seen_green(samples: &[(Timestamp, Sample)], from: Timestamp, until: Timestamp) -> (f64, f64) {
    let within = samples.iter().filter(|(at, _)| (from..until).contains(at));
    let colors: Vec<_> = within.map(|(_, sample)| sample.color()).collect();
    let green = colors.iter().filter(|color| **color == Some("green"));
    (green.count() as f64, colors.len() as f64)
}

/// When each step was set, and when the ramp ended, by the wall clock.
fn times(record: &Value) -> Vec<Timestamp> {
    let done = record["done"].as_array().unwrap().iter();
    let at = done.map(|step| &step["at"]).chain([&record["ended"]]);
    at.map(|at| at.as_str().unwrap().parse().unwrap()).collect()
}

/// Of those who came during each step no larger share has seen green than the step gives it, and of those who came before
/// and after nobody has.
#[track_caller]
fn within_the_steps(
    samples: &[(Timestamp, Sample)],
    record: &Value,
    shares: &[f64],
    returned: Timestamp,
) {
    let times = times(record);
    assert_eq!(times.len(), shares.len() + 1, "{record}");
    let mut allowed = UNEVEN;
    for (nth, share) in shares.iter().enumerate() {
        let (green, all) = seen_green(samples, times[nth], times[nth + 1]);
        assert!(all > 100.0, "only {all} requests in step {nth}");
        assert!(green > 0.0, "nobody saw green in step {nth}");
        // One that began just before the next step may have been decided by it.
        assert!(
            green <= share * all + UNEVEN,
            "{green} of {all}, {share} are allowed"
        );
        allowed += share * all + UNEVEN;
    }
    let (green, all) = seen_green(samples, Timestamp::MIN, Timestamp::MAX);
    assert!(green <= allowed, "{green} of {all}, {allowed} are allowed");
    let (before, _) = seen_green(samples, Timestamp::MIN, times[0]);
    let (after, later) = seen_green(samples, returned, Timestamp::MAX);
    assert!(before <= UNEVEN, "{before} before the first step");
    assert_eq!(after, 0.0, "of {later} once the ramp had returned");
    assert!(later > 0.0);
}

/// What was measured of the API of green in a step.
fn measured(record: &Value, step: usize) -> &Value {
    let measured = record["done"][step]["measured"].as_array();
    let measured = measured.unwrap_or_else(|| panic!("no figures of step {step}: {record}"));
    let of_api = |one: &&Value| one["service"] == "api" && one["color"] == "green";
    measured.iter().find(of_api).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_fails_from_the_third_step_on_goes_back_with_no_request_lost() {
    let site = Edges::start("errors: { limit: 5% }").await;
    // A quarter is well; half is too much.
    site.services[0].bears("green", 0.4, Overload::Fails);
    let load = site.load().await;
    let ramp = [
        "ramp",
        "green",
        "--steps",
        "10,25,50,100",
        "--interval",
        "4s",
    ];
    let run = site.command(&ramp).code(4);
    let said = run.run().await.stderr;
    for part in [
        "step 1 of 4: blue:90,green:10 passed: api green: ",
        "step 2 of 4: blue:75,green:25 passed: api green: ",
        "step 3 of 4: blue:50,green:50",
        "the figures fail on blue:50,green:50: analysis errors api green (",
        "at most 5 % is allowed; 2 looks in a row",
        "going back to blue",
        "rolled back to blue, which every instance has confirmed",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    assert!(
        !said.contains("step 3 of 4: blue:50,green:50 passed"),
        "{said}"
    );
    let returned = Timestamp::now();
    assert_eq!(site.key().await, "blue");
    let samples = stop(load).await;

    // Nothing is lost: whatever failed, green itself has answered with its error.
    let failed: Vec<_> = samples
        .iter()
        .filter(|(_, sample)| sample.failed())
        .collect();
    assert!(!failed.is_empty());
    let record = site.record().await;
    let third = times(&record)[2];
    for (at, sample) in &failed {
        let answer = sample.outcome.as_ref().unwrap();
        assert_eq!(
            (answer.status, sample.color()),
            (500, Some("green")),
            "{sample:?}"
        );
        assert_eq!(sample.host, "api.localhost");
        assert!(*at >= third - Duration::from_secs(1), "{at} before {third}");
    }
    within_the_steps(&samples, &record, &[0.1, 0.25, 0.5], returned);

    assert_eq!(
        record["outcome"]["cause"]["what"], "analysisFails",
        "{record}"
    );
    assert_eq!(record["outcome"]["effect"], "rolledBack", "{record}");
    for (step, share) in [(0, 0.1), (1, 0.25)] {
        let figures = measured(&record, step);
        assert_eq!(figures["errors"], 0.0, "{figures}");
        assert_eq!(figures["judged"], true, "{figures}");
        // Those of both Traefiks are in it.
        let times = times(&record);
        let of_api: Vec<_> = samples
            .iter()
            .filter(|(_, one)| one.host == "api.localhost")
            .cloned()
            .collect();
        let (green, all) = seen_green(&of_api, times[step], times[step + 1]);
        let requests = figures["requests"].as_f64().unwrap();
        assert!(
            requests > 0.7 * share * all && requests <= green + UNEVEN,
            "{requests}, {green} of {all}"
        );
    }
    let shown = site.command(&["rollout"]).any_stdout().run().await.stdout;
    assert!(shown.contains("blue:90,green:10: set at "), "{shown}");
    assert!(shown.contains("; api green: "), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_is_slow_from_the_second_step_on_goes_back_with_no_request_failed() {
    let site = Edges::start("latency: { quantile: 0.95, limit: 200ms }").await;
    let slow = Overload::Slow(Duration::from_millis(300));
    site.services[0].bears("green", 0.18, slow);
    let load = site.load().await;
    let ramp = [
        "ramp",
        "green",
        "--steps",
        "10,25,50,100",
        "--interval",
        "4s",
    ];
    let said = site.command(&ramp).code(4).run().await.stderr;
    for part in [
        "step 1 of 4: blue:90,green:10 passed: api green: ",
        "the figures fail on blue:75,green:25: analysis latency api green (p95 ",
        "at most 200 ms is allowed",
        "rolled back to blue, which every instance has confirmed",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    let returned = Timestamp::now();
    assert_eq!(site.key().await, "blue");
    let samples = stop(load).await;
    let failed = samples.iter().filter(|(_, sample)| sample.failed());
    assert_eq!(failed.count(), 0);
    let record = site.record().await;
    within_the_steps(&samples, &record, &[0.1, 0.25], returned);
}
