//! The site that these tests flip: three services in two colors behind a real Traefik, which is `production`.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::load::{self, Load};
use crate::support::port::free_port;
use crate::support::provider::{self, Provider};
use crate::support::redis::Redis;
use crate::support::stack::HOSTS;
use crate::support::traefik::{self, Traefik};

/// A site with blue in production, under no load yet.
pub(crate) struct Site {
    /// `api`, `mcp` and `dashboard`.
    pub(crate) services: [Backend; 3],
    pub(crate) traefik: Traefik,
    pub(crate) provider: Provider,
    pub(crate) redis: Redis,
}

impl Site {
    /// With the marker: an instance counts once it routes by the document. For one Traefik.
    pub(crate) async fn start() -> Self {
        Self::with(Some(free_port()), &[]).await
    }

    /// Without it: an instance counts once it has fetched the document. For several.
    pub(crate) async fn without_marker() -> Self {
        Self::with(None, &[]).await
    }

    /// With the marker, and with a provider that carries no rollouts on.
    pub(crate) async fn without_rollouts() -> Self {
        Self::with(Some(free_port()), &["--no-rollouts"]).await
    }

    async fn with(marker: Option<u16>, args: &[&str]) -> Self {
        // What is in Redis outlives it, as it does where production depends on it.
        let redis = Redis::start_with(&["--appendonly", "yes"]).await;
        let colors = ["blue", "green"];
        let services = [
            Backend::start("api", &colors).await,
            Backend::start("mcp", &colors).await,
            Backend::start("dashboard", &colors).await,
        ];
        let config = config(&services, marker);
        let options = provider::Options::new(&config, &redis.url());
        let options = args.iter().fold(options, |options, arg| options.arg(arg));
        let provider = options.start().await;
        let mut options = traefik::Options::recommended(&provider.url(), "edge-1");
        if let Some(port) = marker {
            options = options.arg(&format!("--entryPoints.marker.address=127.0.0.1:{port}"));
        }
        let traefik = options.start().await;
        for host in HOSTS {
            traefik.wait_for(host, "blue").await;
        }
        let site = Self {
            services,
            traefik,
            provider,
            redis,
        };
        // Where production is, is known only now.
        let production = format!(
            "    production: http://{}\n    services:\n",
            site.traefik.web()
        );
        site.reconfigure("    services:\n", &production);
        site.has_instances(1).await;
        site
    }

    /// Another Traefik behind the same provider.
    pub(crate) async fn second_traefik(&self) -> Traefik {
        let options = traefik::Options::recommended(&self.provider.url(), "edge-2");
        let traefik = options.start().await;
        self.has_instances(2).await;
        traefik
    }

    /// Replaces text in the config.
    #[track_caller]
    pub(crate) fn reconfigure(&self, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.provider.config()).unwrap();
        assert!(text.contains(old), "no `{old}` in {text}");
        self.provider.write_config(&text.replacen(old, new, 1));
    }

    /// Gives the stack a smoke test that asks the service `api` for a path.
    pub(crate) fn add_check(&self, name: &str, on: &str, path: &str) {
        let check =
            format!("{{ name: {name}, on: [{on}], steps: [{{ service: api, path: {path} }}] }}");
        let checks = format!("    checks: [{check}]\n    services:\n");
        self.reconfigure("    services:\n", &checks);
    }

    /// A command for this site. A failure prints nothing to stdout; stderr is the test's business.
    pub(crate) fn command(&self, args: &[&str]) -> Cli {
        let run = Cli::new(args).of(&self.provider).any_stderr();
        run.env("BLUEGREEN_TIMEOUT", "20s")
    }

    /// `flip green`, with more flags.
    pub(crate) fn flip(&self, flags: &[&str]) -> Cli {
        self.command(&[&["flip", "green"], flags].concat())
    }

    /// Waits until this many instances are known, and all of them have what they are to have.
    pub(crate) async fn has_instances(&self, count: usize) {
        let what = format!("{count} instances have it");
        eventually(&what, Duration::from_secs(15), async || {
            let status = self.command(&["status", "--json"]).any_stdout();
            let status = status.run().await.json();
            let fleet = status["stacks"]["deals"]["instances"].as_array().unwrap();
            let confirmed = fleet.iter().filter(|one| one["confirmed"] == true);
            if (fleet.len(), confirmed.count()) == (count, count) {
                Ok(())
            } else {
                Err(status.to_string())
            }
        })
        .await;
    }

    /// Constant load on all three services.
    pub(crate) async fn load(&self) -> load::Running {
        let load = Load::on(self.traefik.web()).hosts(&HOSTS);
        load.connections(1).start().await
    }

    /// What the key says.
    pub(crate) async fn key(&self) -> String {
        self.redis.cli(&["GET", "active"]).await
    }

    /// Waits until the key says this.
    pub(crate) async fn key_is(&self, value: &str) {
        let what = format!("the key is {value}");
        eventually(&what, Duration::from_secs(10), async || {
            let key = self.key().await;
            if key == value { Ok(()) } else { Err(key) }
        })
        .await;
    }

    /// The history, the newest first.
    pub(crate) async fn history(&self) -> Vec<Value> {
        let run = self.command(&["history", "--json"]).any_stdout();
        let history = run.run().await.json();
        history["history"].as_array().unwrap().clone()
    }

    /// To where the traffic has moved, the newest first.
    pub(crate) async fn moves(&self) -> Vec<String> {
        let history = self.history().await;
        let to = history.iter().map(|entry| entry["to"].as_str().unwrap());
        to.map(str::to_owned).collect()
    }

    /// Whether somebody holds the lease.
    pub(crate) async fn is_leased(&self) -> bool {
        self.redis.cli(&["EXISTS", "{active}:lease"]).await == "1"
    }

    /// Nobody holds the lease. One that is given back takes a millisecond to go.
    pub(crate) async fn is_free(&self) {
        let lease = self.redis.cli(&["GET", "{active}:lease"]).await;
        assert_eq!(lease, "", "the lease is still there");
    }

    /// Waits until the lease of a runner that is gone is over.
    pub(crate) async fn lease_is_over(&self) {
        eventually(
            "the lease is over",
            Duration::from_secs(10),
            async || match self.is_leased().await {
                true => Err("not yet"),
                false => Ok(()),
            },
        )
        .await;
    }

    /// Waits until a provider runs the rollout; gives its record.
    pub(crate) async fn is_taken_over(&self) -> Value {
        eventually("a provider runs it", Duration::from_secs(20), async || {
            let record = self.redis.cli(&["GET", "{active}:rollout"]).await;
            let record: Value = serde_json::from_str(&record).unwrap_or_default();
            let name = record["runner"]["name"].as_str().unwrap_or_default();
            // A person's has no such part.
            match name.contains('/') {
                true => Ok(record),
                false => Err(record.to_string()),
            }
        })
        .await
    }

    /// Waits until a rollout whose runner is gone has been brought to its end by a provider; gives its record.
    pub(crate) async fn rollout_ends(&self) -> Value {
        eventually("the rollout ends", Duration::from_secs(30), async || {
            let record = self.redis.cli(&["GET", "{active}:rollout"]).await;
            let record: Value = serde_json::from_str(&record).unwrap_or_default();
            if record["outcome"].is_null() || self.is_leased().await {
                Err(record.to_string())
            } else {
                Ok(record)
            }
        })
        .await
    }

    /// Nothing was changed: not the key, which was never set, nor the history; green got no traffic; nobody holds the
    /// lease; and no request of the load has failed.
    pub(crate) async fn is_untouched(&self, load: load::Running) {
        assert_eq!(self.key().await, "");
        assert_eq!(self.history().await, Vec::<Value>::new());
        self.is_free().await;
        load.goes_on(Instant::now(), HOSTS.len()).await;
        let report = load.stop().await;
        report.assert_no_failures();
        for service in &self.services {
            assert_eq!(service.requests_in_public("green"), 0);
        }
    }
}

/// Every failed request is one that green has answered with its own error.
#[track_caller]
pub(super) fn only_green_failed(report: &load::Report) {
    for failure in report.failures() {
        let answer = failure.outcome.as_ref();
        let by_green = answer.is_ok_and(|reply| reply.color.as_deref() == Some("green"));
        assert!(by_green, "{failure:?}");
    }
}

fn config(services: &[Backend; 3], marker: Option<u16>) -> String {
    let mut text = String::from("stacks:\n  deals:\n    entryPoints: [web]\n    services:\n");
    for (host, backend) in HOSTS.iter().zip(services) {
        let name = host.trim_end_matches(".localhost");
        let (blue, green) = (backend.url("blue"), backend.url("green"));
        text += &format!(
            "      {name}: {{ rule: 'Host(`{host}`)', health: /health, servers: {{ blue: '{blue}', green: ['{green}'] }} }}\n"
        );
    }
    text += "defaultCertificate: generated\n";
    if let Some(port) = marker {
        text += &format!("marker: {{ entryPoint: marker, port: {port} }}\n");
    }
    text
}
