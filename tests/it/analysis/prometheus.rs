//! From a real Prometheus that scrapes real Traefiks.

use std::net::SocketAddr;
use std::time::Duration;

use bluegreen::rollout::analysis::Standing;

use super::{ADDRESSES, Site, begin, config, look_until, requests, said};
use crate::support::prometheus::Prometheus;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_prometheus_has_scraped_is_judged_in_the_same_way() {
    let site = Site::start().await;
    let targets = ADDRESSES.map(|address| SocketAddr::new(address.parse().unwrap(), site.port));
    let mut prometheus = Prometheus::start(&targets).await;
    let limits = "errors: { limit: 5% }, latency: { quantile: 0.9, limit: 300ms }, services: [api], minRequests: 10";
    let config = config(
        &site.stack.config(),
        &format!("prometheus: '{}', {limits}", prometheus.url()),
    );
    let mut analysis = begin(&config);
    let first = analysis.look(&[], Duration::ZERO).await;
    assert_eq!(said(&first)[0], "passed metrics: 2 instances");
    site.ask(0, "/", 20).await;
    site.ask(1, "/", 20).await;
    let lines = look_until(
        &mut analysis,
        &[],
        "all requests are scraped",
        |look, measured| (requests(measured, "green") == 20).then(|| (look.standing, said(look))),
    )
    .await;
    assert_eq!(lines.0, Standing::Passed, "{lines:?}");
    assert_eq!(lines.1[1], "passed errors api green: 0 % of 20 requests");
    assert_eq!(
        lines.1[2],
        "passed latency api green: p90 90 ms of 20 requests"
    );
    // The first failures of a service count too, though there was no counter of them before.
    site.stack.api().set_status_in_public("green", 502);
    site.ask(0, "/", 10).await;
    let lines = look_until(
        &mut analysis,
        &[],
        "the failures are scraped",
        |look, measured| (requests(measured, "green") == 25).then(|| said(look)),
    )
    .await;
    assert!(
        lines[1].contains(" 20 % of 25 requests, at most 5 % is allowed"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("unmeasured") && lines[1].ends_with("; 1 of 2 looks in a row"),
        "{lines:?}"
    );
    prometheus.kill();
    let look = analysis.look(&[], Duration::ZERO).await;
    assert_eq!(look.standing, Standing::Failed);
    assert!(
        said(&look)[0].starts_with("unmeasured metrics: Connection refused"),
        "{:?}",
        said(&look)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_queries_are_asked_for_each_color_and_service_they_name() {
    let site = Site::start().await;
    let targets = [SocketAddr::new(ADDRESSES[0].parse().unwrap(), site.port)];
    let prometheus = Prometheus::start(&targets).await;
    let of = |name: &str, query: &str, limit: &str| {
        format!("{{ name: {name}, query: '{query}', {limit} }}")
    };
    let count = r#"sum(traefik_service_requests_total{service="deals-{service}-{color}@http"}) or vector(0)"#;
    let queries = [
        of("requests", count, "atLeast: 0"),
        of("one", "1", "atMost: 1"),
        of("much", "1 / 3", "atMost: 0.25"),
        of("none", "nothing", "atMost: 1"),
        of("many", "up or vector(1)", "atMost: 1"),
        of("nan", "vector(0) / 0", "atMost: 1"),
        of("range", "up[{since}]", "atMost: 1"),
        of("wrong", "sum(", "atMost: 1"),
    ];
    let analysis = format!(
        "prometheus: '{}', services: [api, mcp], failures: 1, queries: [{}]",
        prometheus.url(),
        queries.join(", ")
    );
    let config = config(&site.stack.config(), &analysis);
    let mut analysis = begin(&config);
    let look = analysis.look(&[], Duration::from_secs(30)).await;
    let lines = said(&look);
    let expected = [
        "passed requests api green: ",
        "passed requests mcp green: 0",
        "passed one green: 1",
        "failed much green: 0.3333, at most 0.25 is allowed",
        "unmeasured none green: the query has no number: it gives nothing",
        "unmeasured many green: the query has no number: it gives 2 values, not one",
        "unmeasured nan green: the query has no number: it is NaN",
        "unmeasured range green: the query has no number: it gives a matrix, not a number",
        "unmeasured wrong green: the query has no number: ",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line} is not {expected}");
    }
    assert!(lines[8].contains("parse error"), "{}", lines[8]);
    assert_eq!(look.standing, Standing::Failed);
}
