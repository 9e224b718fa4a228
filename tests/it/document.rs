//! The document, as the real Traefik takes it.

use std::collections::{BTreeMap, HashSet};

use bluegreen::config;
use bluegreen::document::{self, Parts};
use bluegreen::traffic::Traffic;
use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::provider;
use crate::support::redis::Redis;
use crate::support::stack::{HOSTS, Stack};
use crate::support::traefik::Options;

/// A config with everything that is rendered: three colors, lists, references, verbatim parts.
pub(crate) const RICH: &str = r#"
stacks:
  shop:
    key: shop
    colors: [blue, green, gold]
    entryPoints: [web]
    services:
      front:
        rule: Host(`shop.localhost`)
        servers:
          blue: [http://127.0.0.1:1, http://127.0.0.1:2]
          green: http://127.0.0.1:3
          gold: elsewhere@file
        router: { middlewares: [headers, compress], priority: 50, tls: {} }
        health: /well
        loadBalancer: { healthCheck: { interval: 60s }, passHostHeader: false, sticky: { cookie: { name: "süß🍪" } } }
      admin:
        rule: Host(`admin.localhost`) && PathPrefix(`/ü`)
        servers: { blue: http://127.0.0.1:4, green: http://127.0.0.1:5, gold: http://127.0.0.1:6 }
        router: { entryPoints: [traefik] }
traefik:
  http:
    middlewares:
      compress: { compress: {} }
      headers: { headers: { customRequestHeaders: { X-Odd: "a\x7Fb\u0085c" } } }
    routers:
      extra: { rule: "Host(`extra.localhost`)", service: shop-admin-blue }
  tcp:
    routers: { raw: { entryPoints: [web], rule: HostSNI(`*`), service: raw } }
    services: { raw: { loadBalancer: { servers: [{ address: "127.0.0.1:7" }] } } }
marker: { entryPoint: traefik, port: 8080 }
defaultCertificate: generated
"#;

/// Every object, map and list in it has something in it, except where Traefik takes it for a switch.
fn assert_nothing_empty(path: &str, value: &Value) {
    const SWITCHES: [&str; 2] = [".compress", ".tls"];
    let switch = SWITCHES.iter().any(|switch| path.ends_with(switch));
    match value {
        Value::Object(map) => {
            assert!(switch || !map.is_empty(), "{path} is empty");
            for (key, value) in map {
                assert_nothing_empty(&format!("{path}.{key}"), value);
            }
        }
        Value::Array(list) => {
            assert!(!list.is_empty(), "{path} is empty");
            for value in list {
                assert_nothing_empty(path, value);
            }
        }
        Value::Null => panic!("{path} is null"),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traefik_takes_the_document_of_every_traffic_and_enables_every_router() {
    let redis = Redis::start().await;
    let provider = provider::Options::new(RICH, &redis.url()).start().await;
    let files = tempfile::tempdir().unwrap();
    std::fs::write(
        files.path().join("elsewhere.yml"),
        "http: { services: { elsewhere: { loadBalancer: { servers: [{ url: 'http://127.0.0.1:9' }] } } } }",
    )
    .unwrap();
    let traefik = Options::recommended(&provider.url(), "edge-1")
        .and_files(files.path())
        .start()
        .await;
    let colors = ["blue", "green", "gold"];
    for traffic in [
        "blue",
        "green",
        "gold",
        "blue:90,green:10",
        "green:1,gold:1",
        "blue:1,green:0,gold:100000",
    ] {
        redis.cli(&["SET", "shop", traffic]).await;
        let shares = traffic
            .split(',')
            .filter(|share| !share.ends_with(":0"))
            .count();
        let target = if shares == 1 {
            format!("shop-admin-{traffic}")
        } else {
            "shop-admin".to_owned()
        };
        eventually(traffic, std::time::Duration::from_secs(15), async || {
            let routers = traefik.routers().await;
            let admin = &routers.get("shop-admin@http").ok_or("no router")?["service"];
            if *admin == *target {
                Ok(())
            } else {
                Err(format!("{admin}"))
            }
        })
        .await;
        let routers = traefik.routers().await;
        assert_eq!(routers.len(), 4, "{routers:#?}");
        for router in routers.values() {
            assert_eq!(router["status"], "enabled", "{traffic}: {router}");
        }
        let document = provider.get("/traefik").await.json();
        assert_nothing_empty("", &document);
        let services = document["http"]["services"].as_object().unwrap();
        for color in colors {
            assert!(
                services.contains_key(&format!("shop-admin-{color}")),
                "{traffic}"
            );
        }
        // A health check asks the service's own path.
        let check = &services["shop-front-blue"]["loadBalancer"]["healthCheck"];
        assert_eq!(
            *check,
            serde_json::json!({ "interval": "60s", "path": "/well" })
        );
        assert_eq!(
            services.contains_key("shop-admin"),
            shares > 1,
            "a weighted service only for weights"
        );
    }
    assert_eq!(traefik.log().count(" ERR "), 0, "{}", traefik.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_are_what_traefik_deals_out() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let traefik = stack.plain_traefik(&provider, "edge-1").await;
    redis.cli(&["SET", "active", "blue:90,green:10"]).await;
    traefik.wait_for(HOSTS[1], "green").await;
    let mut green = 0;
    for _ in 0..100 {
        green += u32::from(traefik.get(HOSTS[0], "/").await.color() == Some("green"));
    }
    assert_eq!(green, 10);
}

#[tokio::test]
async fn render_is_what_serve_answers_byte_for_byte() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let config = stack
        .config()
        .replace("defaultCertificate: generated\n", "");
    let provider = stack.provider(&config, &redis).await;
    for traffic in ["blue", "green", "blue:90,green:10"] {
        let rendered = Cli::new(&["render", "--traffic", traffic])
            .of(&provider)
            .any_stdout()
            .run()
            .await
            .stdout;
        let again = Cli::new(&["render", "--traffic", traffic])
            .of(&provider)
            .any_stdout()
            .run()
            .await
            .stdout;
        assert_eq!(rendered, again);
        redis.cli(&["SET", "active", traffic]).await;
        eventually(
            "the same bytes",
            std::time::Duration::from_secs(10),
            async || {
                let served = provider.get("/traefik").await.text().to_owned();
                if served == rendered.trim_end() {
                    Ok(())
                } else {
                    Err(served)
                }
            },
        )
        .await;
    }
}

#[test]
fn a_change_of_one_stack_gives_the_document_that_a_fresh_start_gives() {
    let other = "  other: { key: other, services: { api: { rule: Host(`o`), servers: { blue: http://127.0.0.1:1, green: http://127.0.0.1:2 } } } }\n";
    let text = RICH.replace("traefik:\n", &format!("{other}traefik:\n"));
    let files = vec![("bluegreen.yml".into(), text)];
    let config = config::parse(files, &|_| None).unwrap().config;
    let mut parts = Parts::default();
    let changes = [
        ("blue", "blue"),
        ("green", "blue"),
        ("green", "green"),
        ("blue:1,gold:2", "green"),
        ("blue:2,gold:1", "green"),
        ("blue", "blue"),
    ];
    let mut revisions = Vec::new();
    for (shop, other) in changes {
        let traffic = |stack: &str, value: &str| {
            Traffic::parse(value.as_bytes(), &config.stacks[stack].colors).unwrap()
        };
        let traffic = BTreeMap::from([
            ("shop".to_owned(), traffic("shop", shop)),
            ("other".to_owned(), traffic("other", other)),
        ]);
        let document = parts.render(&config, &traffic, None);
        assert_eq!(document, document::render(&config, &traffic, None));
        revisions.push(document.revision);
    }
    assert_eq!(revisions.first(), revisions.last());
    revisions.pop();
    let distinct: HashSet<_> = revisions.iter().collect();
    assert_eq!(distinct.len(), revisions.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_whose_servers_are_all_defined_elsewhere_is_routed() {
    let redis = Redis::start().await;
    let backend = Backend::start("api", &["blue", "green"]).await;
    let files = tempfile::tempdir().unwrap();
    let mut services = String::new();
    for color in ["blue", "green"] {
        let url = backend.url(color);
        services +=
            &format!("    {color}: {{ loadBalancer: {{ servers: [{{ url: '{url}' }}] }} }}\n");
    }
    let services = format!("http:\n  services:\n{services}");
    std::fs::write(files.path().join("elsewhere.yml"), services).unwrap();
    let config = "stacks: { deals: { services: { api: { rule: Host(`api.localhost`), servers: { blue: blue@file, green: green@file } } } } }";
    let provider = provider::Options::new(config, &redis.url()).start().await;
    let traefik = Options::recommended(&provider.url(), "edge-1")
        .and_files(files.path())
        .start()
        .await;
    traefik.wait_for(HOSTS[0], "blue").await;
    redis.cli(&["SET", "active", "green"]).await;
    traefik.wait_for(HOSTS[0], "green").await;
}

#[tokio::test]
async fn the_shipped_schema_is_that_of_the_program() {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("bluegreen.schema.json");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    let made = Cli::new(&["schema"]).any_stdout().run().await.stdout;
    assert!(
        shipped == made,
        "run `cargo run schema > bluegreen.schema.json`"
    );
}
