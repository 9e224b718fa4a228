//! Preview: a color is seen before it has traffic, by the real Traefik.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::http;
use crate::support::load::Load;
use crate::support::provider::Provider;
use crate::support::redis::Redis;
use crate::support::stack::{HOSTS, Stack};
use crate::support::traefik::{Options, Traefik};

/// The config of the stack with this preview.
fn config(stack: &Stack, preview: &str) -> String {
    let place = "    entryPoints: [web]\n";
    let config = stack.config();
    assert!(config.contains(place), "{config}");
    config.replace(place, &format!("{place}    preview: {preview}\n"))
}

async fn traefik(provider: &Provider) -> Traefik {
    let options = Options::recommended(&provider.url(), "edge").entry_point("preview");
    let traefik = options.start().await;
    for host in HOSTS {
        traefik.wait_for(host, "blue").await;
    }
    traefik
}

/// Which color answers on the preview's entrypoint, or the status where none does.
async fn previewed(traefik: &Traefik, host: &str) -> String {
    let answer = http::get(traefik.address("preview"), host, "/", &[]).await;
    let answer = answer.unwrap();
    answer
        .color()
        .map_or_else(|| answer.status.to_string(), ToOwned::to_owned)
}

async fn becomes(traefik: &Traefik, color: &str) {
    for host in HOSTS {
        let what = format!("the preview of {host} shows {color}");
        eventually(&what, Duration::from_secs(10), async || {
            let seen = previewed(traefik, host).await;
            if seen == color { Ok(()) } else { Err(seen) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_reaches_a_color_whatever_the_traffic_says() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let config = config(&stack, "{ header: X-Color }");
    // One whose priority is explicit and one whose fields have to be kept.
    let config = config.replacen("servers:", "router: { priority: 1000 }, servers:", 1);
    let provider = stack.provider(&config, &redis).await;
    let traefik = traefik(&provider).await;
    let asks = async |host: &str, color: &str| {
        let answer = traefik.get_with(host, "/", &[("X-Color", color)]).await;
        answer.color().map(ToOwned::to_owned)
    };
    for traffic in ["blue", "green", "blue:50,green:50"] {
        redis.cli(&["SET", "active", traffic]).await;
        eventually("it is served", Duration::from_secs(10), async || {
            let router = &traefik.routers().await["deals-api@http"];
            let service = router["service"].as_str().unwrap().to_owned();
            let expected = match traffic {
                "blue" | "green" => format!("deals-api-{traffic}"),
                _ => "deals-api".to_owned(),
            };
            if service == expected {
                Ok(())
            } else {
                Err(service)
            }
        })
        .await;
        for host in HOSTS {
            assert_eq!(asks(host, "blue").await.as_deref(), Some("blue"));
            assert_eq!(asks(host, "green").await.as_deref(), Some("green"));
            if traffic != "blue:50,green:50" {
                // Another color than there are is nobody's business.
                assert_eq!(asks(host, "gold").await.as_deref(), Some(traffic));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entrypoint_shows_the_idle_color_and_follows_a_flip() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let config = config(&stack, "{ entryPoint: preview }");
    let provider = stack.provider(&config, &redis).await;
    let traefik = traefik(&provider).await;
    becomes(&traefik, "green").await;
    let load = Load::on(traefik.address("preview"))
        .hosts(&HOSTS)
        .start()
        .await;
    for (to, idle) in [("green", "blue"), ("blue", "green")] {
        let flip = Cli::new(&["flip", to, "--no-verify"]).of(&provider);
        flip.any_stdout().run().await;
        becomes(&traefik, idle).await;
        let shown = Instant::now();
        load.goes_on(shown, 50).await;
        load.report().assert_all(shown, idle);
    }
    load.stop().await.assert_no_failures();

    // With weights no color is idle.
    redis.cli(&["SET", "active", "blue:90,green:10"]).await;
    becomes(&traefik, "404").await;
    assert_eq!(traefik.get(HOSTS[0], "/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_service_is_on_all_entrypoints_the_preview_wins_on_its_own() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let config = config(&stack, "{ entryPoint: preview }").replace("    entryPoints: [web]\n", "");
    let provider = stack.provider(&config, &redis).await;
    let traefik = traefik(&provider).await;
    becomes(&traefik, "green").await;
    assert_eq!(traefik.get(HOSTS[0], "/").await.color(), Some("blue"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_narrows_who_may() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let preview = "{ header: X-Color, entryPoint: preview, rule: 'Header(`X-Secret`, `s3same`)' }";
    let provider = stack.provider(&config(&stack, preview), &redis).await;
    let traefik = traefik(&provider).await;
    let secret = ("X-Secret", "s3same");
    for (headers, color) in [
        (&[("X-Color", "green")][..], "blue"),
        (&[("X-Color", "green"), secret], "green"),
    ] {
        let answer = traefik.get_with(HOSTS[0], "/", headers).await;
        assert_eq!(answer.color(), Some(color), "{headers:?}");
    }
    assert_eq!(previewed(&traefik, HOSTS[0]).await, "404");
    let seen = http::get(traefik.address("preview"), HOSTS[0], "/", &[secret]).await;
    assert_eq!(seen.unwrap().color(), Some("green"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_wins_over_any_priority() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let config = config(&stack, "{ header: X-Color, entryPoint: preview }");
    for priority in ["-7", "1000", "'1000'", "999999999999999999"] {
        let router = format!("router: {{ priority: {priority} }}, servers:");
        let provider = stack
            .provider(&config.replace("servers:", &router), &redis)
            .await;
        let traefik = traefik(&provider).await;
        becomes(&traefik, "green").await;
        let green = [("X-Color", "green")];
        let answer = traefik.get_with(HOSTS[0], "/", &green).await;
        assert_eq!(answer.color(), Some("green"), "{priority}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_entrypoints_of_its_own_keeps_them() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let config = config(&stack, "{ header: X-Color, entryPoint: preview }");
    let own = "router: { entryPoints: [traefik, web] }, servers:";
    let provider = stack
        .provider(&config.replace("servers:", own), &redis)
        .await;
    let traefik = traefik(&provider).await;
    becomes(&traefik, "green").await;
    let routers = traefik.routers().await;
    for (name, entry_points) in [
        ("deals-api@http", json!(["traefik", "web"])),
        ("deals-api-preview-green@http", json!(["traefik", "web"])),
        ("deals-api-preview@http", json!(["preview"])),
    ] {
        assert_eq!(routers[name]["entryPoints"], entry_points, "{name}");
    }
}

#[tokio::test]
async fn mistakes_are_told_with_their_place() {
    let stack = Stack::start().await;
    let dir = tempfile::tempdir().unwrap();
    for (preview, problem) in [
        (
            "{ rule: 'Header(`X`, `y`)' }",
            "narrows a preview that there is not",
        ),
        ("{ header: 'X Color' }", "can't be the name of a header"),
        ("{ header: 'X`' }", "can't be the name of a header"),
        ("{ entryPoint: '' }", "this is empty"),
        ("{ header: X-Color, rule: 'Header(`X`' }", "is not closed"),
        ("{}", "preview"),
    ] {
        std::fs::write(dir.path().join("bluegreen.yml"), config(&stack, preview)).unwrap();
        let check = Cli::new(&["check"]).dir(dir.path()).code(2);
        check.stderr(problem).stderr("bluegreen.yml:4").run().await;
    }
    // A name that is generated for it is taken.
    let taken = config(&stack, "{ entryPoint: preview }")
        + "traefik: { http: { routers: { deals-mcp-preview: { rule: 'Host(`x`)', service: deals-mcp-blue } } } }\n";
    std::fs::write(dir.path().join("bluegreen.yml"), taken).unwrap();
    let check = Cli::new(&["check"]).dir(dir.path()).code(2);
    check
        .stderr("`deals-mcp-preview` that is generated")
        .run()
        .await;
}
