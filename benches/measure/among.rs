//! One stack among many, asked for by its own path, beside a stack that is alone.

use std::time::{Duration, Instant};

use super::figures::Times;
use super::flip::until;
use super::page::Block;
use super::share::set_until_sent;
use super::size::config;
use super::support::backend::Backend;
use super::support::poll::{Poller, request};
use super::support::provider::{self, Provider};
use super::support::redis::Redis;
use super::support::traefik::{Options, Traefik};

/// The number of stacks, and the services of each.
const STACKS: usize = 500;
const SERVICES: usize = 10;

/// Changes that are seen at a poller, and flips through Traefik.
const CHANGES: usize = 401;
const FLIPS: usize = 101;

/// The path of the stack, and the host of its first service.
const PATH: &str = "/traefik/stack-0";
const HOST: &str = "stack-0-0.localhost";

/// Above Traefik's throttle.
const PAUSE: Duration = Duration::from_millis(150);

/// A stack behind its own provider, Traefik and Redis.
struct Way {
    name: String,
    redis: Redis,
    provider: Provider,
    traefik: Traefik,
    sent: Times,
    live: Times,
}

impl Way {
    async fn start(backend: &Backend, stacks: usize) -> Self {
        let redis = Redis::start().await;
        let options = provider::Options::new(&config(backend, stacks, SERVICES), &redis.url());
        let provider = options.start().await;
        let endpoint = format!("http://{}{PATH}", provider.address());
        let traefik = Options::recommended(&endpoint, "edge").start().await;
        traefik.wait_for(HOST, "blue").await;
        let name = match stacks {
            1 => format!("a lone stack of {SERVICES} services"),
            _ => format!("one of {stacks} of them, by its own path"),
        };
        let (sent, live) = Default::default();
        Self {
            name,
            redis,
            provider,
            traefik,
            sent,
            live,
        }
    }
}

pub async fn measure(block: &mut Block) {
    let backend = Backend::start("api", &["blue", "green"]).await;
    let mut ways = [
        Way::start(&backend, 1).await,
        Way::start(&backend, STACKS).await,
    ];
    // Side by side: whatever else the machine does, it does to both.
    for color in ["green", "blue"].iter().cycle().take(FLIPS) {
        for way in &mut ways {
            tokio::time::sleep(PAUSE).await;
            let mut connection = way.redis.connection().await;
            let began = Instant::now();
            let set = redis::cmd("SET").arg("stack-0").arg(color).to_owned();
            let () = set.query_async(&mut connection).await.unwrap();
            let (time, _) = until(way.traefik.web(), HOST, color, began).await;
            way.live.push(time);
        }
    }
    let mut pollers = Vec::new();
    for way in &mut ways {
        way.traefik.terminate().await;
        let mut poller = Poller::connect(way.provider.address()).await;
        poller.send(&request(PATH, &[])).await;
        poller.receive().await;
        pollers.push((poller, way.redis.connection().await));
    }
    for color in ["blue", "green"].iter().cycle().take(CHANGES) {
        for (way, (poller, connection)) in ways.iter_mut().zip(&mut pollers) {
            let sent = set_until_sent(poller, connection, PATH, "stack-0", color).await;
            way.sent.push(sent);
        }
    }
    block.line(format!(
        "{:<38}{:>14}{:>9}{:>8}{:>10}{:>9}{:>9}{:>8}",
        "in ms", "on the wire", "p90", "ratio", "live", "p90", "worst", "ratio"
    ));
    let lone = [ways[0].sent.median(), ways[0].live.median()];
    for Way {
        name, sent, live, ..
    } in &ways
    {
        block.line(format!(
            "{name:<38}{:>14.2}{:>9.2}{:>8.2}{:>10.1}{:>9.1}{:>9.1}{:>8.2}",
            sent.median(),
            sent.quantile(0.9),
            sent.median() / lone[0],
            live.median(),
            live.quantile(0.9),
            live.worst(),
            live.median() / lone[1],
        ));
    }
    block.line("");
    block.line(format!(
        "medians; on the wire, from the SET to the document at a poller, of {CHANGES} changes; live, from the SET to the \
         first answer"
    ));
    block.line(format!(
        "of the new color through Traefik, of {FLIPS} flips; ratio: the median beside that of the lone stack"
    ));
}
