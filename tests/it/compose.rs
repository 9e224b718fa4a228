//! The compose files, unchanged, on a Docker engine: the flow of the README, and what must not happen.
//!
//! They publish fixed ports and share a network of a fixed name, so this is one test, which runs alone, by
//! `make test-compose`, and not where the stack runs already.

mod engine;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

use self::engine::{BLUE, Engine, GREEN, PROXY};
use crate::readme::{self, Step};
use crate::support::cli::{Cli, Output};
use crate::support::eventually;
use crate::support::http::{self, Answer};
use crate::support::load::Load;
use crate::support::port::loopback;
use crate::support::stack::HOSTS;

/// For a container that starts again: it is asked for its health every two seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Traefik's entrypoint `web`, as proxy.yml publishes it.
fn web() -> SocketAddr {
    loopback(80)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker engine and the ports of the compose files: `make test-compose`"]
async fn the_whole_set_up_in_containers() {
    let Some(engine) = Engine::new().await else {
        eprintln!("SKIPPED: no Docker engine runs here, so the compose files were not tested");
        return;
    };
    // An image that an earlier version left here would be taken as it is.
    engine.build(PROXY).await;
    the_steps_of_the_readme_lose_nothing(&engine).await;
    engine.end();
    engine.up(PROXY, &[], "").await;
    engine.up(BLUE, &["--build"], "1").await;
    engine.all_healthy(PROXY, 4).await;
    engine.all_healthy(BLUE, 3).await;
    serves("blue", "1").await;

    let deal = create_and_submit().await;
    a_new_version_is_looked_at_before_it_gets_traffic(&engine).await;
    all_three_flip_under_load_without_a_failed_request(&engine).await;
    it_is_approved_on_the_other_color(&deal).await;
    this_host_flips_and_goes_back_too(&engine).await;

    redis_is_killed(&engine).await;
    bluegreen_is_killed(&engine).await;
    the_api_of_the_idle_color_is_killed(&engine).await;
    the_api_of_the_active_color_is_killed(&engine).await;
    a_restart_of_everything_keeps_color_and_data(&engine, &deal).await;
    one_color_goes_and_the_other_stays(&engine).await;
    a_deployment_is_one_command(&engine).await;
}

/// In order, each of them, under load from the first answer to the end.
async fn the_steps_of_the_readme_lose_nothing(engine: &Engine) {
    let mut aliases = "shopt -s expand_aliases\n".to_owned();
    let mut running = None;
    for Step { command, comment } in readme::steps("A whole stack, with Docker", 0) {
        if command.starts_with("alias ") {
            aliases += &format!("{command}\n");
            continue;
        }
        let typed = format!("{aliases}{command}");
        let answer = comment.filter(|comment| comment.starts_with('{'));
        let Some(answer) = answer else {
            let output = engine.shell(&typed).await;
            assert_eq!(output.code, 0, "{command}: {output:?}");
            continue;
        };
        eventually(&command, PATIENCE, async || {
            let output = engine.shell(&typed).await;
            match output.stdout.trim_end() == answer {
                true => Ok(()),
                false => Err(format!("{output:?}")),
            }
        })
        .await;
        serves("blue", "1").await;
        running = Some(load().start().await);
    }
    let running = running.expect("a step shows what blue answers");
    running.goes_on(Instant::now(), 100).await;
    running.stop().await.assert_no_failures();
    serves("green", "2").await;
    let blue = engine
        .shell("docker compose -p deals-blue -f compose.blue.yml ps -q")
        .await;
    assert_eq!(blue.stdout, "");
}

async fn a_new_version_is_looked_at_before_it_gets_traffic(engine: &Engine) {
    engine.up(GREEN, &["--build"], "2").await;
    engine.all_healthy(GREEN, 3).await;
    for port in [8092, 9101, 3004] {
        let answer = http::get(loopback(port), "localhost", "/health", &[]).await;
        shows(&answer.unwrap(), "green", "2");
    }
    // By the entrypoint that shows the idle color.
    let preview = http::get(loopback(8081), HOSTS[0], "/health", &[]).await;
    shows(&preview.unwrap(), "green", "2");
    serves("blue", "1").await;
}

async fn all_three_flip_under_load_without_a_failed_request(engine: &Engine) {
    let load = load().start().await;
    let output = engine.bluegreen("flip green --why release").await;
    let applied = "blue → green, applied by 1 instance";
    assert!(output.stdout.contains(applied), "{output:?}");
    let flipped = Instant::now();
    load.goes_on(flipped, 200).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(flipped, "green");
    serves("green", "2").await;
}

/// What proxy.yml publishes is enough for a `bluegreen` on this host.
async fn this_host_flips_and_goes_back_too(engine: &Engine) {
    let on_host = |args: &[&str]| Cli::new(args).dir(engine.root()).config(engine.config());
    let load = load().start().await;
    on_host(&["flip", "--no-verify"]).any_stdout().run().await;
    serves("blue", "1").await;
    on_host(&["rollback"]).any_stdout().run().await;
    let back = Instant::now();
    serves("green", "2").await;
    load.goes_on(back, 100).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(back, "green");
    let status = on_host(&["status"])
        .stdout("deals: green")
        .stdout("instance edge-1");
    status.stdout("applied").run().await;
}

async fn redis_is_killed(engine: &Engine) {
    let load = load().start().await;
    engine.kill(PROXY, "redis").await;
    let killed = Instant::now();
    let status = eventually("bluegreen sees that Redis is gone", PATIENCE, async || {
        let status = http::get(loopback(9000), "localhost", "/status", &[]).await?;
        match &status.json()["store"]["connected"] {
            Value::Bool(false) => Ok(status.json()),
            other => Err(other.to_string()),
        }
    });
    let status = status.await;
    assert_eq!(status["stacks"]["deals"]["traffic"], "green", "{status}");
    load.goes_on(killed, 300).await;
    engine.up(PROXY, &[], "").await;
    engine.all_healthy(PROXY, 4).await;
    // The key was on disk.
    assert_eq!(engine.redis("get active").await, "green");
    engine.bluegreen("flip blue").await;
    engine.bluegreen("flip green").await;
    let report = load.stop().await;
    report.assert_no_failures();
}

async fn bluegreen_is_killed(engine: &Engine) {
    let load = load().start().await;
    engine.kill(PROXY, "bluegreen").await;
    let killed = Instant::now();
    load.goes_on(killed, 300).await;
    // Somebody switches meanwhile: nobody brings it to Traefik yet.
    engine.redis("set active blue").await;
    engine.up(PROXY, &[], "").await;
    engine.all_healthy(PROXY, 4).await;
    serves("blue", "1").await;
    engine.bluegreen("flip green").await;
    let flipped = Instant::now();
    load.goes_on(flipped, 100).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(flipped, "green");
}

async fn the_api_of_the_idle_color_is_killed(engine: &Engine) {
    let load = load().start().await;
    engine.kill(BLUE, "api-blue").await;
    let killed = Instant::now();
    load.goes_on(killed, 300).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(killed, "green");
    engine.up(BLUE, &[], "1").await;
    engine.all_healthy(BLUE, 3).await;
}

/// Its users see that the API is gone. The others' services go on, nothing moves by itself, and going back is one
/// command.
async fn the_api_of_the_active_color_is_killed(engine: &Engine) {
    engine.kill(GREEN, "api-green").await;
    eventually("the API is away", PATIENCE, async || {
        let answer = http::get(web(), HOSTS[0], "/", &[]).await?;
        if answer.status == 502 {
            Ok(())
        } else {
            Err(answer.text().to_owned())
        }
    })
    .await;
    for host in &HOSTS[1..] {
        shows(
            &http::get(web(), host, "/", &[]).await.unwrap(),
            "green",
            "2",
        );
    }
    assert_eq!(engine.redis("get active").await, "green");
    engine.bluegreen("rollback").await;
    serves("blue", "1").await;
    engine.up(GREEN, &[], "2").await;
    engine.all_healthy(GREEN, 3).await;
    engine.bluegreen("flip green").await;
}

async fn a_restart_of_everything_keeps_color_and_data(engine: &Engine, deal: &str) {
    for project in [BLUE, GREEN, PROXY] {
        engine.down(project).await;
    }
    for (project, version) in [(PROXY, ""), (BLUE, "1"), (GREEN, "2")] {
        engine.up(project, &[], version).await;
    }
    serves("green", "2").await;
    let found = http::get(web(), HOSTS[0], deal, &[]).await.unwrap().json();
    assert_eq!(found["state"], "approved", "{found}");
}

async fn one_color_goes_and_the_other_stays(engine: &Engine) {
    let load = load().start().await;
    engine.down(BLUE).await;
    let gone = Instant::now();
    load.goes_on(gone, 100).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(gone, "green");
}

/// By `up` and `down` of the config, with the smoke tests and the containers verified.
async fn a_deployment_is_one_command(engine: &Engine) {
    let on_host = |args: &[&str], version: &str| {
        let run = Cli::new(args).dir(engine.root()).config(engine.config());
        let run = run.env("PROJECT", PROXY.name).env("VERSION", version);
        run.env("COMPOSE", &engine.compose.join(" "))
            .env("DOCKER_BUILDKIT", "0")
    };
    let load = load().start().await;
    let deploy = on_host(&["deploy", "--bake", "2s"], "3").stdout("green → blue, applied by 1");
    let deploy = deploy.any_stderr().run().await;
    for said in [
        "up blue: done in",
        "passed      containers  bluegreen-test-blue",
        "passed      check       approval life cycle",
        "passed      check       MCP tool call",
        "production kept passing for 2s",
    ] {
        assert!(deploy.stderr.contains(said), "{said}: {}", deploy.stderr);
    }
    serves("blue", "3").await;
    let busy = on_host(&["deploy", "blue"], "4").code(3);
    busy.stderr("refused: blue has traffic").run().await;
    let deploy = on_host(&["deploy", "--stop-old", "--grace", "1s"], "4");
    let deploy = deploy.stdout("blue → green").any_stderr().run().await;
    assert!(deploy.stderr.contains("down blue: done in"), "{deploy:?}");
    let deployed = Instant::now();
    load.goes_on(deployed, 100).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(deployed, "green");
    serves("green", "4").await;
    let verify = on_host(&["verify", "blue", "--timeout", "2"], "").code(3);
    let verify = verify.any_stdout().any_stderr().run().await;
    assert!(verify.stdout.contains("has exited"), "{verify:?}");
    let verify = on_host(&["verify", "production"], "");
    verify.stdout("green answered").run().await;
}

/// Creates a deal through Traefik, and submits it; returns its path.
async fn create_and_submit() -> String {
    let deal = json!({ "title": "Ten trucks", "amount": 125_000_000, "currency": "EUR" });
    let created = send("/deals", &deal).await;
    assert_eq!(created.status, 201, "{created:?}");
    let path = format!("/deals/{}", created.json()["id"]);
    let submitted = send(&format!("{path}/submit"), &Value::Null).await;
    assert_eq!(submitted.json()["state"], "submitted", "{submitted:?}");
    path
}

async fn it_is_approved_on_the_other_color(deal: &str) {
    let approval = json!({ "approver": "ann", "note": "fine" });
    let approved = send(&format!("{deal}/approve"), &approval).await;
    assert_eq!(approved.status, 200, "{approved:?}");
    let history = approved.json()["history"].clone();
    let colors = history.as_array().unwrap().iter();
    let colors: Vec<_> = colors
        .map(|entry| entry["color"].as_str().unwrap())
        .collect();
    assert_eq!(colors, ["blue", "blue", "green"], "{history}");
}

/// A POST to the API, through Traefik.
async fn send(path: &str, body: &Value) -> Answer {
    http::send(web(), Method::POST, HOSTS[0], path, body)
        .await
        .unwrap()
}

/// The load on all three services, through Traefik.
fn load() -> Load {
    Load::on(web()).hosts(&HOSTS).path("/")
}

/// Waits until all three services are served by this color, through Traefik.
async fn serves(color: &str, version: &str) {
    for host in HOSTS {
        let what = format!("{color} {version} answers for {host}");
        eventually(&what, PATIENCE, async || {
            let answer = http::get(web(), host, "/", &[]).await?;
            match (answer.status, answer.color(), answer.header("x-version")) {
                (200, Some(c), Some(v)) if (c, v) == (color, version) => Ok(()),
                _ => Err(format!("{answer:?}")),
            }
        })
        .await;
    }
}

#[track_caller]
fn shows(answer: &Answer, color: &str, version: &str) {
    let seen = (answer.status, answer.color(), answer.header("x-version"));
    assert_eq!(seen, (200, Some(color), Some(version)), "{answer:?}");
}
