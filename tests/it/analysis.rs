//! The analysis: what it sees of the traffic of real Traefiks, and what it says of sources that tell nothing.

mod instances;
mod prometheus;
mod sources;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use bluegreen::config::{self, Config};
use bluegreen::rollout::analysis::{Analysis, Look, Measured};

use crate::support::eventually;
use crate::support::port::free_port;
use crate::support::provider::Provider;
use crate::support::redis::Redis;
use crate::support::stack::{HOSTS, Stack};
use crate::support::traefik::{Options, Traefik};

/// Where the two Traefiks show their metrics: on one port, each at an address of its own.
const ADDRESSES: [&str; 2] = ["127.0.0.2", "127.0.0.3"];

/// The two, as the registry names them.
const INSTANCES: [(&str, &str); 2] = [("edge-1", ADDRESSES[0]), ("edge-2", ADDRESSES[1])];

/// The config of a stack with an analysis.
fn config(stack: &str, analysis: &str) -> Config {
    let with = format!("    analysis: {{ {analysis} }}\n    services:\n");
    let text = stack.replacen("    services:\n", &with, 1);
    let loaded = config::parse(vec![("bluegreen.yml".into(), text)], &|_| None);
    loaded.unwrap_or_else(|report| panic!("{report}")).config
}

/// The analysis of green, beside blue.
fn begin(config: &Config) -> Analysis {
    let (blue, green) = ("blue".parse().unwrap(), "green".parse().unwrap());
    Analysis::begin("deals", &config.stacks["deals"], &[green], Some(&blue)).unwrap()
}

/// What a look says, a line each: `failed errors api green: 100 % of 20 requests, ...`.
fn said(look: &Look) -> Vec<String> {
    let lines = look.lines.iter();
    let line = |line: &bluegreen::verify::report::Line| {
        let outcome = &line.outcome;
        format!("{} {}: {}", outcome.word(), line.name, outcome.detail())
    };
    lines.map(line).collect()
}

/// Looks until what is said and measured is as it should be; a Traefik counts a request a moment after its answer.
async fn look_until<T: Debug>(
    analysis: &mut Analysis,
    instances: &[(&str, &str)],
    what: &str,
    fits: impl Fn(&Look, &[Measured]) -> Option<T>,
) -> T {
    eventually(what, Duration::from_secs(20), async || {
        let look = analysis.look(instances, Duration::from_secs(1)).await;
        let measured = analysis.measured();
        fits(&look, &measured).ok_or_else(|| format!("{:#?} {measured:?}", said(&look)))
    })
    .await
}

/// Two Traefiks before three services whose traffic is half blue and half green.
struct Site {
    stack: Stack,
    traefiks: [Traefik; 2],
    port: u16,
    _provider: Provider,
    _redis: Redis,
}

impl Site {
    async fn start() -> Self {
        let (redis, stack) = (Redis::start().await, Stack::start().await);
        redis.cli(&["SET", "active", "blue:1,green:1"]).await;
        let provider = stack.provider(&stack.config(), &redis).await;
        let port = free_port();
        let start = async |(name, address): (&str, &str)| {
            let at = SocketAddr::new(address.parse().unwrap(), port);
            let options = Options::recommended(&provider.url(), name).metrics(at);
            let traefik = options.start().await;
            traefik.wait_for(HOSTS[0], "green").await;
            traefik
        };
        let traefiks = [start(INSTANCES[0]).await, start(INSTANCES[1]).await];
        Self {
            stack,
            traefiks,
            port,
            _provider: provider,
            _redis: redis,
        }
    }

    /// The analysis, where the Traefiks themselves are asked.
    fn begin(&self, limits: &str) -> Analysis {
        let metrics = format!("metrics: {{ port: {} }}, {limits}", self.port);
        begin(&config(&self.stack.config(), &metrics))
    }

    /// So many requests for the API through one of them: every other one reaches green.
    async fn ask(&self, traefik: usize, path: &str, requests: usize) {
        for _ in 0..requests {
            self.traefiks[traefik].get(HOSTS[0], path).await;
        }
    }
}

/// How many requests the API of a color has answered.
fn requests(measured: &[Measured], color: &str) -> u64 {
    let mut of = measured.iter();
    let api = of.find(|measured| measured.service == "api" && measured.color == color);
    api.unwrap().requests
}
