//! Routers that Traefik has disabled: its API tells, and so do status, metrics and log, for as long as it is so.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::provider::Provider;
use crate::support::redis::Redis;
use crate::support::stack::{HOSTS, Stack};
use crate::support::traefik::{self, Traefik};

/// An instance is asked every ten seconds.
const ASKED_WITHIN: Duration = Duration::from_secs(30);

const ERROR: &str = "middleware \"limit@file\" does not exist";

/// A Traefik with its file provider, which defines the middleware that the router of `api` names.
struct Site {
    stack: Stack,
    files: TempDir,
    _redis: Redis,
    provider: Provider,
    traefik: Traefik,
}

impl Site {
    /// With the marker on the entrypoint `traefik`, where the API is unless the arguments say otherwise.
    async fn start(args: &[&str]) -> Self {
        let (stack, redis) = (Stack::start().await, Redis::start().await);
        let files = tempfile::tempdir().unwrap();
        define(files.path(), "limit");
        let provider = stack.provider(&stack.config(), &redis).await;
        let options = traefik::Options::recommended(&provider.url(), "edge");
        let options = options.and_files(files.path());
        let options = args.iter().fold(options, |options, arg| options.arg(arg));
        let site = Self {
            traefik: options.start().await,
            stack,
            files,
            _redis: redis,
            provider,
        };
        let named = "{ rule: 'Host(`api.localhost`)', router: { middlewares: [limit@file] },";
        let config = site
            .stack
            .config()
            .replacen("{ rule: 'Host(`api.localhost`)',", named, 1);
        let production = format!(
            "    production: http://{}\n    services:\n",
            site.traefik.web()
        );
        let config = config.replacen("    services:\n", &production, 1);
        let port = site.traefik.address("traefik").port();
        let marker = format!("marker: {{ entryPoint: traefik, port: {port} }}\n");
        site.provider.write_config(&(config + &marker));
        site.provider.instance_has("edge", "applied", true).await;
        for host in HOSTS {
            site.traefik.wait_for(host, "blue").await;
        }
        site
    }

    /// Waits until it is known that these routers are disabled, and gives all that is known.
    async fn disabled(&self, expected: Value) -> Value {
        eventually("the disabled routers", ASKED_WITHIN, async || {
            let instance = self.provider.instance("edge").await;
            if instance["routers"]["disabled"] == expected {
                Ok(instance)
            } else {
                Err(instance)
            }
        })
        .await
    }

    async fn metrics(&self) -> String {
        self.provider.get("/metrics").await.text().to_owned()
    }

    fn status(&self, args: &[&str]) -> Cli {
        Cli::new(&[&["status"], args].concat()).of(&self.provider)
    }
}

/// Has Traefik's file provider define a middleware of this name, and no other.
fn define(dir: &Path, name: &str) {
    let text = format!("http: {{ middlewares: {{ {name}: {{ compress: {{}} }} }} }}");
    std::fs::write(dir.join("file.yml"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_traefik_disables_later_is_seen_for_as_long_as_it_is() {
    let site = Site::start(&[]).await;
    site.disabled(json!([])).await;
    let metric =
        |count: u32| format!("bluegreen_instance_disabled_routers{{instance=\"edge\"}} {count}");
    assert!(site.metrics().await.contains(&metric(0)));

    define(site.files.path(), "another");
    let gone = json!([{ "router": "deals-api", "error": ERROR }]);
    site.disabled(gone.clone()).await;
    assert_eq!(site.traefik.get(HOSTS[0], "/").await.status, 404);
    assert!(site.metrics().await.contains(&metric(1)));
    site.provider
        .log_contains("Traefik has disabled a router")
        .await;
    let said = format!(
        "Traefik has disabled the router `deals-api`, every request to it gets a 404: {ERROR}"
    );
    eventually("status shows it", ASKED_WITHIN, async || {
        let status = site.status(&[]).any_stdout().run().await;
        if status.stdout.contains(&said) {
            Ok(())
        } else {
            Err(status.stdout)
        }
    })
    .await;
    let status = site.status(&["--json"]).any_stdout().run().await.json();
    let instance = &status["stacks"]["deals"]["instances"][0];
    assert_eq!(instance["routers"]["disabled"], gone);

    define(site.files.path(), "limit");
    site.disabled(json!([])).await;
    site.traefik.wait_for(HOSTS[0], "blue").await;
    site.provider
        .log_contains("enabled every router again")
        .await;
}

/// `verify production` and `flip` look at what the API tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_goes_back_where_traefik_has_disabled_a_router() {
    let site = Site::start(&[]).await;
    let run = |args: &[&str]| Cli::new(args).of(&site.provider).any_stdout().any_stderr();
    let verify = || run(&["verify", "production", "--timeout", "1"]);
    verify().stdout("passed      routers     deals").run().await;
    run(&["flip", "green"]).stdout("blue → green").run().await;
    run(&["flip", "blue"]).stdout("green → blue").run().await;

    define(site.files.path(), "another");
    site.disabled(json!([{ "router": "deals-api", "error": ERROR }]))
        .await;
    let said = format!("edge has disabled the router `deals-api`: {ERROR}");
    verify()
        .code(3)
        .stdout("failed      routers")
        .stdout(&said)
        .run()
        .await;
    let flip = run(&["flip", "green"]).code(4);
    let flip =
        flip.stderr("note: production is not well now: edge has disabled the router `deals-api`");
    let flip = flip.stderr(&format!("production fails on green: routers deals ({said}"));
    flip.stderr("rolled back to blue").run().await;
}

/// All of production answers as somebody else's Traefik would, and the marker is not asked there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_that_repairs_what_traefik_has_disabled_is_not_refused() {
    let site = Site::start(&[]).await;
    let config = std::fs::read_to_string(site.provider.config()).unwrap();
    let mut parts = config.split("blue: '");
    let mut gone = parts.next().unwrap().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('\'').unwrap();
        gone += &format!("blue: 'gone@file'{rest}");
    }
    site.provider.write_config(&gone);
    eventually("all routers are disabled", ASKED_WITHIN, async || {
        let instance = site.provider.instance("edge").await;
        match instance["routers"]["disabled"].as_array() {
            Some(disabled) if disabled.len() == HOSTS.len() => Ok(()),
            _ => Err(instance),
        }
    })
    .await;
    let flip = Cli::new(&["flip", "green"]).of(&site.provider);
    let flip = flip.stdout("blue → green").any_stderr();
    flip.stderr("note: production is not well now: edge has disabled the router")
        .run()
        .await;
    assert_eq!(site.traefik.get(HOSTS[0], "/").await.color(), Some("green"));
}

/// Green is a service that Traefik's file provider does not have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_to_what_traefik_does_not_have_goes_back() {
    let site = Site::start(&[]).await;
    let config = std::fs::read_to_string(site.provider.config()).unwrap();
    let (before, rest) = config.split_once("green: '").unwrap();
    let (_, rest) = rest.split_once('\'').unwrap();
    site.provider
        .write_config(&format!("{before}green: 'gone@file'{rest}"));
    site.provider
        .log_contains("the new config is in force")
        .await;
    site.provider.instance_has("edge", "applied", true).await;
    let flip = Cli::new(&["flip", "green"]).of(&site.provider).any_stdout();
    flip.code(4)
        .stderr(
            "edge has disabled the router `deals-api`: the service \"gone@file\" does not exist",
        )
        .stderr("rolled back to blue")
        .run()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_api_tells_is_not_known() {
    let site = Site::start(&["--api=false", "--api.insecure=false"]).await;
    assert_eq!(site.provider.instance("edge").await["routers"], Value::Null);
    assert!(!site.metrics().await.contains("disabled_routers{"));
    let status = site.status(&["--json"]).any_stdout().run().await.json();
    let instance = &status["stacks"]["deals"]["instances"][0];
    assert_eq!(instance["routers"], Value::Null);
    let run = Cli::new(&["verify", "production"])
        .of(&site.provider)
        .any_stderr();
    run.stdout("skipped     routers     deals: whether Traefik has disabled any is not known")
        .run()
        .await;
}
