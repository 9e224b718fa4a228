//! Mistakes together, and those that are between two places.

use super::{SMALL, bad, good, lines};
use serde_json::{Value, json};

#[test]
fn one_file_with_many_mistakes_reports_them_all_in_order() {
    let report = bad("\
stack_s: {}
stacks:
  deals:
    key: 'a b'
    colours: [blue, green, red]
    services:
      api:
        rule: Host(`api`
        servers: { blue: 'http://a', gren: 'http://b', red: 'http://c' }
        healthy: /health
      mcp:
        servers: { blue: [], green: 'ftp://b', red: 'http://b/path' }
        router: { middlewares: [gone], prio: 5 }
    containers: { purple: x }
  lists:
    services: {}
traefik: { http: { routers: {} } }
");
    let lines = lines(&report);
    let starts = [
        "1:1 stack_s |",
        "4:10 stacks.deals.key |",
        "5:5 stacks.deals.colours |",
        "8:19 stacks.deals.services.api.rule |",
        "9:38 stacks.deals.services.api.servers.gren |",
        "10:9 stacks.deals.services.api.healthy |",
        "11:7 stacks.deals.services.mcp.rule |",
        "12:20 stacks.deals.services.mcp.servers.blue |",
        "12:37 stacks.deals.services.mcp.servers.green |",
        "12:53 stacks.deals.services.mcp.servers.red |",
        "13:33 stacks.deals.services.mcp.router.middlewares[0] |",
        "13:40 stacks.deals.services.mcp.router.prio |",
        "14:19 stacks.deals.containers.purple |",
        "16:5 stacks.lists.services |",
        "17:20 traefik.http.routers |",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{start}\n{lines:#?}");
    }
}

#[test]
fn lenient_makes_unknown_fields_of_traefik_a_warning_and_nothing_else() {
    let router = |lenient: &str, router: &str| {
        let router = format!("        router: {router}\n        servers:");
        format!("{lenient}{}", SMALL.replace("        servers:", &router))
    };
    let loaded = good(&router("lenient: true\n", "{ priorty: { new: [1] } }"));
    assert_eq!(
        lines(&loaded.warnings),
        [
            "7:19 stacks.s.services.a.router.priorty | Traefik 3.7 does not know the field `priorty` | did you mean `priority`?"
        ]
    );
    let kept = &loaded.config.stacks["s"].services["a"].router;
    assert_eq!(
        Value::from(kept.clone()),
        json!({ "priorty": { "new": [1] } })
    );
    bad(&router("lenient: true\n", "{ priority: high }"));
    bad(&router("lenient: true\n", "{ Rule: Host(`x`) }"));
    bad(&router("lenient: false\n", "{ priorty: 5 }"));
    bad("lenient: true\nstack: {}\n");
}

#[test]
fn names_that_collide_are_told_with_both_places() {
    let service = "{ rule: Host(`x`), servers: { blue: http://a, green: http://b } }";
    for (text, start, other) in [
        (
            format!(
                "stacks:\n  a-b: {{ key: x, services: {{ c: {service} }} }}\n  a: {{ key: y, services: {{ b-c: {service} }} }}\n"
            ),
            "2:30 stacks.a-b.services.c | the router `a-b-c`",
            3,
        ),
        (
            format!("stacks:\n  a:\n    services:\n      b: {service}\n      b-blue: {service}\n"),
            "5:7 stacks.a.services.b-blue | the service `a-b-blue`",
            4,
        ),
        (
            format!(
                "stacks:\n  x: {{ services: {{ a: {service} }} }}\n  y: {{ services: {{ a: {service} }} }}\n"
            ),
            "3:3 stacks.y.key | the key `active` is that of another stack",
            2,
        ),
        (
            format!("stacks:\n  bluegreen: {{ services: {{ marker: {service} }} }}\n"),
            "2:28 stacks.bluegreen.services.marker | the router `bluegreen-marker`",
            1,
        ),
    ] {
        let report = bad(&text);
        let lines = lines(&report);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].starts_with(start), "{start}\n{lines:#?}");
        let place = report.mistakes()[0].other.as_ref().unwrap();
        assert_eq!(place.line, Some(other), "{lines:#?}");
    }
}

#[test]
fn a_load_balancer_without_servers_of_its_own_is_a_mistake() {
    let with = |blue: &str| {
        SMALL
            .replace("http://127.0.0.1:1", blue)
            .replace("http://127.0.0.1:2", "a-green@docker")
            .replace(
                "rule:",
                "loadBalancer: { passHostHeader: false }\n        rule:",
            )
    };
    good(&with("http://a"));
    let lines = lines(&bad(&with("a-blue@docker")));
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("5:9 stacks.s.services.a.loadBalancer | every color"),
        "{lines:#?}"
    );
}

/// What the labels of a container define, Traefik has only while the container runs.
#[test]
fn a_reference_that_lives_and_dies_with_one_color_is_warned_of() {
    let router = |name: &str| {
        let router = format!("        router: {{ middlewares: [{name}] }}\n        servers:");
        good(
            &SMALL
                .replace("  s:", "  shop:")
                .replace("      a:", "      api:")
                .replace("        servers:", &router),
        )
    };
    let at = "6:33 stacks.shop.services.api.router.middlewares[0] | the HTTP middleware";
    let hint = "define it below `traefik:`";
    for (name, said) in [
        ("ratelimit-blue@docker", "lives and dies with blue"),
        ("Green.auth@swarm", "lives and dies with green"),
        (
            "api-ratelimit@docker",
            "seems to come from the labels of a container of `api`",
        ),
        ("api@consulcatalog", "a container of `api`"),
        ("shop-auth@Docker", "a container of `shop`"),
    ] {
        let lines = lines(&router(name).warnings);
        assert_eq!(lines.len(), 1, "{name}: {lines:#?}");
        let line = &lines[0];
        assert!(
            line.starts_with(&format!("{at} `{name}`"))
                && line.contains(said)
                && line.contains(hint),
            "{line}"
        );
    }
    // Who defines these, their names do not tell; or it does not go with a container.
    for name in [
        "compress@docker",
        "apiary@docker",
        "bluebird@docker",
        "auth-blue@file",
        "api-auth@kubernetescrd",
    ] {
        assert_eq!(lines(&router(name).warnings), [""; 0], "{name}");
    }
    // Each color may well have a service of its own.
    let both = SMALL
        .replace("http://127.0.0.1:1", "a-blue@docker")
        .replace("http://127.0.0.1:2", "a-green@docker");
    assert_eq!(lines(&good(&both).warnings), [""; 0]);
    let text = "traefik: { http: { routers: { admin: { rule: Host(`b`), service: admin-blue@docker } } } }\n";
    let lines = lines(&good(&format!("{SMALL}{text}")).warnings);
    assert!(
        lines.len() == 1
            && lines[0].contains("the HTTP service `admin-blue@docker` lives and dies with blue"),
        "{lines:#?}"
    );
}

#[test]
fn what_has_a_mistake_is_not_missing_too() {
    let text = "\
stacks:
  s:
    services:
      a: { rul: Host(`a`), servers: { blue: ftp://x, green: b-green@http } }
      b: { servers: { blue: s-c-blue@http, green: http://b } }
      c: { rule: Host(`c`), servers: { blue: http://c, green: s-b-green@http }, router: { middlewares: [m] } }
traefik: { http: { middlewares: { m: { nonsense: { x: 1 } } } } }
";
    let lines = lines(&bad(text));
    let starts = [
        "4:12 stacks.s.services.a.rul |",
        "4:45 stacks.s.services.a.servers.blue |",
        "4:61 stacks.s.services.a.servers.green |",
        "5:7 stacks.s.services.b.rule |",
        "7:40 traefik.http.middlewares.m.nonsense |",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{start}\n{lines:#?}");
    }
}
