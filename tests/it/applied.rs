//! Applied without a `marker` in the config: the Traefik at production is asked by which document it routes.

use std::time::{Duration, Instant};

use crate::support::backend::Backend;
use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::load::Load;
use crate::support::provider::Provider;
use crate::support::redis::Redis;
use crate::support::stack::{HOSTS, Stack};
use crate::support::traefik::Options;

/// The config of the stack, with where production is, as a URL.
fn with_production(stack: &Stack, url: &str) -> String {
    let production = format!("    production: {url}\n    services:\n");
    stack.config().replacen("    services:\n", &production, 1)
}

/// Flips without verifying anything, and gives what is said of it.
async fn flip(provider: &Provider, color: &str) -> String {
    let run = Cli::new(&["flip", color, "--no-verify", "--timeout", "20s"]).of(provider);
    run.stdout(color).any_stderr().run().await.stdout
}

/// Once Traefik has applied a change it waits before it applies the next one, which it has fetched by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_ends_once_production_routes_by_it_and_not_once_it_is_fetched() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let options = Options::recommended(&provider.url(), "edge-1").throttle("2s");
    let traefik = options.start().await;
    traefik.wait_for(HOSTS[0], "blue").await;
    provider.write_config(&with_production(
        &stack,
        &format!("http://{}", traefik.web()),
    ));
    for color in ["green", "blue", "green"] {
        let said = flip(&provider, color).await;
        let answer = traefik.get(HOSTS[0], "/").await;
        assert_eq!(answer.color(), Some(color), "{said}");
        assert!(said.contains("applied by 1 instance"), "{said}");
    }
    // The way back is as good.
    provider.write_config(
        &with_production(&stack, &format!("http://{}", traefik.web())).replacen(
            "    services:\n",
            "    checks: [{ name: never, on: [production], command: 'false' }]\n    services:\n",
            1,
        ),
    );
    let run = Cli::new(&["flip", "blue"]).of(&provider).code(4);
    run.stderr("rolled back to green").run().await;
    assert_eq!(traefik.get(HOSTS[0], "/").await.color(), Some("green"));
}

/// The promise, for the Traefik at production: no answer of the old color once `flip` has returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_flips_under_load_misroute_nothing_without_a_marker_either() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let traefik = stack.plain_traefik(&provider, "edge-1").await;
    provider.write_config(&with_production(
        &stack,
        &format!("http://{}", traefik.web()),
    ));
    let load = Load::on(traefik.web()).hosts(&HOSTS).connections(1);
    let load = load.start().await;
    let mut windows = Vec::new();
    for color in ["green", "blue"].iter().cycle().take(200) {
        flip(&provider, color).await;
        let returned = Instant::now();
        load.goes_on(returned, HOSTS.len()).await;
        windows.push((returned, Instant::now(), *color));
    }
    let report = load.stop().await;
    report.assert_no_failures();
    let mut checked = 0;
    for (returned, next, color) in windows {
        let samples = report.samples.iter();
        for sample in samples.filter(|one| one.start > returned && one.end < next) {
            checked += 1;
            assert_eq!(sample.color(), Some(color), "{sample:?}");
        }
    }
    assert!(checked >= 200, "{checked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_production_is_asked_by_its_own_name() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let tls = |options: &str| {
        let config = stack.config();
        let config = config.replace(
            ", servers:",
            &format!(", router: {{ tls: {{ {options} }} }}, servers:"),
        );
        config + "traefik: { tls: { options: { modern: { minVersion: VersionTLS12 } } } }\n"
    };
    let provider = stack.provider(&tls(""), &redis).await;
    let traefik = Options::recommended(&provider.url(), "edge-1")
        .start()
        .await;
    let port = traefik.web().port();
    eventually(
        "the routers are there",
        Duration::from_secs(15),
        async || {
            let routers = traefik.routers().await;
            match routers.get("bluegreen-marker@http") {
                Some(router) if router["status"] == "enabled" => Ok(()),
                _ => Err(format!("{routers:?}")),
            }
        },
    )
    .await;
    // With options of its own for `localhost` Traefik takes no other host over a connection to that name.
    for (options, host) in [
        ("", "127.0.0.1"),
        ("", "localhost"),
        ("options: modern", "localhost"),
    ] {
        let production = format!("    production: https://{host}:{port}\n    services:\n");
        let config = tls(options).replacen("    services:\n", &production, 1);
        provider.write_config(&config.replacen("Host(`api.localhost`)", "Host(`localhost`)", 1));
        for color in ["green", "blue"] {
            let said = flip(&provider, color).await;
            assert!(said.contains("applied by 1 instance"), "{host}: {said}");
        }
    }
}

/// Whoever is sent from http to https is asked at both, and production by http.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_http_production_answers_also_where_services_are_asked_by_https() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let traefik = stack.plain_traefik(&provider, "edge-1").await;
    let web = traefik.web();
    let both = format!(", production: {{ url: ['http://{web}', 'https://{web}'] }}, servers:");
    let config = with_production(&stack, &format!("http://{web}"));
    provider.write_config(&config.replace(", servers:", &both));
    let said = flip(&provider, "green").await;
    assert!(said.contains("applied by 1 instance"), "{said}");
}

/// Several instances: that of production is known to route by it, of the others only that they have it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_known_is_not_said() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let traefik = stack.plain_traefik(&provider, "edge-1").await;
    let said = flip(&provider, "green").await;
    let expected = "not asked whether Traefik routes by it: the config names no `production`";
    assert!(said.contains("confirmed by 1 instance"), "{said}");
    assert!(said.contains(expected), "{said}");

    let elsewhere = Backend::start("elsewhere", &["blue"]).await;
    provider.write_config(&with_production(&stack, &elsewhere.url("blue")));
    let said = flip(&provider, "blue").await;
    assert!(
        said.contains("production does not answer for the marker"),
        "{said}"
    );

    let _second = stack.plain_traefik(&provider, "edge-2").await;
    provider.write_config(&with_production(
        &stack,
        &format!("http://{}", traefik.web()),
    ));
    let said = flip(&provider, "green").await;
    assert!(
        said.contains("edge-1, edge-2; applied by the one at production"),
        "{said}"
    );
    let run = Cli::new(&["flip", "blue", "--no-verify", "--json"]).of(&provider);
    let flipped = run.any_stdout().run().await.json();
    assert_eq!(flipped["applied"], "production", "{flipped}");
}

/// Wherever routers of the stack are, there is a marker: on each set of entrypoints, with TLS and without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_a_marker_wherever_the_stack_has_routers() {
    let redis = Redis::start().await;
    let config = "\
stacks:
  deals:
    entryPoints: [web]
    services:
      api: { rule: Host(`api.localhost`), servers: { blue: http://127.0.0.1:9, green: http://127.0.0.1:9 } }
      mcp: { rule: Host(`mcp.localhost`), servers: { blue: http://127.0.0.1:9, green: http://127.0.0.1:9 }, router: { tls: {} } }
      admin: { rule: Host(`admin.localhost`), servers: { blue: http://127.0.0.1:9, green: http://127.0.0.1:9 }, router: { entryPoints: [extra] } }
  other:
    key: other
    services:
      web: { rule: PathPrefix(`/`), servers: { blue: http://127.0.0.1:9, green: http://127.0.0.1:9 }, router: { priority: 1000000 } }
";
    let provider = crate::support::provider::Options::new(config, &redis.url())
        .start()
        .await;
    let options = Options::recommended(&provider.url(), "edge-1").entry_point("extra");
    let traefik = options.start().await;
    let revision = eventually("it is applied", Duration::from_secs(15), async || {
        let routers = traefik.routers().await;
        let rule = routers
            .get("bluegreen-marker@http")
            .and_then(|router| router["rule"].as_str());
        let path = rule.and_then(|rule| rule.split("/bluegreen/revision/").nth(1));
        path.map(|path| path.trim_end_matches("`)").to_owned())
            .ok_or(format!("{routers:?}"))
    })
    .await;
    let path = format!("/bluegreen/revision/{revision}");
    for entry_point in ["web", "extra"] {
        let address = traefik.address(entry_point);
        let answer = crate::support::http::get(address, "bluegreen.invalid", &path, &[]).await;
        assert_eq!(answer.unwrap().status, 418, "{entry_point}");
    }
    let routers = traefik.routers().await;
    let markers: Vec<_> = routers
        .iter()
        .filter(|(name, _)| name.starts_with("bluegreen-marker"))
        .collect();
    assert_eq!(markers.len(), 4, "{markers:?}");
    for (name, router) in markers {
        assert_eq!(router["status"], "enabled", "{name}: {router}");
    }
}

/// A share of the document has a revision of its own, which its marker names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_production_that_has_a_share_of_the_document_is_asked_for_that() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let other = "  other:\n    key: other\n    services:\n      web: { rule: Host(`other.localhost`), \
                 servers: { blue: http://127.0.0.1:9, green: http://127.0.0.1:9 } }\n";
    let config = |config: String| config.replacen("stacks:\n", &format!("stacks:\n{other}"), 1);
    let provider = stack.provider(&config(stack.config()), &redis).await;
    let share = format!("{}/deals", provider.url());
    let options = Options::recommended(&share, "edge-1").throttle("2s");
    let traefik = options.start().await;
    traefik.wait_for(HOSTS[0], "blue").await;
    let production = with_production(&stack, &format!("http://{}", traefik.web()));
    provider.write_config(&config(production));
    for color in ["green", "blue"] {
        let run = Cli::new(&["flip", color, "--no-verify", "--stack", "deals"]).of(&provider);
        let run = run.stdout("applied by 1 instance").any_stderr();
        run.run().await;
        assert_eq!(traefik.get(HOSTS[0], "/").await.color(), Some(color));
    }
}
