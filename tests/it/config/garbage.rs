//! Garbage: whatever a file holds, it is refused with a report, soon, and without a panic.

use super::{EXAMPLE, SMALL, bad, good, lines, parse};
use std::fmt::Write;
use std::time::{Duration, Instant};

#[test]
fn no_garbage_makes_it_panic() {
    let deep_flow = "[".repeat(100_000);
    let deep_map = "{a: ".repeat(5000);
    let deep_block: String = (0..500).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let wide = format!("stacks: [{}]", "1,".repeat(200_000));
    let unknown: String = (0..20_000).map(|i| format!("key{i}: 1\n")).collect();
    let open_variables = format!("x: '{}'", "${A:-".repeat(100_000));
    for text in [
        "",
        " ",
        "\n\n",
        "~",
        "5",
        "text",
        "[]",
        "{}",
        "- a",
        "---",
        "...",
        "---\n---",
        "a: 1\n---\nb: 2",
        "\0",
        "\u{1}",
        "\u{feff}",
        "\u{feff}\u{feff}a: b",
        "%YAML 9.9\n---\na: b",
        "%TAG ! tag:x\n---\n!a b: c",
        "? ",
        "? ? ?",
        ": :",
        "a: *a",
        "a: &a [*a]",
        "a: &a {<<: *a}",
        "<<: <<",
        "<<: [[]]",
        "&a a: *a",
        "*a : b",
        "!!binary x: y",
        "a: !!map [1]",
        "\ta: b",
        "a:\n\t- b",
        "a: |\n\tb",
        "a: \"\\x\"",
        "a: \"unclosed",
        "a: 'unclosed",
        "a: ${",
        "${A}: b",
        "a: !<x> b",
        "stacks: {? {a: b} : c}",
        "stacks: &x {s: {services: {a: *x}}}",
        "traefik: {http: {routers: null}}",
        "{\"stacks\": {\"s\": null}}",
        "stacks:\r\n\u{85}\u{2028}s:\r",
        "a: b: c: d",
        "}{][",
        "@",
        "`",
        "x: \u{ffff}",
        &deep_flow,
        &deep_map,
        &deep_block,
        &wide,
        &unknown,
        &open_variables,
    ] {
        let report = bad(text);
        assert!(!report.is_empty(), "{text:?}");
        assert!(!report.render(true).is_empty() && report.render(false).len() < 200_000);
        serde_json::to_string(&report).unwrap();
    }
}

#[test]
fn cut_and_changed_configs_never_make_it_panic() {
    for at in (0..EXAMPLE.len()).step_by(7) {
        let cut = &EXAMPLE[..at];
        let changed = |with: &str| format!("{cut}{with}{}", &EXAMPLE[at + 1..]);
        for text in [
            cut.to_owned(),
            changed("\t"),
            changed("{"),
            changed("é"),
            changed("\0"),
            changed("*"),
        ] {
            if let Err(report) = parse(&text) {
                assert!(!report.render(false).is_empty(), "{text}");
            }
        }
    }
}

#[test]
fn small_files_that_unfold_to_large_ones_are_refused() {
    let mut laughs = "x-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for i in 1..40 {
        let aliases = vec![format!("*a{}", i - 1); 9].join(", ");
        writeln!(laughs, "x-{i}: &a{i} [{aliases}]").unwrap();
    }
    let mut maps = "x-0: &a0 {k: v}\n".to_owned();
    for i in 1..40 {
        let last = i - 1;
        writeln!(
            maps,
            "x-{i}: &a{i} {{a: *a{last}, b: *a{last}, c: *a{last}, d: *a{last}}}"
        )
        .unwrap();
    }
    let mut chain = "x-0: &a0 [1]\n".to_owned();
    for i in 1..2000 {
        writeln!(chain, "x-{i}: &a{i} [*a{}]", i - 1).unwrap();
    }
    let long = "y".repeat(1 << 20);
    let texts = format!("x: &a {long}\ny: [{}]", "*a,".repeat(10_000));
    for (text, message) in [
        (&laughs, "too large"),
        (&maps, "too large"),
        (&chain, "nested too deeply"),
        (&texts, "too large"),
    ] {
        let started = Instant::now();
        let lines = lines(&bad(text));
        assert!(lines[0].contains(message), "{lines:#?}");
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{:?}",
            started.elapsed()
        );
    }
    let report = bluegreen::config::parse(
        vec![("v.yml".into(), format!("x: '{}'", "${V}".repeat(10_000)))],
        &|_| Some("z".repeat(100_000)),
    )
    .unwrap_err();
    assert!(lines(&report)[0].contains("too large"), "{report}");
}

#[test]
fn a_thousand_services_are_read_soon() {
    let mut text = "stacks:\n  s:\n    services:\n".to_owned();
    for i in 0..1000 {
        writeln!(text, "      a{i}: {{ rule: Host(`a{i}`), router: {{ middlewares: [m{i}] }}, servers: {{ blue: http://a, green: http://b }} }}").unwrap();
    }
    text.push_str("traefik:\n  http:\n    middlewares:\n");
    for i in 0..1000 {
        writeln!(
            text,
            "      m{i}: {{ stripPrefix: {{ prefixes: [/a{i}] }} }}"
        )
        .unwrap();
    }
    assert_eq!(good(&text).config.stacks["s"].services.len(), 1000);
    let started = Instant::now();
    let report = bad(&text
        .replace("http://b", "ftp://b")
        .replace("servers:", "servrs:"));
    assert_eq!(report.mistakes().len(), 2000);
    assert!(report.render(false).contains("… and 1900 more"));
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    good(SMALL);
}
