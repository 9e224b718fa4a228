//! The harness itself: what the other tests build on has to hold.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::backend::Backend;
use crate::support::cli::Cli;
use crate::support::http;
use crate::support::load::Load;
use crate::support::poll::{Poller, request};
use crate::support::postgres::Postgres;
use crate::support::provider;
use crate::support::redis::Redis;
use crate::support::traefik::Options;

#[tokio::test]
async fn redis_forgets_when_it_is_killed_and_keeps_its_port() {
    let mut redis = Redis::start().await;
    assert_eq!(redis.cli(&["SET", "active", "green"]).await, "OK");
    assert_eq!(redis.cli(&["GET", "active"]).await, "green");

    redis.kill();
    assert!(redis.try_cli(&["PING"]).await.is_err());
    redis.restart().await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "");
    assert!(
        redis
            .try_cli(&["NONSENSE"])
            .await
            .unwrap_err()
            .contains("unknown command")
    );
}

#[tokio::test]
async fn a_stopped_redis_keeps_its_connections_and_answers_later() {
    let redis = Redis::start_with(&["--appendonly", "yes"]).await;
    let mut connection = redis.connection().await;
    redis.stop();
    let ping: Result<(), _> = ::redis::cmd("PING").query_async(&mut connection).await;
    assert!(ping.unwrap_err().is_timeout());
    redis.cont();
    let ping: String = ::redis::cmd("PING")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(ping, "PONG");
}

#[tokio::test]
async fn postgres_keeps_what_was_committed_when_it_is_killed() {
    let mut postgres = Postgres::start().await;
    postgres
        .sql("CREATE TABLE kept (n int, text text); INSERT INTO kept VALUES (1, NULL), (2, 'x')")
        .await;
    postgres.kill().await;
    postgres.restart().await;
    let kept = "SELECT * FROM kept ORDER BY n";
    assert_eq!(postgres.sql(kept).await, ["1|", "2|x"]);
    assert!(postgres.terminate().await.success());
    postgres.restart().await;
    assert_eq!(postgres.sql(kept).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traefik_switches_colors_under_load_without_a_failure() {
    let api = Backend::start("api", &["blue", "green"]).await;
    let dir = tempfile::tempdir().unwrap();
    route(dir.path(), "api.localhost", &api.url("blue"));
    let traefik = Options::file(dir.path()).throttle("100ms").start().await;
    traefik.wait_for("api.localhost", "blue").await;
    assert!(traefik.routers().await.contains_key("only@file"));

    let load = Load::on(traefik.web()).start().await;
    let flipped = Instant::now();
    route(dir.path(), "api.localhost", &api.url("green"));
    load.reaches(flipped, "green").await;
    let switched = Instant::now();
    load.goes_on(switched, 20).await;

    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(switched, "green");
    assert!(api.requests("blue") > 0 && api.requests("green") >= 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_provider_moves_the_real_traefik() {
    let (redis, api) = (
        Redis::start().await,
        Backend::start("api", &["blue", "green"]).await,
    );
    let config = format!(
        "stacks: {{ deals: {{ services: {{ api: {{ rule: Host(`api.localhost`), \
         servers: {{ blue: \"{}\", green: \"{}\" }} }} }} }} }}\ndefaultCertificate: generated\n",
        api.url("blue"),
        api.url("green")
    );
    let mut provider = provider::Options::new(&config, &redis.url()).start().await;
    let traefik = Options::recommended(&provider.url(), "one").start().await;
    traefik.wait_for("api.localhost", "blue").await;

    let load = Load::on(traefik.web()).start().await;
    redis.cli(&["SET", "active", "green"]).await;
    load.reaches(Instant::now(), "green").await;
    provider.log_contains("green").await;
    provider.kill();
    provider.restart().await;
    assert!(provider.terminate().await.success());

    load.stop().await.assert_no_failures();
    Cli::new(&["check"])
        .of(&provider)
        .any_stdout()
        .any_stderr()
        .run()
        .await;
}

#[tokio::test]
async fn the_poller_reads_one_answer_at_a_time() {
    let mut api = Backend::start("api", &["blue"]).await;
    let mut poller = Poller::connect(api.address("blue")).await;
    poller
        .send(&[request("/slow?ms=300", &[]), request("/health", &[])].concat())
        .await;
    assert!(poller.within(Duration::from_millis(20)).await.is_none());
    assert_eq!(poller.receive().await.text(), "api blue 1\n");
    let second = poller.poll(&[("X-Anything", "is sent")]).await;
    assert_eq!((second.status, second.text()), (200, "api blue 2\n"));
    assert_eq!(poller.receive().await.text(), "api blue 3\n");

    poller.send(b"GET / HTTP/1.1\r\nHo").await;
    assert!(!poller.closed_within(Duration::from_millis(20)).await);
    api.stop("blue").await;
    assert!(poller.closed_within(Duration::from_secs(1)).await);
    assert!(
        http::get(api.address("blue"), "localhost", "/", &[])
            .await
            .is_err()
    );
    api.restart("blue").await;
    api.set_healthy("blue", false);
    let answer = http::get(api.address("blue"), "localhost", "/health", &[])
        .await
        .unwrap();
    assert_eq!((answer.status, answer.color()), (503, Some("blue")));
}

/// Writes a Traefik file with one router, in one step: Traefik must not see half of it.
fn route(dir: &Path, host: &str, url: &str) {
    let yaml = format!(
        "http:\n  routers:\n    only: {{ rule: \"Host(`{host}`)\", service: only }}\n  \
         services:\n    only: {{ loadBalancer: {{ servers: [{{ url: \"{url}\" }}] }} }}\n"
    );
    let new = tempfile::NamedTempFile::new_in(dir.parent().unwrap()).unwrap();
    std::fs::write(new.path(), yaml).unwrap();
    new.persist(dir.join("routes.yml")).unwrap();
}
