//! The hosts on which rollouts run: a provider that Traefik polls and that carries none on, two that do, two Traefiks, and
//! whoever types on a terminal. All on one Redis, whose writes are in a journal.

use std::time::Duration;

use super::journal::Journal;
use crate::support::backend::Backend;
use crate::support::cli::Cli;
use crate::support::load::{self, Load};
use crate::support::provider::{self, Provider};
use crate::support::redis::Redis;
use crate::support::stack::HOSTS;
use crate::support::traefik::{Options, Traefik};

/// All that runs.
pub(super) struct Hosts {
    /// The one that Traefik polls.
    pub(super) front: Provider,
    /// Those that carry rollouts on.
    pub(super) adopters: [Provider; 2],
    /// The one under load, which is production.
    pub(super) edge: Traefik,
    /// One that is waited for, too, and that can be stopped without a request being lost.
    pub(super) late: Traefik,
    services: [Backend; 3],
    pub(super) redis: Redis,
    pub(super) journal: Journal,
}

impl Hosts {
    /// With more keys of the stack, where rounds need them.
    pub(super) async fn start(more: &str) -> Self {
        let redis = Redis::start().await;
        let journal = Journal::of(&redis).await;
        let colors = ["blue", "green"];
        let services = [
            Backend::start("api", &colors).await,
            Backend::start("mcp", &colors).await,
            Backend::start("dashboard", &colors).await,
        ];
        let mut config =
            format!("stacks:\n  deals:\n    entryPoints: [web]\n{more}    services:\n");
        for (host, service) in HOSTS.iter().zip(&services) {
            let name = host.trim_end_matches(".localhost");
            let (blue, green) = (service.url("blue"), service.url("green"));
            config += &format!(
                "      {name}: {{ rule: 'Host(`{host}`)', health: /health, servers: {{ blue: '{blue}', green: '{green}' }} }}\n"
            );
        }
        config += "defaultCertificate: generated\n";
        let front = provider::Options::new(&config, &redis.url());
        let front = front.arg("--no-rollouts").start().await;
        let edge = Options::recommended(&front.url(), "edge").start().await;
        let late = Options::recommended(&front.url(), "late").start().await;
        for host in HOSTS {
            edge.wait_for(host, "blue").await;
            late.wait_for(host, "blue").await;
        }
        // Where production is, is known only now.
        let production = format!("    production: http://{}\n    services:\n", edge.web());
        let config = config.replacen("    services:\n", &production, 1);
        front.write_config(&config);
        let adopter = async || {
            let options = provider::Options::new(&config, &redis.url());
            options.start().await
        };
        let adopters = [adopter().await, adopter().await];
        Self {
            front,
            adopters,
            edge,
            late,
            services,
            redis,
            journal,
        }
    }

    /// A command on a terminal.
    pub(super) fn command(&self, args: &[&str]) -> Cli {
        let run = Cli::new(args).of(&self.front).any_code();
        let run = run.env("BLUEGREEN_TIMEOUT", "20s");
        run.any_stdout().any_stderr()
    }

    /// What the key says.
    pub(super) async fn key(&self) -> String {
        self.redis.cli(&["GET", "active"]).await
    }

    /// Which provider calls itself so, of those that carry rollouts on.
    pub(super) fn adopter(&self, name: &str) -> Option<usize> {
        let port = |provider: &Provider| format!(":{}/", provider.address().port());
        let mut names = self.adopters.iter().map(port);
        names.position(|port| name.contains(&port))
    }

    /// Whether the color passes while it is verified.
    pub(super) fn verifies(&self, color: &str, healthy: bool) {
        self.services[0].set_healthy(color, healthy);
    }

    /// Whether the color serves, in production alone.
    pub(super) fn serves(&self, color: &str, well: bool) {
        let status = if well { 200 } else { 500 };
        self.services[0].set_status_in_public(color, status);
    }

    /// Constant load on production.
    pub(super) async fn load(&self) -> load::Running {
        let load = Load::on(self.edge.web()).hosts(&HOSTS).connections(1);
        load.pause(Duration::from_millis(4)).start().await
    }
}
