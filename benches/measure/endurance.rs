//! Whether the memory of `serve` stays flat: over many changes, and over many connections that come and go.

use std::time::Duration;

use super::page::Block;
use super::process::memory;
use super::support::poll::Poller;
use super::support::provider::{self, Provider};
use super::support::redis::Redis;
use super::support::stack::CONFIG;

/// Changes, each of which a poller gets; and connections, each of which polls under a name of its own.
const MANY: usize = 100_000;

/// So often the memory is looked at.
const LOOKS: usize = 5;

/// After it, what was allocated for one thing that is over is given back.
const SETTLE: Duration = Duration::from_secs(3);

pub async fn measure(block: &mut Block) {
    block.line(format!(
        "{:<34}{:>10}{}",
        "memory in MB, after",
        "start",
        (1..=LOOKS)
            .map(|look| format!("{:>10}", MANY / LOOKS * look))
            .collect::<String>()
    ));
    changes(block).await;
    connections(block).await;
}

async fn changes(block: &mut Block) {
    let redis = Redis::start().await;
    let provider = provider::Options::new(CONFIG, &redis.url()).start().await;
    let mut connection = redis.connection().await;
    let mut poller = Poller::connect(provider.address()).await;
    poller.poll(&[]).await;
    let mut colors = ["green", "blue"].iter().cycle();
    let mut memory = vec![settled(&provider).await];
    for _ in 0..LOOKS {
        for _ in 0..MANY / LOOKS {
            poller.send_poll(&[("Prefer", "wait=50")]).await;
            let set = redis::cmd("SET")
                .arg("active")
                .arg(colors.next())
                .to_owned();
            let set = async {
                let () = set.query_async(&mut connection).await.unwrap();
            };
            tokio::join!(poller.receive(), set);
        }
        memory.push(settled(&provider).await);
    }
    row(block, "so many changes", &memory);
}

async fn connections(block: &mut Block) {
    let redis = Redis::start().await;
    let provider = provider::Options::new(CONFIG, &redis.url()).start().await;
    let mut memory = vec![settled(&provider).await];
    let mut number = 0;
    for _ in 0..LOOKS {
        for _ in 0..MANY / LOOKS {
            let mut poller = Poller::connect(provider.address()).await;
            poller.poll(&[]).await;
            // One in ten is held when it goes.
            if number % 10 == 0 {
                poller.send_poll(&[("Prefer", "wait=50")]).await;
            }
            number += 1;
        }
        memory.push(settled(&provider).await);
    }
    row(block, "so many connections", &memory);
}

async fn settled(provider: &Provider) -> f64 {
    tokio::time::sleep(SETTLE).await;
    memory(provider.pid()) / 1000.0
}

fn row(block: &mut Block, name: &str, memory: &[f64]) {
    let memory = memory.iter().map(|megabytes| format!("{megabytes:>10.1}"));
    block.line(format!("{name:<34}{}", memory.collect::<String>()));
}
