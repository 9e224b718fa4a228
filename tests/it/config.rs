//! The config file: what is taken, and what is said about what is not.

mod analysis;
mod checks;
mod dead;
mod files;
mod garbage;
mod guard;
mod meaning;
mod mistakes;
mod report;
mod rollout;
mod schema;
mod values;

use bluegreen::config::{self, Loaded, Mistake, Report, Servers};

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
        "WORD" => Some("hunter2".to_owned()),
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
        deals
            .preview
            .as_ref()
            .and_then(|preview| preview.header.as_deref()),
        Some("X-Color")
    );
    assert!(warnings.is_empty(), "{:?}", lines(&warnings));
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
