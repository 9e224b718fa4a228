//! Dead servers stay out: one of several that does not answer is not in the document, whatever else changes in it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::load::Load;
use crate::support::provider::{Options, Provider};
use crate::support::redis::Redis;
use crate::support::traefik::{self, Traefik};

/// Longer than anything takes here, on a busy machine: one that comes back has to stay out for five seconds first.
const SOON: Duration = Duration::from_secs(20);

/// Two stacks: the shop has two replicas in blue, and of the news one server a color.
struct Site {
    web: Backend,
    news: Backend,
    redis: Redis,
}

impl Site {
    async fn start() -> Self {
        Self {
            web: Backend::start("web", &["one", "two", "green"]).await,
            news: Backend::start("news", &["blue", "green"]).await,
            redis: Redis::start().await,
        }
    }

    /// The config, in which this path tells of the replicas.
    fn config(&self, health: &str) -> String {
        let [one, two, green] = ["one", "two", "green"].map(|color| self.web.url(color));
        let [blue, other] = ["blue", "green"].map(|color| self.news.url(color));
        format!(
            "stacks:
  shop:
    key: shop
    entryPoints: [web]
    leaveOutDead: true
    services:
      web:
        rule: Host(`web.localhost`)
        health: {health}
        servers: {{ blue: ['{one}', '{two}'], green: '{green}' }}
  news:
    key: news
    entryPoints: [web]
    services:
      news: {{ rule: Host(`news.localhost`), servers: {{ blue: '{blue}', green: '{other}' }} }}
"
        )
    }

    async fn provider(&self, health: &str) -> Provider {
        let config = self.config(health);
        Options::new(&config, &self.redis.url()).start().await
    }
}

async fn traefik(provider: &Provider) -> Traefik {
    let traefik = traefik::Options::recommended(&provider.url(), "edge");
    let traefik = traefik.start().await;
    traefik.wait_for("news.localhost", "blue").await;
    traefik
}

/// Waits until the provider leaves out these servers of the shop.
async fn leaves_out(provider: &Provider, servers: &[String]) {
    eventually(&format!("{servers:?} are left out"), SOON, async || {
        let left_out = provider.status().await["stacks"]["shop"]["leftOut"].clone();
        let told = left_out.as_array().unwrap().iter();
        let told: Vec<_> = told.map(|out| out["server"].as_str().unwrap()).collect();
        if told == servers {
            Ok(())
        } else {
            Err(left_out)
        }
    })
    .await;
}

/// Waits until the instance has the document of now.
async fn confirmed(provider: &Provider) -> Value {
    provider.instance_has("edge", "confirmed", true).await
}

/// The servers of the shop in blue, by the document at this path.
async fn in_document(provider: &Provider, path: &str) -> Vec<String> {
    let document = provider.get(path).await.json();
    let servers = &document["http"]["services"]["shop-web-blue"]["loadBalancer"]["servers"];
    let servers = servers.as_array().unwrap().iter();
    servers
        .map(|it| it["url"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_killed_costs_no_request_once_it_is_out_whatever_is_flipped() {
    let mut site = Site::start().await;
    let provider = site.provider("/health").await;
    let traefik = traefik(&provider).await;
    let load = Load::on(traefik.web())
        .hosts(&["web.localhost"])
        .start()
        .await;
    let (one, two) = (site.web.url("one"), site.web.url("two"));
    assert_eq!(
        in_document(&provider, "/traefik").await,
        [one.clone(), two.clone()]
    );

    site.web.stop("one").await;
    leaves_out(&provider, std::slice::from_ref(&one)).await;
    confirmed(&provider).await;
    // What Traefik has fetched it applies some milliseconds later.
    load.goes_on(Instant::now(), 200).await;
    let out = Instant::now();
    for round in 0..6 {
        let color = ["green", "blue"][round % 2];
        site.redis.cli(&["SET", "news", color]).await;
        traefik.wait_for("news.localhost", color).await;
        assert_eq!(
            in_document(&provider, "/traefik").await,
            std::slice::from_ref(&two)
        );
    }
    load.goes_on(Instant::now(), 20).await;
    let report = load.report();
    let failed = report.failures().into_iter().filter(|it| it.start > out);
    assert_eq!(failed.collect::<Vec<_>>().len(), 0);
    assert_eq!(
        in_document(&provider, "/traefik/shop").await,
        std::slice::from_ref(&two)
    );

    // All that tells of it.
    let status = Cli::new(&["status", "--stack", "shop"]).of(&provider);
    let line = format!("web {one} of blue is dead: Traefik is not told of it");
    status.stdout(&line).any_stderr().run().await;
    let metrics = provider.get("/metrics").await.text().to_owned();
    assert!(
        metrics.contains("bluegreen_servers_left_out{stack=\"shop\"} 1\n"),
        "{metrics}"
    );
    provider
        .log_contains("a server is dead: it is left out of the document")
        .await;

    // Back, with its first request in the load.
    site.web.restart("one").await;
    leaves_out(&provider, &[]).await;
    load.reaches(Instant::now(), "one").await;
    let report = load.stop().await;
    let failed = report.failures().into_iter().filter(|it| it.start > out);
    assert_eq!(failed.collect::<Vec<_>>().len(), 0);
    assert_eq!(provider.log().count("a server is in the document again"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_one_stays_and_so_does_what_has_no_traffic() {
    let mut site = Site::start().await;
    let provider = site.provider("/health").await;
    let (one, two) = (site.web.url("one"), site.web.url("two"));
    site.web.set_healthy("two", false);
    leaves_out(&provider, std::slice::from_ref(&two)).await;
    site.web.stop("one").await;
    leaves_out(&provider, &[]).await;
    assert_eq!(
        in_document(&provider, "/traefik").await,
        [one.clone(), two.clone()]
    );
    // The one that lives again is alone.
    site.web.restart("one").await;
    leaves_out(&provider, std::slice::from_ref(&two)).await;
    site.redis.cli(&["SET", "shop", "green"]).await;
    leaves_out(&provider, &[]).await;
    assert_eq!(in_document(&provider, "/traefik").await, [one, two]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_providers_leave_out_what_all_of_them_find_dead_and_serve_the_same_bytes() {
    let site = Site::start().await;
    let (a, b) = (
        site.provider("/health").await,
        site.provider("/other").await,
    );
    let (one, two) = (site.web.url("one"), site.web.url("two"));
    let same = async || {
        eventually("both serve the same bytes", SOON, async || {
            let (of_a, of_b) = (a.get("/traefik").await.body, b.get("/traefik").await.body);
            if of_a == of_b {
                Ok(of_a)
            } else {
                Err(format!("{of_a:?}\n{of_b:?}"))
            }
        })
        .await
    };
    let all = same().await;

    // One of the two finds it dead, as far as the registry tells: nothing happens.
    site.web.set_healthy("one", false);
    eventually("one of them says that it is dead", SOON, async || {
        let reports = site.redis.cli(&["HVALS", "{shop}:instances"]).await;
        let dead = format!("\"dead\":{{\"web\":[\"{one}\"]}}");
        if reports.contains(&dead) {
            Ok(())
        } else {
            Err(reports)
        }
    })
    .await;
    assert_eq!(same().await, all);
    site.web.set_status("one", "/other", 503);
    for provider in [&a, &b] {
        leaves_out(provider, std::slice::from_ref(&one)).await;
    }
    let without = same().await;
    assert_ne!(without, all);
    assert_eq!(in_document(&b, "/traefik").await, [two]);
    // One that starts serves the same at once, and so do those who saw it.
    let new = site.provider("/health").await;
    assert_eq!(new.get("/traefik").await.body, without);
    assert_eq!(same().await, without);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_store_and_a_restart_change_nothing() {
    let mut site = Site::start().await;
    let mut provider = site.provider("/health").await;
    let (one, two) = (site.web.url("one"), site.web.url("two"));
    site.web.set_healthy("one", false);
    leaves_out(&provider, std::slice::from_ref(&one)).await;
    let without = provider.get("/traefik").await.body;

    site.redis.kill();
    provider.log_contains("the store can't be reached").await;
    assert_eq!(provider.get("/traefik").await.body, without);
    // It comes back with nothing in it.
    site.redis.restart().await;
    provider.log_contains("the store is back").await;
    eventually("it has reported again", SOON, async || {
        let reports = site.redis.cli(&["HVALS", "{shop}:instances"]).await;
        if reports.contains(&one) {
            Ok(())
        } else {
            Err(reports)
        }
    })
    .await;
    assert_eq!(in_document(&provider, "/traefik").await, [two]);

    provider.terminate().await;
    provider.restart().await;
    assert_eq!(provider.get("/traefik").await.body, without);
    assert_eq!(provider.log().count("a server is in the document again"), 0);
}
