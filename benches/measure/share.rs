//! Our own share of a flip: from the SET to the last byte of the document at a poller.

use std::time::{Duration, Instant};

use super::figures::Times;
use super::page::Block;
use super::support::poll::{Poller, request};
use super::support::provider;
use super::support::redis::Redis;
use super::support::stack::CONFIG;

/// Changes that are seen at a poller.
const CHANGES: usize = 4000;

/// Long enough for a poll to be held.
const PAUSE: Duration = Duration::from_millis(2);

pub async fn measure(block: &mut Block) {
    let redis = Redis::start().await;
    let provider = provider::Options::new(CONFIG, &redis.url()).start().await;
    let mut connection = redis.connection().await;
    let mut poller = Poller::connect(provider.address()).await;
    poller.poll(&[]).await;
    let mut times = Times::default();
    for color in ["green", "blue"].iter().cycle().take(CHANGES) {
        times.push(set_until_sent(&mut poller, &mut connection, "/traefik", "active", color).await);
    }
    block.line(format!(
        "{:<42}{:>6}{:>10}{:>10}{:>10}{:>10}",
        "in ms", "n", "p50", "p90", "p99", "worst"
    ));
    block.line(format!(
        "{:<42}{:>6}{:>10.2}{:>10.2}{:>10.2}{:>10.2}",
        "from the SET to the document on the wire",
        times.len(),
        times.median(),
        times.quantile(0.9),
        times.quantile(0.99),
        times.worst()
    ));
}

/// The time from the SET until this poller of a path, which has had a document before, has the last byte of the next one.
pub async fn set_until_sent(
    poller: &mut Poller,
    redis: &mut redis::aio::MultiplexedConnection,
    path: &str,
    key: &str,
    color: &str,
) -> Duration {
    poller.send(&request(path, &[("Prefer", "wait=50")])).await;
    tokio::time::sleep(PAUSE).await;
    let began = Instant::now();
    let set = async {
        let set = redis::cmd("SET").arg(key).arg(color).to_owned();
        let () = set.query_async(redis).await.unwrap();
    };
    let (answer, ()) = tokio::join!(poller.receive(), set);
    answer.at - began
}
