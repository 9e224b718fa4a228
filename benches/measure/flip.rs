//! How long a flip takes: from the change to the end of the first answer of the new color.
//!
//! All in one run on the same two servers. One Traefik with the recommended settings has this provider, Traefik's file
//! provider and Traefik's Redis provider side by side, each for a host of its own, and all of them profit from the same
//! default certificate; their flips alternate with those of HAProxy and Caddy, which switch without Traefik. Then
//! Traefiks with Traefik's own settings, each with one provider: held by this one, or one of its own, or polling
//! plainly, because it asks for no hold, for a document without a certificate.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;

use super::figures::Times;
use super::page::Block;
use super::rivals::{Caddy, HaProxy};
use super::support::backend::Backend;
use super::support::http::{Answer, Connection};
use super::support::provider::{self, Provider};
use super::support::redis::Redis;
use super::support::traefik::{Options, Traefik};

/// Flips of each of the fast ways.
const FLIPS: usize = 100;

/// Flips of the ways that may take seconds.
const SLOW_FLIPS: usize = 20;

/// Rollbacks of each of the fast ways, and of those that take seconds.
const ROLLBACKS: usize = 30;
const SLOW_ROLLBACKS: usize = 5;

/// After a flip, until it is taken back.
const REGRET: Duration = Duration::from_millis(300);

/// Above Traefik's throttle of the fast ways, so that it delays none of them.
const PAUSE: Duration = Duration::from_millis(150);

/// Above Traefik's default throttle of 2 s.
const SLOW_PAUSE: Duration = Duration::from_millis(2500);

/// Longer than any way takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// One way to flip.
struct Way {
    name: &'static str,
    by: By,
    web: SocketAddr,
    host: &'static str,
    flips: Times,
    rollbacks: Times,
    /// Requests that were not answered at all.
    errors: usize,
}

/// How it is told the color.
enum By {
    /// A key in Redis that holds the color.
    Key(MultiplexedConnection, &'static str),
    /// A file of Traefik's, in this folder, that names the color's URL.
    File(PathBuf, [String; 2]),
    HaProxy(HaProxy),
    Caddy(Caddy),
}

impl Way {
    fn new(name: &'static str, by: By, web: SocketAddr, host: &'static str) -> Self {
        let (flips, rollbacks) = Default::default();
        Self {
            name,
            by,
            web,
            host,
            flips,
            rollbacks,
            errors: 0,
        }
    }

    async fn set(&mut self, color: &str) {
        match &mut self.by {
            By::Key(redis, key) => {
                let set = redis::cmd("SET").arg(*key).arg(color).to_owned();
                let () = set.query_async(redis).await.unwrap();
            }
            By::File(dir, [blue, green]) => {
                write_file(dir, if color == "blue" { blue } else { green });
            }
            By::HaProxy(haproxy) => haproxy.set(color).await,
            By::Caddy(caddy) => caddy.set(color).await,
        }
    }

    async fn flip(&mut self, color: &str) -> Duration {
        let began = Instant::now();
        self.set(color).await;
        let (time, errors) = until(self.web, self.host, color, began).await;
        self.errors += errors;
        time
    }

    async fn flip_and_regret(&mut self, color: &str, before: &str) {
        self.set(color).await;
        tokio::time::sleep(REGRET).await;
        let rollback = self.flip(before).await;
        self.rollbacks.push(rollback);
    }
}

pub async fn measure(block: &mut Block) {
    let redis = Redis::start().await;
    let backend = Backend::start("api", &["blue", "green"]).await;
    let mut fast = fast_ways(&redis, &backend).await;
    for color in ["green", "blue"].iter().cycle().take(FLIPS) {
        for way in &mut fast.ways {
            let time = way.flip(color).await;
            way.flips.push(time);
            tokio::time::sleep(PAUSE).await;
        }
    }
    for _ in 0..ROLLBACKS {
        for way in &mut fast.ways {
            way.flip_and_regret("green", "blue").await;
            tokio::time::sleep(PAUSE).await;
        }
    }
    // They take no time from the next ones.
    let fast = fast.end();

    let mut slow = slow_ways(&redis, &backend).await;
    for color in ["green", "blue"].iter().cycle().take(SLOW_FLIPS) {
        for way in &mut slow.ways {
            // Not in step with the polls.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..1000))).await;
            let time = way.flip(color).await;
            way.flips.push(time);
        }
        tokio::time::sleep(SLOW_PAUSE + Duration::from_millis(fastrand::u64(..4000))).await;
    }
    for _ in 0..SLOW_ROLLBACKS {
        for way in &mut slow.ways {
            way.flip_and_regret("green", "blue").await;
        }
        tokio::time::sleep(SLOW_PAUSE).await;
    }

    let ours = fast[0].flips.median();
    block.line(format!(
        "{:<46}{:>4}{:>9}{:>9}{:>9}{:>8}{:>14}{:>9}{:>7}",
        "", "n", "p50", "p90", "worst", "ratio", "rollback p50", "worst", "errors"
    ));
    for way in fast.iter().chain(&slow.ways) {
        block.line(format!(
            "{:<46}{:>4}{:>9.1}{:>9.1}{:>9.1}{:>8.2}{:>14.1}{:>9.1}{:>7}",
            way.name,
            way.flips.len(),
            way.flips.median(),
            way.flips.quantile(0.9),
            way.flips.worst(),
            way.flips.median() / ours,
            way.rollbacks.median(),
            way.rollbacks.worst(),
            way.errors,
        ));
    }
    block.line("");
    block.line(format!(
        "in ms; ratio: the median beside the first line's; rollback: {} ms after a flip, n = {ROLLBACKS} and \
         {SLOW_ROLLBACKS}; errors: requests without an answer",
        REGRET.as_millis()
    ));
}

/// The ways, and the processes that they need as long as they are measured.
struct Ways {
    ways: Vec<Way>,
    processes: (
        Vec<Traefik>,
        Vec<Provider>,
        Vec<tempfile::TempDir>,
        Vec<Redis>,
    ),
}

impl Ways {
    /// What was measured; the processes end.
    fn end(self) -> Vec<Way> {
        drop(self.processes);
        self.ways
    }
}

async fn fast_ways(redis: &Redis, backend: &Backend) -> Ways {
    let provider = provider(redis, backend, "active", "defaultCertificate: generated\n").await;
    let files = tempfile::tempdir().unwrap();
    let urls = ["blue", "green"].map(|color| backend.url(color));
    write_file(files.path(), &urls[0]);
    write_redis(redis, backend).await;
    let traefik = Options::recommended(&provider.url(), "recommended")
        .and_files(files.path())
        .arg(&format!(
            "--providers.redis.endpoints=127.0.0.1:{}",
            redis.port()
        ))
        .start()
        .await;
    for host in ["ours.localhost", "file.localhost", "redis.localhost"] {
        traefik.wait_for(host, "blue").await;
    }
    let (haproxy, caddy) = (HaProxy::start(backend).await, Caddy::start(backend).await);
    let (haproxy_web, caddy_web, web) = (haproxy.web, caddy.web, traefik.web());
    let key = async |key| By::Key(redis.connection().await, key);
    let file = By::File(files.path().to_owned(), urls);
    Ways {
        ways: vec![
            Way::new(
                "this provider, recommended settings",
                key("active").await,
                web,
                "ours.localhost",
            ),
            Way::new(
                "Traefik's file provider, same settings",
                file,
                web,
                "file.localhost",
            ),
            Way::new(
                "Traefik's Redis provider, same settings",
                key("traefik/http/routers/redis/service").await,
                web,
                "redis.localhost",
            ),
            Way::new(
                "HAProxy, a map over its runtime API",
                By::HaProxy(haproxy),
                haproxy_web,
                "localhost",
            ),
            Way::new(
                "Caddy, its admin API",
                By::Caddy(caddy),
                caddy_web,
                "localhost",
            ),
        ],
        processes: (vec![traefik], vec![provider], vec![files], vec![]),
    }
}

async fn slow_ways(redis: &Redis, backend: &Backend) -> Ways {
    let mut ways = Vec::new();
    let (mut traefiks, mut providers) = (Vec::new(), Vec::new());
    for (name, key, interval) in [
        ("this provider, Traefik's default settings", "held", None),
        (
            "plain polling every 5 s, Traefik's default",
            "5s",
            Some("5s"),
        ),
        ("plain polling every 1 s", "1s", Some("1s")),
        ("plain polling every 100 ms", "100ms", Some("100ms")),
    ] {
        // As the README has it; the others poll for what a file would hold.
        let more = interval.map_or("defaultCertificate: generated\n", |_| "");
        let provider = provider(redis, backend, key, more).await;
        let mut options = Options::http(&provider.url()).poll_interval(interval.unwrap_or("5s"));
        if interval.is_some() {
            options = options.header("Prefer", "wait=0");
        }
        let traefik = options.start().await;
        traefik.wait_for("ours.localhost", "blue").await;
        let by = By::Key(redis.connection().await, key);
        ways.push(Way::new(name, by, traefik.web(), "ours.localhost"));
        traefiks.push(traefik);
        providers.push(provider);
    }

    let files = tempfile::tempdir().unwrap();
    let urls = ["blue", "green"].map(|color| backend.url(color));
    write_file(files.path(), &urls[0]);
    let by_file = Options::file(files.path()).start().await;
    by_file.wait_for("file.localhost", "blue").await;
    let file = By::File(files.path().to_owned(), urls);
    let name = "Traefik's file provider, default settings";
    ways.push(Way::new(name, file, by_file.web(), "file.localhost"));

    let other = Redis::start().await;
    write_redis(&other, backend).await;
    let by_redis = Options::redis(other.port()).start().await;
    by_redis.wait_for("redis.localhost", "blue").await;
    let key = By::Key(
        other.connection().await,
        "traefik/http/routers/redis/service",
    );
    let name = "Traefik's Redis provider, default settings";
    ways.push(Way::new(name, key, by_redis.web(), "redis.localhost"));
    traefiks.extend([by_file, by_redis]);
    Ways {
        ways,
        processes: (traefiks, providers, vec![files], vec![other]),
    }
}

async fn provider(redis: &Redis, backend: &Backend, key: &str, more: &str) -> Provider {
    let config = format!(
        "stacks: {{ deals: {{ key: {key}, services: {{ api: {{ rule: 'Host(`ours.localhost`)', \
         servers: {{ blue: '{}', green: '{}' }} }} }} }} }}\n{more}",
        backend.url("blue"),
        backend.url("green")
    );
    provider::Options::new(&config, &redis.url()).start().await
}

/// What Traefik's Redis provider reads, with blue in production.
async fn write_redis(redis: &Redis, backend: &Backend) {
    for color in ["blue", "green"] {
        let key = format!("traefik/http/services/{color}/loadbalancer/servers/0/url");
        redis.cli(&["SET", &key, &backend.url(color)]).await;
    }
    let router = "traefik/http/routers/redis";
    let service = format!("{router}/service");
    redis.cli(&["SET", &service, "blue"]).await;
    let rule = format!("{router}/rule");
    redis.cli(&["SET", &rule, "Host(`redis.localhost`)"]).await;
}

/// As a careful script would: the new file takes the place of the old one.
fn write_file(dir: &std::path::Path, url: &str) {
    let text = format!(
        "http:\n  routers: {{ file: {{ rule: 'Host(`file.localhost`)', service: active }} }}\n  \
         services: {{ active: {{ loadBalancer: {{ servers: [{{ url: '{url}' }}] }} }} }}\n"
    );
    std::fs::write(dir.join("routing.tmp"), text).unwrap();
    std::fs::rename(dir.join("routing.tmp"), dir.join("routing.yml")).unwrap();
}

/// Asks on one connection until the color answers; returns the time since `began`, and how often nothing did.
pub async fn until(web: SocketAddr, host: &str, color: &str, began: Instant) -> (Duration, usize) {
    let mut connection = None;
    let mut errors = 0;
    loop {
        match ask(&mut connection, web, host).await {
            Ok(answer) if answer.color() == Some(color) => return (began.elapsed(), errors),
            Ok(answer) => assert!(began.elapsed() < PATIENCE, "{host} stays at {answer:?}"),
            Err(error) => {
                assert!(began.elapsed() < PATIENCE, "{host}: {error}");
                errors += 1;
                connection = None;
            }
        }
        // Traefik needs a core to apply the change with.
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}

async fn ask(
    connection: &mut Option<Connection>,
    web: SocketAddr,
    host: &str,
) -> Result<Answer, String> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(Connection::open(web).await?),
    };
    connection.get(host, "/", &[]).await
}
