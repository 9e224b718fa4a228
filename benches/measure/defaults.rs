//! A change with Traefik's default settings: from the SET to the first answer of the new color, at any moment between two
//! polls.

use std::time::{Duration, Instant};

use super::figures::Times;
use super::flip::until;
use super::page::Block;
use super::size::config;
use super::support::backend::Backend;
use super::support::provider;
use super::support::redis::Redis;
use super::support::traefik::Options;

/// Changes, and their host.
const FLIPS: usize = 40;
const HOST: &str = "stack-0-0.localhost";

/// Traefik's default `pollInterval`. A second change within one waits for the next poll: that is not what is measured.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// So many intervals are over before the first change: the provider has learned how long they are.
const LEARN: u32 = 4;

pub async fn measure(block: &mut Block) {
    let backend = Backend::start("api", &["blue", "green"]).await;
    let redis = Redis::start().await;
    let options = provider::Options::new(&config(&backend, 1, 1), &redis.url());
    let provider = options.start().await;
    let traefik = Options::http(&provider.url()).poll_interval("5s");
    let traefik = traefik.start().await;
    traefik.wait_for(HOST, "blue").await;
    let mut connection = redis.connection().await;
    tokio::time::sleep(POLL_INTERVAL * LEARN).await;

    let mut live = Times::default();
    for color in ["green", "blue"].iter().cycle().take(FLIPS) {
        tokio::time::sleep(POLL_INTERVAL.mul_f64(1.02 + fastrand::f64())).await;
        let began = Instant::now();
        let set = redis::cmd("SET").arg("stack-0").arg(color).to_owned();
        let () = set.query_async(&mut connection).await.unwrap();
        let (time, _) = until(traefik.web(), HOST, color, began).await;
        live.push(time);
    }
    block.line(format!(
        "{:<42}{:>4}{:>9}{:>9}{:>9}{:>20}",
        "in ms", "n", "p50", "p90", "worst", "errors of Traefik's"
    ));
    let lines = traefik.log().lines();
    block.line(format!(
        "{:<42}{:>4}{:>9.1}{:>9.1}{:>9.1}{:>20}",
        "SET to live, Traefik's default settings",
        live.len(),
        live.median(),
        live.quantile(0.9),
        live.worst(),
        lines.iter().filter(|line| line.contains(" ERR ")).count()
    ));
}
