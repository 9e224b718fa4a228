//! `healthcheck`: what a container's health check asks.

use std::time::Duration;

use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::port::{free_port, loopback};
use crate::support::provider;
use crate::support::redis::Redis;
use crate::support::stack::CONFIG;

fn healthcheck(listen: &str) -> Cli {
    Cli::new(&["healthcheck", "--timeout=10s"]).env("BLUEGREEN_LISTEN", listen)
}

#[tokio::test]
async fn a_provider_is_healthy_while_it_has_a_document_to_serve() {
    let mut redis = Redis::start().await;
    let provider = provider::Options::new(CONFIG, &redis.url()).start().await;
    let port = provider.address().port();
    let asked = async |host: &str| {
        let ready = healthcheck(&format!("{host}:{port}")).stdout_is("ready\n");
        ready.run().await;
    };
    eventually(
        "it is ready",
        Duration::from_secs(10),
        async || match provider.get("/readyz").await.status {
            200 => Ok(()),
            status => Err(status),
        },
    )
    .await;
    asked("127.0.0.1").await;
    asked("localhost").await;
    asked("0.0.0.0").await;
    // The last good traffic is a document, too.
    redis.kill();
    provider.log_contains("can't be reached").await;
    asked("127.0.0.1").await;
}

#[tokio::test]
async fn a_provider_without_a_document_is_not_healthy() {
    let store = format!("redis://{}", loopback(free_port()));
    let provider = provider::Options::new(CONFIG, &store).start().await;
    let listen = provider.address().to_string();
    let check = healthcheck(&listen).code(1);
    check.stderr(&format!("{listen} answers 503: ")).run().await;
}

#[tokio::test]
async fn where_no_provider_listens_nothing_is_healthy() {
    let listen = loopback(free_port()).to_string();
    let check = healthcheck(&listen).code(1);
    check.stderr("can't be asked").stderr(&listen).run().await;
}
