//! The document of any valid config with any valid traffic.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen::document::{MARKER_ROUTER, render};
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::configs::{Made, configs};
use super::holds;
use crate::support::eventually;
use crate::support::traefik::{Options, Traefik};

/// A case takes a few milliseconds.
const CASES: u32 = 500;

/// A case takes a Traefik about 150 ms: it makes a key at every reload.
const TRAEFIK_CASES: u32 = 40;

/// How every document begins.
const BEGINNING: &str = r#"{"http":{"routers":{"#;

/// What is empty in these is a switch for Traefik.
const SWITCHES: [&str; 3] = ["compress", "tls", "cookie"];

/// Where a document names something, as keys with `*` for any, and which map has to have it.
const PLACES: [(&str, &str); 13] = [
    ("http/routers/*/service", "http/services"),
    ("http/routers/*/middlewares/*", "http/middlewares"),
    ("http/routers/*/tls/options", "tls/options"),
    ("http/services/*/weighted/services/*/name", "http/services"),
    ("http/services/*/mirroring/service", "http/services"),
    ("http/services/*/mirroring/mirrors/*/name", "http/services"),
    ("http/services/*/failover/service", "http/services"),
    ("http/services/*/failover/fallback", "http/services"),
    (
        "http/services/*/loadBalancer/serversTransport",
        "http/serversTransports",
    ),
    ("http/middlewares/*/chain/middlewares/*", "http/middlewares"),
    ("tcp/routers/*/service", "tcp/services"),
    ("tcp/services/*/weighted/services/*/name", "tcp/services"),
    ("udp/routers/*/service", "udp/services"),
];

fn names<'a>(value: &'a Value, way: &[&str], found: &mut Vec<&'a str>) {
    match (way, value) {
        ([], Value::String(name)) => found.extend(name.split(',').map(str::trim)),
        ([], _) => panic!("{value} is no name"),
        (["*"], Value::String(_)) => names(value, &[], found),
        (["*", rest @ ..], Value::Array(list)) => {
            list.iter().for_each(|entry| names(entry, rest, found));
        }
        (["*", rest @ ..], Value::Object(map)) => {
            map.values().for_each(|entry| names(entry, rest, found));
        }
        ([key, rest @ ..], Value::Object(map)) => {
            if let Some(entry) = map.get(*key) {
                names(entry, rest, found);
            }
        }
        _ => {}
    }
}

/// Every name that is not another provider's is defined.
fn assert_resolved(document: &Value) {
    for (place, home) in PLACES {
        let way: Vec<_> = place.split('/').collect();
        let mut found = Vec::new();
        names(document, &way, &mut found);
        for name in found {
            let (own, provider) = name.rsplit_once('@').unwrap_or((name, "http"));
            let defined = document.pointer(&format!("/{home}/{own}")).is_some();
            assert!(
                defined || provider != "http",
                "{place}: `{name}` is not in {home}"
            );
        }
    }
}

/// Nothing is empty that Traefik does not take for a switch.
fn assert_nothing_empty(key: &str, value: &Value) {
    let empty = match value {
        Value::Object(map) => {
            map.iter()
                .for_each(|(key, value)| assert_nothing_empty(key, value));
            map.is_empty() && !SWITCHES.contains(&key)
        }
        Value::Array(list) => {
            list.iter()
                .for_each(|value| assert_nothing_empty(key, value));
            list.is_empty()
        }
        Value::Null => true,
        _ => false,
    };
    assert!(!empty, "`{key}` is empty");
}

/// The priority that Traefik gives a router.
fn priority(router: &Value) -> i64 {
    let length = router["rule"].as_str().unwrap().len();
    let own = &router["priority"];
    let own = own.as_str().map_or(own.as_i64(), |text| text.parse().ok());
    own.unwrap_or(i64::try_from(length).unwrap())
}

/// The routers and services of every stack are there, by their names, and go where the traffic says.
fn assert_follows_the_traffic(made: &Made, document: &Value) {
    let (routers, services) = (&document["http"]["routers"], &document["http"]["services"]);
    let mut expected = BTreeSet::new();
    for (name, stack) in &made.stacks {
        for (service_name, service) in &stack.services {
            let base = format!("{name}-{service_name}");
            let of_color = |color: usize| service.of_color(&base, color, stack.colors[color]);
            let shares: Vec<Value> = (0..stack.colors.len())
                .filter(|color| stack.weights[*color] > 0)
                .map(|color| json!({ "name": of_color(color), "weight": stack.weights[color] }))
                .collect();
            let router = &routers[&base];
            assert_eq!(router["rule"], *service.rule);
            match stack.sole() {
                Some(color) => {
                    assert_eq!(router["service"], of_color(color));
                    assert!(services.get(&base).is_none(), "{base} needs no weights");
                }
                None => {
                    assert_eq!(router["service"], base);
                    let weighted = json!({ "weighted": { "services": shares } });
                    assert_eq!(services[&base], weighted, "{base}");
                }
            }
            for (color, servers) in service.servers.iter().enumerate() {
                let balancer = &services[of_color(color)]["loadBalancer"];
                if !servers[0].contains('@') {
                    let urls: Vec<_> = servers.iter().map(|url| json!({ "url": url })).collect();
                    assert_eq!(balancer["servers"], Value::from(urls), "{base}");
                }
            }
            expected.insert(base.clone());
            let preview = stack.preview.unwrap_or_default();
            let mut previews = Vec::new();
            if preview.contains("header:") {
                for (color, name) in stack.colors.iter().enumerate() {
                    let router = format!("{base}-preview-{name}");
                    assert_eq!(routers[&router]["service"], of_color(color), "{router}");
                    previews.push(router);
                }
            }
            if preview.contains("entryPoint:") && stack.weights.contains(&0) {
                let router = format!("{base}-preview");
                let idle = (0..stack.colors.len()).filter(|color| stack.weights[*color] == 0);
                let idle: Vec<_> = idle.map(of_color).map(Value::from).collect();
                assert!(
                    idle.contains(&routers[&router]["service"]),
                    "{router}: {idle:?}"
                );
                assert_eq!(routers[&router]["entryPoints"], json!(["preview"]));
                previews.push(router);
            }
            for preview in previews {
                assert!(priority(&routers[&preview]) > priority(router), "{preview}");
                expected.insert(preview);
            }
        }
    }
    let written = routers.as_object().unwrap().keys().cloned();
    let is_marker = |name: &String| name.starts_with(MARKER_ROUTER);
    let (markers, written): (BTreeSet<_>, BTreeSet<_>) = written.partition(is_marker);
    assert!(
        if made.marker {
            markers.len() == 1
        } else {
            !markers.is_empty()
        },
        "{markers:?}"
    );
    let more: Vec<_> = written.symmetric_difference(&expected).collect();
    assert!(more.is_empty() || more == ["extra"], "{more:?}");
}

#[test]
fn a_valid_config_renders_a_document_in_which_every_reference_resolves() {
    holds(CASES, configs(), |made| {
        let config = made.load().config;
        let document = render(&config, &made.traffic(false), None);
        let again = render(&made.load().config, &made.traffic(true), None);
        assert_eq!(document, again, "the same config and traffic");
        let document: Value = serde_json::from_slice(&document.bytes).unwrap();
        assert_resolved(&document);
        assert_nothing_empty("", &document);
        assert_follows_the_traffic(&made, &document);
    });
}

/// Answers every request with the bytes that are in the slot.
async fn endpoint(slot: Arc<Mutex<Bytes>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let slot = slot.clone();
            let answer = service_fn(move |_| {
                let body = Full::new(slot.lock().unwrap().clone());
                async { Ok::<_, Infallible>(Response::new(body)) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), answer));
        }
    });
    format!("http://{address}")
}

/// It has the document with this router, and has disabled nothing of it.
async fn takes(traefik: &Traefik, router: &str, document: &Value) {
    let complaints = || {
        let lines = traefik.log().lines().into_iter();
        let errors = lines.filter(|line| line.contains(" ERR "));
        errors.collect::<Vec<_>>()
    };
    let before = complaints().len();
    let applied = eventually(router, Duration::from_secs(20), async || {
        let routers = traefik.routers().await;
        if routers.contains_key(&format!("{router}@http")) || complaints().len() > before {
            Ok(routers)
        } else {
            Err("another document")
        }
    })
    .await;
    assert_eq!(complaints()[before..], [""; 0]);
    let raw = traefik.api("/api/rawdata").await;
    for kind in [
        "routers",
        "services",
        "middlewares",
        "tcpRouters",
        "tcpServices",
    ] {
        for (name, part) in raw[kind].as_object().into_iter().flatten() {
            let well = part["status"] == "enabled" && part.get("error").is_none();
            assert!(well, "{name}: {part}");
        }
    }
    for name in document["http"]["routers"].as_object().unwrap().keys() {
        let router = applied.get(&format!("{name}@http"));
        assert_eq!(
            router.map(|router| &router["status"]),
            Some(&json!("enabled")),
            "{name}"
        );
    }
}

#[test]
fn traefik_takes_the_document_of_a_valid_config_whole() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let slot = Arc::new(Mutex::new(Bytes::from_static(b"{}")));
    let files = tempfile::tempdir().unwrap();
    std::fs::write(
        files.path().join("elsewhere.yml"),
        "http: { services: { elsewhere: { loadBalancer: { servers: [{ url: 'http://127.0.0.1:9' }] } } }, \
         middlewares: { plain: { compress: {} } } }",
    )
    .unwrap();
    let url = runtime.block_on(endpoint(slot.clone()));
    let options = Options::http(&url)
        .poll_interval("10ms")
        .throttle("10ms")
        .entry_point("preview")
        .and_files(files.path());
    let traefik = runtime.block_on(options.start());
    let count = std::cell::Cell::new(0);
    holds(TRAEFIK_CASES, configs(), |made| {
        let document = render(&made.load().config, &made.traffic(false), None);
        // By this one it is known which document Traefik has; else the bytes are as they are.
        count.set(count.get() + 1);
        let router = format!("sample-{}", count.get());
        let text = std::str::from_utf8(&document.bytes).unwrap();
        let rest = text.strip_prefix(BEGINNING).expect("routers come first");
        let added =
            format!(r#""{router}":{{"rule":"Path(`/sample`)","service":"noop@internal"}},"#);
        let text = [BEGINNING, &added, rest].concat();
        let document = serde_json::from_str(&text).unwrap();
        *slot.lock().unwrap() = text.into();
        runtime.block_on(takes(&traefik, &router, &document));
    });
}
