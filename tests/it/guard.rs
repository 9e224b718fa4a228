//! The guard: a bare `SET` is followed once the servers of the color that gets more are well; nothing else is held up.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::care::Site;
use crate::support::backend::Backend;
use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::load::Load;
use crate::support::port::{free_port, loopback};
use crate::support::provider::{self, Provider};
use crate::support::redis::Redis;
use crate::support::stack::{HOSTS, Stack, color_of};
use crate::support::traefik;

/// Longer than anything takes here, on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// What all that tells of it begins with.
const REFUSED: &str = "refused by the guard: ";

async fn guarded() -> Site {
    let site = Site::start().await;
    reloaded(&site.provider, 1).await;
    site.reconfigure("    services:\n", "    guard: [health]\n    services:\n");
    reloaded(&site.provider, 2).await;
    site
}

/// Waits until the provider has taken over so many configs.
async fn reloaded(provider: &Provider, times: usize) {
    eventually("the new config is in force", SOON, async || match provider
        .log()
        .count("the new config is in force")
    {
        count if count >= times => Ok(()),
        count => Err(count),
    })
    .await;
}

/// Waits until the provider says that the guard has refused what the key of the stack says.
async fn refuses(provider: &Provider) {
    eventually("the guard refuses it", SOON, async || {
        let problem = provider.status().await["stacks"]["deals"]["problem"].clone();
        let refused = problem.as_str().is_some_and(|it| it.starts_with(REFUSED));
        if refused { Ok(()) } else { Err(problem) }
    })
    .await;
}

/// Waits until the provider serves this color.
async fn serves(provider: &Provider, color: &str) {
    eventually(&format!("{color} is served"), SOON, async || {
        let document = provider.get("/traefik").await.json();
        match color_of(&document) {
            served if served == color => Ok(()),
            served => Err(served.to_owned()),
        }
    })
    .await;
}

/// What of the history the guard has refused.
fn refusals(history: &[Value]) -> Vec<&Value> {
    let refused = history.iter().filter(|entry| entry["by"] == "guard");
    refused.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_set_to_a_color_that_is_down_moves_nothing_until_it_is_up() {
    let mut site = guarded().await;
    site.services[0].stop("green").await;
    let load = site.load().await;
    let set = Instant::now();
    site.redis.cli(&["SET", "active", "green"]).await;
    refuses(&site.provider).await;
    // It is tried again, and told once.
    let more = site.services[1].requests("green") + 3;
    eventually("it is looked at again", SOON, async || {
        let looks = site.services[1].requests("green");
        if looks >= more { Ok(()) } else { Err(looks) }
    })
    .await;
    load.goes_on(Instant::now(), HOSTS.len()).await;
    load.report().assert_no_failures();
    load.report().assert_all(set, "blue");
    assert_eq!(site.key().await, "green");
    assert_eq!(
        site.provider.log().count(REFUSED),
        1,
        "{}",
        site.provider.log()
    );

    // The history has it, and it is no change.
    let server = site.services[0].url("green");
    let history = site.history().await;
    let [refusal] = *refusals(&history) else {
        panic!("{history:?}");
    };
    assert_eq!(
        (&refusal["from"], &refusal["to"]),
        (&"blue".into(), &"blue".into())
    );
    let why = refusal["why"].as_str().unwrap();
    assert!(
        why.starts_with("refused by the guard: `green`: ") && why.contains(&server),
        "{why}"
    );
    assert_eq!(site.redis.cli(&["XLEN", "{active}:history"]).await, "0");

    // So have status and metrics; and who asks what is in force is told what stands.
    let status = site
        .command(&["status", "--json"])
        .any_stdout()
        .run()
        .await
        .json();
    let deals = &status["stacks"]["deals"];
    assert_eq!(deals["traffic"], "blue", "{deals}");
    assert!(
        deals["problem"].as_str().unwrap().starts_with(REFUSED),
        "{deals}"
    );
    site.command(&["status", "--check"])
        .any_stdout()
        .code(3)
        .run()
        .await;
    let metrics = site.provider.get("/metrics").await.text().to_owned();
    assert!(
        metrics.contains("bluegreen_guard_refusals_total 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("bluegreen_key_valid{stack=\"deals\"} 0\n"),
        "{metrics}"
    );

    site.services[0].restart("green").await;
    let up = Instant::now();
    load.reaches(up, "green").await;
    site.has_instances(1).await;
    let followed = Instant::now();
    load.goes_on(followed, HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(followed, "green");
    let history = site.history().await;
    assert_eq!(
        (&history[0]["by"], &history[0]["to"]),
        (&"outside".into(), &"green".into())
    );
    assert_eq!(refusals(&history).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_not_held_up_and_a_key_that_is_set_back_is_looked_at_no_longer() {
    let site = guarded().await;
    // Whoever asks the server itself finds it unwell: `--no-verify` is the operator's word that it is not so.
    site.services[0].set_healthy("green", false);
    site.redis.cli(&["SET", "active", "green"]).await;
    refuses(&site.provider).await;
    // Blue has the traffic, though the key says green.
    let down = site.command(&["down", "blue", "--dry-run"]).code(3);
    down.stderr("it has traffic (blue)").run().await;
    site.redis.cli(&["SET", "active", "blue"]).await;
    eventually("nothing is refused", SOON, async || {
        let problem = site.provider.status().await["stacks"]["deals"]["problem"].clone();
        if problem.is_null() {
            Ok(())
        } else {
            Err(problem)
        }
    })
    .await;

    site.redis.cli(&["SET", "active", "green"]).await;
    refuses(&site.provider).await;
    // The same value, and a command that takes the responsibility.
    site.flip(&["--no-verify"]).any_stdout().run().await;
    serves(&site.provider, "green").await;
    let history = site.history().await;
    assert_eq!(
        (&history[0]["from"], &history[0]["to"]),
        (&"blue".into(), &"green".into())
    );

    // And one back to a color that is not well either.
    site.services[0].set_healthy("blue", false);
    site.command(&["rollback"]).any_stdout().run().await;
    serves(&site.provider, "blue").await;
    assert_eq!(
        site.provider
            .log()
            .count("is not followed and green stands"),
        0
    );
}

/// Each guards for itself; the first that sees it well moves all.
#[tokio::test(flavor = "multi_thread")]
async fn several_providers_refuse_it_once_and_follow_it_together() {
    let site = guarded().await;
    let config = std::fs::read_to_string(site.provider.config()).unwrap();
    let mut other = provider::Options::new(&config, &site.redis.url())
        .start()
        .await;
    site.services[1].set_healthy("green", false);
    site.redis.cli(&["SET", "active", "green"]).await;
    refuses(&site.provider).await;
    refuses(&other).await;
    assert_eq!(refusals(&site.history().await).len(), 1);
    // One that starts meanwhile serves what the others serve, with and without its memory.
    other.restart().await;
    serves(&other, "blue").await;
    let new = provider::Options::new(&config, &site.redis.url())
        .start()
        .await;
    serves(&new, "blue").await;
    refuses(&new).await;

    site.services[1].set_healthy("green", true);
    for provider in [&site.provider, &other, &new] {
        serves(provider, "green").await;
    }
    let changes = site.redis.cli(&["XLEN", "{active}:history"]).await;
    assert_eq!(changes, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_in_a_folder_is_guarded_as_well() {
    let api = Backend::start("api", &["blue", "green"]).await;
    let (blue, green) = (api.url("blue"), api.url("green"));
    let config = format!(
        "stacks:
  deals:
    guard: [health]
    guardTimeout: 1s
    services:
      api: {{ rule: Host(`api.localhost`), health: /health, servers: {{ blue: '{blue}', green: '{green}' }} }}
"
    );
    let dir = tempfile::tempdir().unwrap();
    let store = format!("file:{}", dir.path().display());
    let set = |value: &str| std::fs::write(dir.path().join("active"), value).unwrap();
    let provider = provider::Options::new(&config, &store).start().await;
    serves(&provider, "blue").await;
    api.set_healthy("green", false);
    set("green");
    refuses(&provider).await;
    serves(&provider, "blue").await;
    let told = "blue → blue  by guard: refused by the guard: `green`: api";
    eventually("the history has it", SOON, async || {
        let history = Cli::new(&["history"])
            .of(&provider)
            .any_stdout()
            .any_stderr();
        let history = history.run().await.stdout;
        if history.contains(told) {
            Ok(())
        } else {
            Err(history)
        }
    })
    .await;
    api.set_healthy("green", true);
    serves(&provider, "green").await;
}

/// With `analysis`, a color that has some of the traffic gets more only while its figures keep their limits.
#[tokio::test(flavor = "multi_thread")]
async fn a_color_whose_answers_fail_gets_no_more_than_it_has() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let metrics = loopback(free_port());
    let guard = format!(
        "    guard: [analysis]
    analysis: {{ metrics: {{ port: {} }}, errors: {{ limit: 5% }}, services: [api], minRequests: 10, every: 1s, failures: 2 }}
    services:
",
        metrics.port()
    );
    let config = stack.config().replacen("    services:\n", &guard, 1);
    let provider = stack.provider(&config, &redis).await;
    let options = traefik::Options::recommended(&provider.url(), "edge-1");
    let traefik = options.metrics(metrics).start().await;
    traefik.wait_for(HOSTS[0], "blue").await;

    // Of a color without traffic there are no figures.
    stack.api().set_status_in_public("green", 503);
    redis.cli(&["SET", "active", "blue:1,green:1"]).await;
    provider.log_contains("the traffic moves").await;
    let load = Load::on(traefik.web()).start().await;
    provider.log_contains("figures of a color fail").await;
    redis.cli(&["SET", "active", "blue:1,green:3"]).await;
    refuses(&provider).await;
    let line = provider.log_contains(REFUSED).await;
    assert!(
        line.contains("analysis errors api green is not well"),
        "{line}"
    );
    let stands = provider.status().await["stacks"]["deals"]["traffic"].clone();
    assert_eq!(stands, "blue:1,green:1");
    // Less of it is nothing to guard.
    redis.cli(&["SET", "active", "blue"]).await;
    eventually("blue has all of it", SOON, async || {
        let deals = provider.status().await["stacks"]["deals"].clone();
        let is_so = deals["traffic"] == "blue" && deals["problem"].is_null();
        if is_so { Ok(()) } else { Err(deals) }
    })
    .await;
    load.stop().await;
}
