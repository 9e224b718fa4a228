//! From the metrics of each instance.

use std::time::Duration;

use bluegreen::rollout::analysis::{Measured, Standing};

use super::{INSTANCES, Site, look_until, requests, said};
use crate::support::stack::HOSTS;

const LIMITS: &str = "errors: { limit: 5%, more: 2% }, latency: { quantile: 0.9, limit: 300ms, times: 2 }, \
                      services: [api], minRequests: 10";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_traefiks_count_is_judged_together() {
    let site = Site::start().await;
    let mut analysis = site.begin(LIMITS);
    let second = Duration::from_secs(1);
    let first = analysis.look(&INSTANCES, second).await;
    assert_eq!(first.standing, Standing::NotEnough);
    assert_eq!(
        said(&first),
        [
            "passed metrics: 2 instances",
            "skipped errors api green: not enough requests: 0 of 10",
            "skipped latency api green: not enough requests: 0 of 10",
        ]
    );

    // All is well.
    site.ask(0, "/", 20).await;
    site.ask(1, "/", 20).await;
    let lines = look_until(
        &mut analysis,
        &INSTANCES,
        "all requests are counted",
        |look, measured| {
            let all = requests(measured, "green") == 20 && requests(measured, "blue") == 20;
            all.then(|| (look.standing, said(look)))
        },
    )
    .await;
    assert_eq!(lines.0, Standing::Passed);
    assert_eq!(lines.1[1], "passed errors api green: 0 % of 20 requests");
    assert_eq!(
        lines.1[2],
        "passed latency api green: p90 90 ms of 20 requests"
    );

    // Green fails, and is slow: once is no failure, nor is it the second time without a new request.
    site.stack.api().set_status_in_public("green", 503);
    site.ask(0, "/slow?ms=400", 10).await;
    let lines = look_until(
        &mut analysis,
        &INSTANCES,
        "the failures are counted",
        |look, measured| (requests(measured, "green") == 25).then(|| (look.standing, said(look))),
    )
    .await;
    assert_eq!(lines.0, Standing::Failing);
    assert_eq!(
        lines.1[1],
        "unmeasured errors api green: 20 % of 25 requests, at most 5 % is allowed; 1 of 2 looks in a row"
    );
    assert!(
        lines.1[2].contains("of 25 requests, at most 300 ms is allowed; 1 of 2"),
        "{lines:?}"
    );
    let again = analysis.look(&INSTANCES, second).await;
    assert_eq!(again.standing, Standing::Failing, "{:?}", said(&again));
    site.ask(1, "/slow?ms=400", 2).await;
    let lines = look_until(
        &mut analysis,
        &INSTANCES,
        "the failure counts",
        |look, _| (look.standing == Standing::Failed).then(|| said(look)),
    )
    .await;
    assert_eq!(
        lines[1],
        "failed errors api green: 23.08 % of 26 requests, at most 5 % is allowed; 2 looks in a row"
    );

    // What a ramp keeps of a step.
    let measured = analysis.measured();
    let of = |color: &str| {
        measured
            .iter()
            .find(|measured| measured.color == color)
            .unwrap()
    };
    assert_eq!((of("green").requests, of("blue").requests), (26, 26));
    assert_eq!(
        (of("green").errors, of("blue").errors),
        (Some(6.0 / 26.0), Some(0.0))
    );
    assert!(of("green").latency.unwrap() > 0.3 && of("blue").quantile == 0.9);
    let json = serde_json::to_value(&measured).unwrap();
    assert_eq!(json[1]["color"], "green");
    assert_eq!(
        serde_json::from_value::<Vec<Measured>>(json).unwrap(),
        measured
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traefik_that_restarts_counts_on_and_one_that_is_gone_is_named() {
    let mut site = Site::start().await;
    let mut analysis = site.begin(LIMITS);
    site.ask(0, "/", 30).await;
    analysis.look(&INSTANCES, Duration::ZERO).await;
    site.ask(0, "/", 10).await;
    site.ask(1, "/", 10).await;
    look_until(
        &mut analysis,
        &INSTANCES,
        "the first ones are counted",
        |_, measured| (requests(measured, "green") >= 10).then_some(()),
    )
    .await;
    let before = requests(&analysis.measured(), "green");
    site.traefiks[0].restart().await;
    site.traefiks[0].wait_for(HOSTS[0], "green").await;
    site.ask(0, "/", 40).await;
    let after = look_until(
        &mut analysis,
        &INSTANCES,
        "those after the restart are counted",
        |_, measured| {
            let green = requests(measured, "green");
            (green >= before + 20).then_some(green)
        },
    )
    .await;
    // Beside the 20: those with which its start was awaited.
    assert!(after <= before + 21, "{before} {after}");

    site.traefiks[1].kill();
    site.ask(0, "/", 20).await;
    let look = analysis.look(&INSTANCES, Duration::ZERO).await;
    let lines = said(&look);
    let gone = format!(
        "unmeasured metrics: edge-2 at 127.0.0.3:{}: Connection refused",
        site.port
    );
    assert!(lines[0].starts_with(&gone), "{lines:?}");
    assert!(lines[1].starts_with("passed errors"), "{lines:?}");
    assert_eq!(look.standing, Standing::Passed);

    // Nobody goes on blindly.
    site.traefiks[0].kill();
    let look = analysis.look(&INSTANCES, Duration::ZERO).await;
    assert_eq!(look.standing, Standing::Failing);
    assert!(
        said(&look)[1].ends_with("nothing could be read; 1 of 2 looks in a row"),
        "{:?}",
        said(&look)
    );
    let look = analysis.look(&INSTANCES, Duration::ZERO).await;
    assert_eq!(look.standing, Standing::Failed);
    assert_eq!(
        said(&look)[1],
        "failed errors api green: nothing could be read; 2 looks in a row"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_is_compared_with_the_other_one_where_that_has_requests() {
    let site = Site::start().await;
    let mut analysis =
        site.begin("errors: { more: 2% }, latency: { times: 2 }, services: [api], minRequests: 10");
    analysis.look(&INSTANCES, Duration::ZERO).await;
    // Both are as bad.
    site.stack.api().set_status_in_public("green", 500);
    site.stack.api().set_status_in_public("blue", 500);
    site.ask(0, "/", 24).await;
    let lines = look_until(
        &mut analysis,
        &INSTANCES,
        "both are counted",
        |look, measured| (requests(measured, "green") == 12).then(|| (look.standing, said(look))),
    )
    .await;
    assert_eq!(lines.0, Standing::Passed, "{lines:?}");
    assert_eq!(lines.1[1], "passed errors api green: 100 % of 12 requests");
    // Only green is.
    site.stack.api().set_status_in_public("blue", 200);
    site.ask(0, "/", 20).await;
    let lines = look_until(
        &mut analysis,
        &INSTANCES,
        "green is worse",
        |look, measured| {
            (requests(measured, "green") == 22 && requests(measured, "blue") == 22)
                .then(|| said(look))
        },
    )
    .await;
    assert_eq!(
        lines[1],
        "unmeasured errors api green: 100 % of 22 requests, at most 56.55 % is allowed beside 54.55 % on blue; 1 of 2 looks in a row"
    );

    let none = site.begin("errors: { more: 2% }, services: [mcp], minRequests: 10");
    let mut none = none;
    none.look(&INSTANCES, Duration::ZERO).await;
    let look = none.look(&INSTANCES, Duration::ZERO).await;
    assert_eq!(
        said(&look)[1],
        "skipped errors mcp green: not enough requests: 0 of 10"
    );
}
