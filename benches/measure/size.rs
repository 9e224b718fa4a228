//! Few services and thousands of them: what a flip costs, and where.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bluegreen::color::Color;
use bluegreen::config;
use bluegreen::document;
use bluegreen::traffic::Traffic;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region};

use super::figures::Times;
use super::flip::until;
use super::page::Block;
use super::share::set_until_sent;
use super::support::backend::Backend;
use super::support::poll::Poller;
use super::support::provider;
use super::support::redis::Redis;
use super::support::traefik::Options;

/// The numbers of services of one stack.
const SERVICES: [usize; 5] = [1, 10, 100, 1_000, 5_000];

/// The number of stacks of which one is flipped, and the services of each.
const STACKS: usize = 500;
const SERVICES_OF_ONE: usize = 10;

/// Documents that are rendered for each size.
const RENDERED: usize = 21;

/// Changes that are seen at a poller, for each size.
const CHANGES: usize = 101;

/// Flips through Traefik, for each size.
const FLIPS: usize = 11;

/// Above the time that Traefik takes to apply the largest document, and above its throttle.
const PAUSE: Duration = Duration::from_millis(1500);

/// How long Traefik may take until it serves the largest document for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn measure(block: &mut Block) {
    block.line(format!(
        "{:<30}{:>11}{:>10}{:>10}{:>12}{:>10}{:>12}",
        "", "render", "allocs", "size", "on the wire", "live", "live worst"
    ));
    let backend = Backend::start("api", &["blue", "green"]).await;
    for services in SERVICES {
        let plural = if services == 1 { "" } else { "s" };
        one(
            block,
            &format!("1 stack, {services} service{plural}"),
            &config(&backend, 1, services),
        )
        .await;
    }
    let name = format!("1 of {STACKS} stacks of {SERVICES_OF_ONE} each");
    one(block, &name, &config(&backend, STACKS, SERVICES_OF_ONE)).await;
    block.line("");
    block.line(format!(
        "medians: render of {RENDERED} documents; on the wire, from the SET to the document at a poller, of {CHANGES} \
         changes;"
    ));
    block.line(format!(
        "live, from the SET to the first answer of the new color through Traefik, of {FLIPS} flips"
    ));
}

async fn one(block: &mut Block, name: &str, config: &str) {
    let (render, allocations, size) = render(config);
    let redis = Redis::start().await;
    let provider = provider::Options::new(config, &redis.url()).start().await;
    let mut connection = redis.connection().await;

    let mut poller = Poller::connect(provider.address()).await;
    poller.poll(&[]).await;
    let mut on_the_wire = Times::default();
    for color in ["green", "blue"].iter().cycle().take(CHANGES + 1) {
        on_the_wire
            .push(set_until_sent(&mut poller, &mut connection, "/traefik", "stack-0", color).await);
    }
    drop(poller);

    let traefik = Options::recommended(&provider.url(), "edge").start().await;
    first(&traefik, "blue").await;
    let mut live = Times::default();
    for color in ["green", "blue"].iter().cycle().take(FLIPS) {
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        let set = redis::cmd("SET").arg("stack-0").arg(color).to_owned();
        let () = set.query_async(&mut connection).await.unwrap();
        let host = "stack-0-0.localhost";
        let (time, _) = until(traefik.web(), host, color, began).await;
        live.push(time);
    }
    block.line(format!(
        "{name:<30}{:>8.2} ms{allocations:>10}{:>7} kB{:>9.2} ms{:>7.1} ms{:>9.1} ms",
        render.median(),
        size / 1000,
        on_the_wire.median(),
        live.median(),
        live.worst()
    ));
}

/// In this process: how long a document takes, how much it allocates, and its size in bytes.
fn render(text: &str) -> (Times, usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bluegreen.yml");
    std::fs::write(&path, text).unwrap();
    let config = config::load(&path, &|_| None).unwrap().config;
    let mut colors = ["green", "blue"].iter().cycle();
    let mut last = (0, 0);
    let times = (0..RENDERED).map(|_| {
        let color: Color = colors.next().unwrap().parse().unwrap();
        let traffic = BTreeMap::from([("stack-0".to_owned(), Traffic::all_to(color))]);
        let region = Region::new(&INSTRUMENTED_SYSTEM);
        let began = Instant::now();
        let document = document::render(&config, &traffic, None);
        let time = began.elapsed();
        last = (region.change().allocations, document.bytes.len());
        time
    });
    let times = times.collect();
    (times, last.0, last.1)
}

async fn first(traefik: &super::support::traefik::Traefik, color: &str) {
    let began = Instant::now();
    while traefik.get("stack-0-0.localhost", "/").await.color() != Some(color) {
        assert!(began.elapsed() < PATIENCE, "Traefik does not serve it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// So many stacks with so many services each, all behind the same two servers.
pub fn config(backend: &Backend, stacks: usize, services: usize) -> String {
    let (blue, green) = (backend.url("blue"), backend.url("green"));
    let mut text = String::from("defaultCertificate: generated\nstacks:\n");
    for stack in 0..stacks {
        text += &format!("  stack-{stack}:\n    key: stack-{stack}\n    services:\n");
        for service in 0..services {
            text += &format!(
                "      service-{service}: {{ rule: 'Host(`stack-{stack}-{service}.localhost`)', \
                 servers: {{ blue: '{blue}', green: '{green}' }} }}\n"
            );
        }
    }
    text
}
