//! Two Traefiks at two addresses before three services: each shows its own metrics, on the same port.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::support::backend::Backend;
use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::load::{self, Load, Sample};
use crate::support::port::free_port;
use crate::support::provider::{self, Provider};
use crate::support::redis::Redis;
use crate::support::stack::HOSTS;
use crate::support::traefik::{Options, Traefik};

/// Where the two poll from, and show their metrics.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];

/// The bounds of Traefik's histogram, in seconds.
const BUCKETS: &str = "--metrics.prometheus.buckets=0.05,0.1,0.2,0.4,1";

/// The site, with blue in production.
pub(super) struct Edges {
    /// `api`, `mcp` and `dashboard`.
    pub(super) services: [Backend; 3],
    pub(super) traefiks: [Traefik; 2],
    /// The port at which they show them.
    metrics: u16,
    provider: Provider,
    redis: Redis,
    /// The way of the second to the provider ends with it.
    _relay: JoinSet<()>,
}

impl Edges {
    /// With these limits of the analysis, such as `errors: { limit: 5% }`.
    pub(super) async fn start(limits: &str) -> Self {
        let redis = Redis::start().await;
        let colors = ["blue", "green"];
        let services = [
            Backend::start("api", &colors).await,
            Backend::start("mcp", &colors).await,
            Backend::start("dashboard", &colors).await,
        ];
        let port = free_port();
        let first = config(&services, port, "");
        let provider = provider::Options::new(&first, &redis.url()).start().await;
        let (relay, _relay) = relay(provider.address(), ADDRESSES[1]).await;
        let ways = [provider.url(), format!("http://{relay}/traefik")];
        let start = async |nth: usize| {
            let at = SocketAddr::new(ADDRESSES[nth].into(), port);
            let options = Options::recommended(&ways[nth], &format!("edge-{}", nth + 1));
            let traefik = options.metrics(at).arg(BUCKETS).start().await;
            traefik.wait_for(HOSTS[0], "blue").await;
            traefik
        };
        let traefiks = [start(0).await, start(1).await];
        let web = traefiks[0].web();
        let analysis = format!(
            "    production: http://{web}\n    analysis: {{ metrics: {{ port: {port} }}, every: 500ms, {limits} }}\n"
        );
        provider.write_config(&config(&services, port, &analysis));
        let edges = Self {
            services,
            traefiks,
            metrics: port,
            provider,
            redis,
            _relay,
        };
        edges.has_both().await;
        edges
    }

    /// Waits until both are known, each at an address of its own.
    async fn has_both(&self) {
        eventually("both are known", Duration::from_secs(15), async || {
            let status = self.command(&["status", "--json"]).any_stdout();
            let status = status.run().await.json();
            let fleet = status["stacks"]["deals"]["instances"].as_array().unwrap();
            let confirmed = fleet.iter().filter(|one| one["confirmed"] == true);
            if confirmed.count() == 2 {
                Ok(())
            } else {
                Err(status.to_string())
            }
        })
        .await;
    }

    /// A command for this site; stderr is the test's business.
    pub(super) fn command(&self, args: &[&str]) -> Cli {
        let run = Cli::new(args).of(&self.provider).any_stderr();
        run.env("BLUEGREEN_TIMEOUT", "20s")
    }

    /// Constant load on all services through both.
    pub(super) async fn load(&self) -> [load::Running; 2] {
        [self.load_on(0).await, self.load_on(1).await]
    }

    /// The same through one of them.
    pub(super) async fn load_on(&self, traefik: usize) -> load::Running {
        let load = Load::on(self.traefiks[traefik].web()).hosts(&HOSTS);
        let load = load.connections(1).pause(Duration::from_millis(5));
        load.start().await
    }

    /// From now on the config names a port at which nobody shows metrics.
    pub(super) fn metrics_are_elsewhere(&self) {
        let text = std::fs::read_to_string(self.provider.config()).unwrap();
        let elsewhere = format!("analysis: {{ metrics: {{ port: {} }}", free_port());
        let metrics = format!("analysis: {{ metrics: {{ port: {} }}", self.metrics);
        assert!(text.contains(&metrics), "{text}");
        self.provider
            .write_config(&text.replace(&metrics, &elsewhere));
    }

    /// What the key says.
    pub(super) async fn key(&self) -> String {
        self.redis.cli(&["GET", "active"]).await
    }

    /// The record of the last rollout.
    pub(super) async fn record(&self) -> Value {
        let rollout = self.command(&["rollout", "--json"]).any_stdout();
        rollout.run().await.json()
    }
}

/// What all the load saw until it had been answered for a while after the command had returned, in the order in which it began, with the wall clock's time of its beginning.
pub(super) async fn stop(load: [load::Running; 2]) -> Vec<(Timestamp, Sample)> {
    let returned = Instant::now();
    let mut all = Vec::new();
    for running in load {
        running.goes_on(returned, 10 * HOSTS.len()).await;
        all.extend(running.stop().await.samples);
    }
    all.sort_by_key(|sample| sample.start);
    let (now, wall) = (Instant::now(), Timestamp::now());
    let timed = all
        .into_iter()
        .map(|sample| (wall - (now - sample.start), sample));
    timed.collect()
}

/// A way to an address on which every connection comes from another one.
async fn relay(to: SocketAddr, from: Ipv4Addr) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut running = JoinSet::new();
    running.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut here, _) = listener.accept().await.unwrap();
            connections.spawn(async move {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::new(from.into(), 0)).unwrap();
                // Whoever is refused there is closed here.
                let Ok(mut there) = socket.connect(to).await else {
                    return;
                };
                copy_bidirectional(&mut here, &mut there).await.ok();
            });
        }
    });
    (address, running)
}

/// The config, with more keys of the stack.
fn config(services: &[Backend; 3], metrics: u16, more: &str) -> String {
    let mut text = format!("stacks:\n  deals:\n    entryPoints: [web]\n{more}    services:\n");
    for (host, backend) in HOSTS.iter().zip(services) {
        let name = host.trim_end_matches(".localhost");
        let (blue, green) = (backend.url("blue"), backend.url("green"));
        text += &format!(
            "      {name}: {{ rule: 'Host(`{host}`)', health: /health, servers: {{ blue: '{blue}', green: '{green}' }} }}\n"
        );
    }
    // Each proves that it routes by a document, at the address that it has for itself.
    text + &format!(
        "defaultCertificate: generated\nmarker: {{ entryPoint: metrics, port: {metrics} }}\n"
    )
}
