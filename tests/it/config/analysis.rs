//! The analysis of a stack: what is taken, and what means nothing.

use std::time::Duration;

use bluegreen::config::{Analysis, Errors, Latency, Source};

use super::{SMALL, good, lines, parse};

/// The small config with an analysis of this in line 3.
fn with(analysis: &str) -> String {
    let line = format!("    analysis: {{ {analysis} }}\n    services:");
    SMALL.replacen("    services:", &line, 1)
}

fn read(analysis: &str) -> Analysis {
    let config = good(&with(analysis)).config;
    config.stacks["s"].analysis.clone().unwrap()
}

#[test]
fn what_is_not_said_has_its_default() {
    let analysis = read("metrics: { port: 8080 }, errors: { limit: 1% }, latency: { times: 1.5 }");
    let path = "/metrics".to_owned();
    let expected = Analysis {
        source: Source::Instances { port: 8080, path },
        errors: Some(Errors {
            limit: Some(0.01),
            more: None,
        }),
        latency: Some(Latency {
            quantile: 0.95,
            limit: None,
            times: Some(1.5),
        }),
        queries: Vec::new(),
        services: vec!["a".to_owned()],
        min_requests: 20,
        failures: 2,
        every: Duration::from_secs(5),
    };
    assert_eq!(analysis, expected);
}

#[test]
fn everything_can_be_said() {
    let analysis = read(
        "prometheus: 'https://a/prometheus/', errors: { limit: 0.7 %, more: 0% }, \
         latency: { quantile: 0.999, limit: 500ms, times: 2 }, services: [a], minRequests: 1, failures: 1, every: 1m, \
         queries: [{ name: queue length, query: 'q{color=\"{color}\"}', atMost: 5, atLeast: -1.5 }]",
    );
    assert_eq!(
        analysis.source,
        Source::Prometheus("https://a/prometheus".to_owned())
    );
    // As exactly as 7 of 1000.
    assert_eq!(
        analysis.errors,
        Some(Errors {
            limit: Some(7.0 / 1000.0),
            more: Some(0.0)
        })
    );
    let limit = Some(Duration::from_millis(500));
    assert_eq!(
        analysis.latency,
        Some(Latency {
            quantile: 0.999,
            limit,
            times: Some(2.0)
        })
    );
    let query = &analysis.queries[0];
    assert_eq!((query.at_most, query.at_least), (Some(5.0), Some(-1.5)));
    assert_eq!((analysis.min_requests, analysis.failures), (1, 1));
    assert_eq!(analysis.every, Duration::from_secs(60));
}

/// An analysis, and then what the only line about it begins with after `3:` and the path of the analysis, and holds.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &str)] = &[
    ("errors: { limit: 1% }", " | nothing says where the figures come from", "`metrics: { port: 8080 }`"),
    ("metrics: { port: 1 }, prometheus: 'http://a', errors: { limit: 1% }", ".prometheus | the figures come from one place", "remove `metrics`"),
    ("metrics: { port: 1 }", " | the analysis judges nothing", "errors: { limit: 1% }"),
    ("metrics: { path: /x }, errors: { limit: 1% }", ".metrics.port | the key `port` is missing", "TCP port"),
    ("metrics: { port: 1, path: x }, errors: { limit: 1% }", ".metrics.path | the path does not begin", "/"),
    ("prometheus: 'a:9090', errors: { limit: 1% }", ".prometheus | `a:9090` is a URL without a scheme", "http://"),
    ("metrics: { port: 1 }, errors: {}", ".errors | at least one key is needed here", "remove"),
    ("metrics: { port: 1 }, errors: { limit: 1 }", ".errors.limit | `1` is no share", "`1%`"),
    ("metrics: { port: 1 }, errors: { limit: '-1%' }", ".errors.limit | `-1%` is no share", "`1%`"),
    ("metrics: { port: 1 }, errors: { more: NaN% }", ".errors.more | `NaN%` is no share", "`1%`"),
    ("metrics: { port: 1 }, errors: { limit: 100% }", ".errors.limit | no share is higher than this", "too much"),
    ("metrics: { port: 1 }, latency: { quantile: 0.9 }", ".latency | this has no limit", "`limit: 500ms`"),
    ("metrics: { port: 1 }, latency: { quantile: 95, limit: 1s }", ".latency.quantile | a quantile is between 0 and 1", "0.95"),
    ("metrics: { port: 1 }, latency: { quantile: 0, limit: 1s }", ".latency.quantile | a quantile is between 0 and 1", "0.95"),
    ("metrics: { port: 1 }, latency: { quantile: 1, limit: 1s }", ".latency.quantile | a quantile is between 0 and 1", "0.95"),
    ("metrics: { port: 1 }, latency: { limit: 0s }", ".latency.limit | this is no time limit", "10s"),
    ("metrics: { port: 1 }, latency: { times: 0.9 }", ".latency.times | below 1, a color that is as fast", "1.5"),
    ("metrics: { port: 1 }, latency: { limit: 1s, tims: 2 }", ".latency.tims | unknown key `tims`", "`times`"),
    ("metrics: { port: 1 }, queries: [{ name: q, query: x, atMost: 1 }]", ".queries | a Traefik's own metrics answer no queries", "prometheus"),
    ("prometheus: 'http://a', queries: []", ".queries | this needs at least 1", "remove"),
    ("prometheus: 'http://a', queries: [{ name: q, query: x }]", ".queries[0] | this query has no limit", "atMost"),
    ("prometheus: 'http://a', queries: [{ name: q, query: x, atMost: 1, atLeast: 2 }]", ".queries[0].atLeast | no number is at least this", "swap"),
    ("prometheus: 'http://a', queries: [{ name: q, query: ' ', atMost: 1 }]", ".queries[0].query | the query is empty", "PromQL"),
    ("prometheus: 'http://a', queries: [{ name: '', query: x, atMost: 1 }]", ".queries[0].name | this can't be the name", "few words"),
    ("prometheus: 'http://a', queries: [{ name: q, query: x, atMost: 1 }, { name: q, query: y, atMost: 1 }]", ".queries[1].name | another query is named `q` too", "of its own"),
    ("metrics: { port: 1 }, errors: { limit: 1% }, services: [b]", ".services[0] | the stack has no service `b`", "`a`"),
    ("metrics: { port: 1 }, errors: { limit: 1% }, services: [a, a]", ".services[1] | the service `a` is named twice", "keep one"),
    ("metrics: { port: 1 }, errors: { limit: 1% }, services: []", ".services | this needs at least 1", "remove"),
    ("metrics: { port: 1 }, errors: { limit: 1% }, minRequests: 0", ".minRequests | expected a whole number of at least 1, found the number `0`", ""),
    ("metrics: { port: 1 }, errors: { limit: 1% }, failures: 0", ".failures | expected a whole number of at least 1", ""),
    ("metrics: { port: 1 }, errors: { limit: 1% }, every: 0", ".every | this is no time limit", "10s"),
];

#[test]
fn what_contradicts_itself_or_means_nothing_is_told_once() {
    let mut wrong = Vec::new();
    for (analysis, start, hint) in MISTAKES {
        let told = match parse(&with(analysis)) {
            Ok(_) => vec!["loaded".to_owned()],
            Err(report) => lines(&report),
        };
        let start = format!("stacks.s.analysis{start}");
        let fits = |line: &String| {
            let line = line
                .strip_prefix("3:")
                .and_then(|line| line.split_once(' '));
            line.is_some_and(|(_, line)| line.starts_with(&start) && line.contains(hint))
        };
        if told.len() != 1 || !told.iter().all(fits) {
            wrong.push(format!(
                "{analysis}\n  wanted {start} … {hint}\n  got    {}",
                told.join("\n         ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
