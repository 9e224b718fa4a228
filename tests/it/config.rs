//! The config file: what is taken, and what is said about what is not.

use bluegreen::config::{self, Loaded, Mistake, Report, Servers, Severity};
use serde_json::{Value, json};
use std::path::Path;

/// The example of the documentation, as it is there.
const EXAMPLE: &str = r#"stacks:
  deals:
    key: active                 # the Redis key; this is the default. Two stacks with one key are an error
    colors: [blue, green]       # the default; the first takes the traffic while the key has never been set
    entryPoints: [web]          # Traefik's; optional
    production: http://127.0.0.1:80   # where this host reaches Traefik's entrypoint; for flip and verify
    preview: { header: X-Color }      # optional, section 8
    services:
      api:
        rule: Host(`api.localhost`)
        servers:
          blue: http://127.0.0.1:8091
          green: http://127.0.0.1:8092
        health: /health         # path; used by verify and flip, and by Traefik when `healthCheck` is given
      mcp:
        rule: Host(`mcp.localhost`)
        servers: { blue: http://127.0.0.1:9100, green: http://127.0.0.1:9101 }
        health: /health
      dashboard:
        rule: Host(`dashboard.localhost`)
        servers: { blue: [http://127.0.0.1:3003], green: [http://127.0.0.1:3004] }   # a list: several replicas
        health: /
        router: { middlewares: [compress] }          # verbatim into the Traefik router: tls, priority, ...
        loadBalancer: { passHostHeader: true }       # verbatim into each color's load balancer: sticky, healthCheck, ...
    containers: { blue: deals-blue, green: deals-green }   # compose project names, for verify
    checks: []                  # smoke tests, section 7
traefik:                        # verbatim into the served document
  http: { middlewares: { compress: { compress: {} } } }
"#;

/// A small config that is good; the line numbers of the table of mistakes are those of what is put in place of parts.
const SMALL: &str = "\
stacks:
  s:
    services:
      a:
        rule: Host(`a`)
        servers:
          blue: http://127.0.0.1:1
          green: http://127.0.0.1:2
";

fn env(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("10.0.0.1".to_owned()),
        "DIGITS" => Some("123".to_owned()),
        "SECRET" => Some("hunter2 ".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Loaded, Report> {
    config::parse(vec![("bluegreen.yml".into(), text.to_owned())], &env)
}

fn good(text: &str) -> Loaded {
    parse(text).unwrap_or_else(|report| panic!("{report}\n{text}"))
}

fn bad(text: &str) -> Report {
    match parse(text) {
        Ok(loaded) => panic!("this should not load:\n{text}\n{loaded:#?}"),
        Err(report) => report,
    }
}

/// `5:7 key | message | hint` of a mistake.
fn line(mistake: &Mistake) -> String {
    let place = &mistake.place;
    format!(
        "{}:{} {} | {} | {}",
        place.line.unwrap_or_default(),
        place.column.unwrap_or_default(),
        mistake.key,
        mistake.message,
        mistake.hint.as_deref().unwrap_or_default()
    )
}

fn lines(report: &Report) -> Vec<String> {
    report.mistakes().iter().map(line).collect()
}

#[test]
fn the_example_of_the_documentation_loads() {
    let Loaded { config, warnings } = good(EXAMPLE);
    let deals = &config.stacks["deals"];
    assert_eq!(deals.key, "active");
    assert_eq!(
        deals.colors.iter().map(|c| c.as_str()).collect::<Vec<_>>(),
        ["blue", "green"]
    );
    assert_eq!(deals.entry_points, ["web"]);
    assert_eq!(deals.production.as_deref(), Some("http://127.0.0.1:80"));
    assert_eq!(
        deals.services.keys().collect::<Vec<_>>(),
        ["api", "dashboard", "mcp"]
    );
    let dashboard = &deals.services["dashboard"];
    let green = "green".parse().unwrap();
    assert_eq!(
        dashboard.servers[&green],
        Servers::Urls(vec!["http://127.0.0.1:3004".to_owned()])
    );
    assert_eq!(
        Value::from(dashboard.router.clone()),
        json!({ "middlewares": ["compress"] })
    );
    assert_eq!(
        Value::from(dashboard.load_balancer.clone()),
        json!({ "passHostHeader": true })
    );
    assert_eq!(deals.containers[&green], "deals-green");
    assert_eq!(
        Value::from(config.traefik),
        json!({ "http": { "middlewares": { "compress": { "compress": {} } } } })
    );
    assert_eq!(config.files, [Path::new("bluegreen.yml")]);
    assert_eq!(
        lines(&warnings),
        ["7:5 stacks.deals.preview | `preview` is read, but this version does not act on it | "]
    );
    assert_eq!(warnings.mistakes()[0].severity, Severity::Warning);
}

#[test]
fn the_smallest_config_has_the_defaults() {
    let config = good(SMALL).config;
    let stack = &config.stacks["s"];
    assert_eq!(stack.key, "active");
    assert_eq!(stack.colors.len(), 2);
    assert!(stack.entry_points.is_empty() && stack.production.is_none());
    assert!(config.marker.is_none() && !config.generated_certificate);
}

#[test]
fn marker_and_certificate_are_read() {
    let text = format!(
        "{SMALL}marker: {{ entryPoint: traefik, port: 8080 }}\ndefaultCertificate: generated\n"
    );
    let config = good(&text).config;
    let marker = config.marker.unwrap();
    assert_eq!(
        (marker.entry_point.as_str(), marker.port),
        ("traefik", 8080)
    );
    assert!(config.generated_certificate);
}

/// A mistake: what of [`SMALL`] is replaced by what, and then what the only line about it begins with, and holds.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    // Keys
    (
        "servers:",
        "servrs:",
        "6:9 stacks.s.services.a.servrs | unknown key `servrs`",
        "did you mean `servers`?",
    ),
    (
        "rule:",
        "Rule:",
        "5:9 stacks.s.services.a.Rule | unknown key",
        "did you mean `rule`?",
    ),
    (
        "stacks:",
        "stack:",
        "1:1 stack | unknown key",
        "did you mean `stacks`?",
    ),
    (
        "    services:",
        "    drain: 10m\n    services:",
        "3:5 stacks.s.drain | unknown key",
        "known here are `checks`",
    ),
    (
        "        servers:",
        "        rule: x\n        servers:",
        "6:9 stacks.s.services.a.rule | the key `rule` is given twice",
        "keep one",
    ),
    (
        "        rule: Host(`a`)\n",
        "",
        "4:7 stacks.s.services.a.rule | the key `rule` is missing",
        "Host(",
    ),
    (
        "          blue",
        "          gren: http://x\n          blue",
        "7:11 stacks.s.services.a.servers.gren | `gren` is not a color of this stack",
        "did you mean `green`?",
    ),
    (
        "          green: http://127.0.0.1:2\n",
        "",
        "6:9 stacks.s.services.a.servers.green | the color `green` has no servers",
        "flip",
    ),
    (
        "green:",
        "gren:",
        "8:11 stacks.s.services.a.servers.gren | `gren` is not a color",
        "`green`",
    ),
    // Types
    (
        "Host(`a`)",
        "[a]",
        "5:15 stacks.s.services.a.rule | expected a text, found a list",
        "",
    ),
    (
        "Host(`a`)",
        "5",
        "5:15 stacks.s.services.a.rule | expected a text, found the number `5`",
        "quote it: `\"5\"`",
    ),
    (
        "Host(`a`)",
        "",
        "5:9 stacks.s.services.a.rule | expected a text, found nothing",
        "give it a value",
    ),
    (
        "Host(`a`)",
        "''",
        "5:15 stacks.s.services.a.rule | the rule is empty",
        "Host(",
    ),
    (
        "http://127.0.0.1:1",
        "{}",
        "7:17 stacks.s.services.a.servers.blue | expected a URL such as",
        "",
    ),
    (
        "http://127.0.0.1:1",
        "[]",
        "7:11 stacks.s.services.a.servers.blue | at least 1 entry",
        "add",
    ),
    (
        "    services:",
        "    entryPoints: web\n    services:",
        "3:18 stacks.s.entryPoints | expected a list, found `web`",
        "make it a list: `[web]`",
    ),
    (
        "stacks:",
        "lenient: yes\nstacks:",
        "1:10 lenient | expected `true` or `false`, found `yes`",
        "YAML 1.2",
    ),
    (
        "stacks:",
        "lenient: \"true\"\nstacks:",
        "1:10 lenient | expected `true` or `false`",
        "remove the quotes",
    ),
    (
        "stacks:",
        "marker: {entryPoint: t, port: 99999}\nstacks:",
        "1:31 marker.port | expected a whole number from 1 to 65535, found the number `99999`",
        "",
    ),
    (
        "stacks:",
        "marker: {entryPoint: t}\nstacks:",
        "1:1 marker.port | the key `port` is missing",
        "TCP port",
    ),
    (
        "stacks:",
        "defaultCertificate: own\nstacks:",
        "1:21 defaultCertificate | expected `generated`, found `own`",
        "",
    ),
    // Values
    (
        "http://127.0.0.1:1",
        "127.0.0.1:1",
        "7:17 stacks.s.services.a.servers.blue | the URL `127.0.0.1:1` has no scheme",
        "http://127.0.0.1:1",
    ),
    (
        "http://127.0.0.1:1",
        "http://a/b",
        "7:17 stacks.s.services.a.servers.blue | the URL `http://a/b` has a path",
        "addPrefix",
    ),
    (
        "http://127.0.0.1:1",
        "[http://a, http://a/]",
        "7:28 stacks.s.services.a.servers.blue[1] | this server is listed twice",
        "remove",
    ),
    (
        "http://127.0.0.1:1",
        "a@http",
        "7:17 stacks.s.services.a.servers.blue | the HTTP service `a@http` does not exist",
        "this document has `s-a-green`",
    ),
    (
        "http://127.0.0.1:1",
        "s-a-gren@http",
        "7:17 stacks.s.services.a.servers.blue | the HTTP service",
        "did you mean `s-a-green@http`?",
    ),
    (
        "http://127.0.0.1:1",
        "'@docker'",
        "7:17 stacks.s.services.a.servers.blue | `@docker` is neither a URL",
        "api@docker",
    ),
    (
        "Host(`a`)",
        "Host(`a`",
        "5:19 stacks.s.services.a.rule | this `(` is not closed",
        "404",
    ),
    (
        "Host(`a`)",
        "'Host(`a)'",
        "5:21 stacks.s.services.a.rule | this backtick is not closed",
        "404",
    ),
    (
        "        servers:",
        "        health: health\n        servers:",
        "6:17 stacks.s.services.a.health | the health path does not begin",
        "/health",
    ),
    (
        "    services:",
        "    production: ftp://x\n    services:",
        "3:17 stacks.s.production | the URL `ftp://x` is neither",
        "supported",
    ),
    (
        "    services:",
        "    colors: [blue]\n    services:",
        "3:5 stacks.s.colors | at least 2 entries are needed here, and there is 1",
        "add",
    ),
    (
        "    services:",
        "    colors: [blue, green, blue]\n    services:",
        "3:27 stacks.s.colors[2] | the color `blue` is named twice",
        "remove",
    ),
    (
        "    services:",
        "    colors: [blue, green, -x]\n    services:",
        "3:27 stacks.s.colors[2] | `-x` can't be a color",
        "rename",
    ),
    (
        "    services:",
        "    colors: [blue, green, red]\n    services:",
        "7:9 stacks.s.services.a.servers.red | the color `red` has no servers",
        "flip",
    ),
    (
        "    services:",
        "    containers: {bleu: x}\n    services:",
        "3:18 stacks.s.containers.bleu | `bleu` is not a color",
        "`blue`",
    ),
    (
        "    services:",
        "    key: ''\n    services:",
        "3:10 stacks.s.key | this is empty",
        "white space",
    ),
    (
        "    services:",
        "    key: 'a b'\n    services:",
        "3:10 stacks.s.key | white space",
        "white space",
    ),
    (
        "  s:",
        "  s@x:",
        "2:3 stacks.s@x | `s@x` can't be a name",
        "letters",
    ),
    (
        "      a:",
        "      a b:",
        "4:7 stacks.s.services.\"a b\" | `a b` can't be a name",
        "letters",
    ),
    // Verbatim parts
    (
        "        servers:",
        "        router: {rule: x}\n        servers:",
        "6:18 stacks.s.services.a.router.rule | `rule` can't be given here",
        "generates",
    ),
    (
        "        servers:",
        "        router: {prioriti: 5}\n        servers:",
        "6:18 stacks.s.services.a.router.prioriti | Traefik 3.7 does not know the field `prioriti`",
        "did you mean `priority`?; for a newer Traefik, `lenient: true`",
    ),
    (
        "        servers:",
        "        router: {priority: high}\n        servers:",
        "6:28 stacks.s.services.a.router.priority | expected a whole number, found `high`",
        "",
    ),
    (
        "        servers:",
        "        router: {middlewares: [zip]}\n        servers:",
        "6:32 stacks.s.services.a.router.middlewares[0] | the HTTP middleware `zip` does not exist",
        "define it below `traefik`",
    ),
    (
        "        servers:",
        "        router: {tls: {options: modern}}\n        servers:",
        "6:33 stacks.s.services.a.router.tls.options | the TLS options `modern` does not exist",
        "",
    ),
    (
        "        servers:",
        "        loadBalancer: {servers: []}\n        servers:",
        "6:24 stacks.s.services.a.loadBalancer.servers | `servers` can't be given",
        "generates",
    ),
    (
        "        servers:",
        "        loadBalancer: {serversTransport: t}\n        servers:",
        "6:42 stacks.s.services.a.loadBalancer.serversTransport | the HTTP servers transport `t` does not exist",
        "",
    ),
    (
        "        servers:",
        "        loadBalancer: {healthCheck: {interval: 5 s}}\n        servers:",
        "6:48 stacks.s.services.a.loadBalancer.healthCheck.interval | expected a duration such as `10s`",
        "",
    ),
    (
        "stacks:",
        "traefik: {http: {}}\nstacks:",
        "1:11 traefik.http | an empty mapping here makes Traefik refuse",
        "remove",
    ),
    (
        "stacks:",
        "traefik: {http: {routers: {x: {rule: Host(`x`), service: s-a-gren}}}}\nstacks:",
        "1:58 traefik.http.routers.x.service | the HTTP service `s-a-gren` does not exist",
        "did you mean `s-a-green`?",
    ),
    (
        "stacks:",
        "traefik: {http: {routers: {bluegreen-marker: {rule: Host(`x`), service: s-a-green}}}}\nstacks:",
        "1:28 traefik.http.routers.bluegreen-marker | the router `bluegreen-marker` is one that bluegreen makes",
        "rename",
    ),
    (
        "stacks:",
        "traefik: {http: {services: {s-a-blue: {loadBalancer: {servers: [{url: http://x}]}}}}}\nstacks:",
        "5:7 stacks.s.services.a | the service `s-a-blue` that is generated for this exists already, as `traefik.http.services.s-a-blue`",
        "rename",
    ),
    (
        "stacks:",
        "defaultCertificate: generated\ntraefik: {tls: {stores: {default: {defaultCertificate: {certFile: a, keyFile: b}}}}}\nstacks:",
        "2:36 traefik.tls.stores.default.defaultCertificate | the default certificate is given here and generated too",
        "remove",
    ),
    // Variables and YAML
    (
        "Host(`a`)",
        "Host(`${NONE}`)",
        "5:21 stacks.s.services.a.rule | the environment variable `NONE` is not set",
        "${NONE:-default}",
    ),
    (
        "Host(`a`)",
        "Host(`${HOST`)",
        "5:21 stacks.s.services.a.rule | `${` has no closing `}`",
        "$${",
    ),
    (
        "Host(`a`)",
        "!foo x",
        "5:20 stacks.s.services.a.rule | the tag `foo` means nothing here",
        "remove",
    ),
    ("Host(`a`)", "*gone", "5:15  | this is not YAML:", ""),
    (
        "    services:",
        "\tservices:",
        "3:2  | this is not YAML: tab",
        "indent with spaces",
    ),
    (
        "    services:",
        "    ? [x]\n    : 1\n    services:",
        "3:7 stacks.s.\"?\" | a mapping or a list can't be a key",
        "text",
    ),
    (
        "    services:",
        "    <<: 5\n    services:",
        "3:9 stacks.s.<< | only a mapping",
        "anchor",
    ),
];

#[test]
fn each_mistake_is_told_once_with_its_place_key_and_hint() {
    let mut wrong = Vec::new();
    for (from, to, start, hint) in MISTAKES {
        assert!(SMALL.contains(from), "{from}");
        let text = SMALL.replacen(from, to, 1);
        let told = match parse(&text) {
            Ok(_) => vec!["loaded".to_owned()],
            Err(report) => lines(&report),
        };
        let fits = |line: &String| line.starts_with(start) && line.contains(hint);
        if told.len() != 1 || !told.iter().all(fits) {
            wrong.push(format!(
                "{to:?}\n  wanted {start} … {hint}\n  got    {}",
                told.join("\n         ")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        MISTAKES.len(),
        wrong.join("\n")
    );
}

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

#[test]
fn a_report_reads_like_a_compiler() {
    let report = bad(&SMALL.replace("        servers:", "        rule: x\n        servers:"));
    assert_eq!(
        report.render(false),
        "\
error: the key `rule` is given twice
 --> bluegreen.yml:6:9
  |
6 |         rule: x
  |         ^^^^
  |
  = key: stacks.s.services.a.rule
  = help: keep one of the two
note: the other place
 --> bluegreen.yml:5:9
  |
5 |         rule: Host(`a`)
  |         ^^^^"
    );
    assert!(report.render(true).contains("\u{1b}["));
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        json!([{
            "severity": "error",
            "file": "bluegreen.yml",
            "line": 6,
            "column": 9,
            "key": "stacks.s.services.a.rule",
            "message": "the key `rule` is given twice",
            "hint": "keep one of the two",
            "other": { "file": "bluegreen.yml", "line": 5, "column": 9 },
        }])
    );
}

#[test]
fn columns_count_characters_and_long_lines_are_cut() {
    let wide = SMALL.replace("Host(`a`)", "'é\u{1f600}(`a`'");
    let lines = lines(&bad(&wide));
    assert!(lines[0].starts_with("5:18 "), "{lines:#?}");
    let long = format!("{SMALL}x: {{ {}, y: 'hunter2' }}\n", "z: 1".repeat(2000));
    let rendered = bad(&long).render(false);
    assert!(rendered.len() < 2000, "{rendered}");
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
