//! Values: variables, anchors, aliases and merge keys.

use super::{SMALL, bad, good, lines};
use bluegreen::config::Servers;
use serde_json::Value;

#[test]
fn variables_are_replaced_in_values() {
    let text = SMALL
        .replace("127.0.0.1:1", "${HOST}:${PORT:-80}")
        .replace("rule:", "health: '/${EMPTY:-a}$${x}$y'\n        rule:")
        .replace("    services:", "    key: ${DIGITS}\n    services:");
    let stack = &good(&text).config.stacks["s"];
    let service = &stack.services["a"];
    let blue = "blue".parse().unwrap();
    assert_eq!(
        service.servers[&blue],
        Servers::Urls(vec!["http://10.0.0.1:80".to_owned()])
    );
    assert_eq!(service.health.as_deref(), Some("/a${x}$y"));
    assert_eq!(stack.key, "123");
    let hash = "traefik: {http: {middlewares: {m: {basicAuth: {users: ['a:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/']}}}}}";
    let traefik = Value::from(good(&format!("{SMALL}{hash}")).config.traefik);
    let users = &traefik["http"]["middlewares"]["m"]["basicAuth"]["users"];
    assert_eq!(users[0], "a:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/");
}

#[test]
fn a_variable_becomes_what_its_place_needs() {
    let text = format!("{SMALL}marker:\n  entryPoint: ${{DIGITS}}\n  port: ${{DIGITS}}\n");
    let marker = good(&text).config.marker.unwrap();
    assert_eq!((marker.entry_point.as_str(), marker.port), ("123", 123));
}

#[test]
fn the_value_of_a_variable_is_never_told() {
    for (from, to) in [
        (
            "    services:",
            "    colors: [blue, green, '${SECRET}']\n    services:",
        ),
        (
            "    services:",
            "    colors: [blue, '${WORD}', '${WORD}']\n    services:",
        ),
        (
            "    services:",
            "    entryPoints: ['${WORD}', '${WORD}']\n    services:",
        ),
        ("http://127.0.0.1:1", "${SECRET}@http"),
        (
            "        servers:",
            "        router: {middlewares: ['${SECRET}']}\n        servers:",
        ),
        (
            "        servers:",
            "        health: ${SECRET}\n        servers:",
        ),
        ("Host(`a`)", "Host(`${SECRET}`"),
        ("http://127.0.0.1:1", "${SECRET}"),
        ("http://127.0.0.1:1", "['http://u:${SECRET}@h']"),
        ("http://127.0.0.1:1", "'${SECRET}@docker'"),
        ("    services:", "    key: ${SECRET}\n    services:"),
        ("    services:", "    checks: ${SECRET}\n    services:"),
        (
            "stacks:",
            "traefik: {http: {routers: {x: {rule: x, service: x, priority: '${SECRET}'}}}}\nstacks:",
        ),
    ] {
        let report = bad(&SMALL.replacen(from, to, 1));
        let json = serde_json::to_string(&report).unwrap();
        for told in [report.render(true), report.render(false), json] {
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let text = "\
x-service: &service
  health: /health
  servers: &servers { blue: http://a, green: http://b }
stacks:
  s:
    services:
      a: { <<: *service, rule: Host(`a`) }
      b: { <<: [{ health: /b }, *service], rule: Host(`b`) }
      c: { servers: *servers, rule: Host(`c`) }
";
    let services = &good(text).config.stacks["s"].services;
    let health: Vec<_> = services.values().map(|s| s.health.as_deref()).collect();
    assert_eq!(health, [Some("/health"), Some("/b"), None]);
    assert_eq!(services["a"].servers, services["c"].servers);
    // A mistake behind an anchor is told once, where it is written.
    let report = bad(&text.replace("http://a", "ftp://a"));
    let lines = lines(&report);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].starts_with("3:29 stacks.s.services.a.servers.blue |"),
        "{lines:#?}"
    );
}
