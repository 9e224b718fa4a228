//! `flip`, `rollback`, `status` and `history`, with the real Traefik behind the real provider.

use std::time::{Duration, Instant};

use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::load::Load;
use crate::support::provider::Provider;
use crate::support::redis::Redis;
use crate::support::stack::{HOSTS, Stack};

/// Runs `flip` of a color that is to succeed.
async fn flip(provider: &Provider, color: &str) {
    let run = Cli::new(&["flip", color, "--no-verify", "--timeout", "20"]).of(provider);
    run.stdout(color).run().await;
}

/// Waits until the store's view of the fleet has these instances, all of them confirmed.
async fn confirmed(provider: &Provider, instances: usize) {
    eventually(
        "all instances have confirmed",
        Duration::from_secs(15),
        async || {
            let status = Cli::new(&["status", "--json"])
                .of(provider)
                .any_stdout()
                .run()
                .await
                .json();
            let fleet = status["stacks"]["deals"]["instances"]
                .as_array()
                .unwrap()
                .clone();
            let confirmed = fleet
                .iter()
                .filter(|instance| instance["confirmed"] == true)
                .count();
            if (fleet.len(), confirmed) == (instances, instances) {
                Ok(())
            } else {
                Err(status)
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_set_moves_all_three_services() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let traefik = stack.plain_traefik(&provider, "edge-1").await;
    for color in ["green", "blue", "green"] {
        redis.cli(&["SET", "active", color]).await;
        for host in HOSTS {
            traefik.wait_for(host, color).await;
        }
    }
    let routers = traefik.routers().await;
    // One for each service, and the marker.
    assert_eq!(routers.len(), 4, "{routers:?}");
    for router in routers.values() {
        assert_eq!(router["status"], "enabled", "{router}");
    }
}

/// The promise: no request fails, and once `flip` has returned no answer is of the old color.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_flips_under_load_lose_and_misroute_nothing() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config_with_marker(), &redis).await;
    let traefik = stack.traefik(&provider, "edge-1").await;
    confirmed(&provider, 1).await;
    let load = Load::on(traefik.web())
        .hosts(&HOSTS)
        .connections(1)
        .start()
        .await;
    let mut windows = Vec::new();
    for color in ["green", "blue"].iter().cycle().take(200) {
        flip(&provider, color).await;
        let returned = Instant::now();
        // Some requests must fall between this flip and the next one.
        load.goes_on(returned, HOSTS.len()).await;
        windows.push((returned, Instant::now(), *color));
    }
    let report = load.stop().await;
    report.assert_no_failures();
    let mut checked = 0;
    for (returned, next, color) in windows {
        let within = report
            .samples
            .iter()
            .filter(|sample| sample.start > returned && sample.end < next);
        for sample in within {
            checked += 1;
            assert_eq!(sample.color(), Some(color), "{sample:?}");
        }
    }
    assert!(checked >= 200, "{checked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flip_waits_for_every_traefik_behind_every_provider_until_it_is_gone() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let config = stack.config();
    let (one, two) = (
        stack.provider(&config, &redis).await,
        stack.provider(&config, &redis).await,
    );
    let first = stack.plain_traefik(&one, "edge-1").await;
    let options = crate::support::traefik::Options::recommended(&two.url(), "edge-2");
    let mut second = options.start().await;
    second.wait_for(HOSTS[0], "blue").await;
    confirmed(&one, 2).await;

    let flipped = Cli::new(&["flip", "green", "--no-verify", "--json"])
        .of(&one)
        .any_stdout()
        .run()
        .await
        .json();
    assert_eq!(
        flipped["instances"],
        serde_json::json!(["edge-1", "edge-2"])
    );
    for traefik in [&first, &second] {
        for host in HOSTS {
            traefik.wait_for(host, "green").await;
        }
    }

    // A stopped one still counts: it could serve the old color the moment it goes on.
    second.stop();
    let late = Cli::new(&[
        "flip",
        "blue",
        "--no-verify",
        "--timeout",
        "2",
        "--no-rollback",
    ])
    .of(&two)
    .code(5);
    late.stderr("edge-2")
        .stderr("blue keeps the traffic")
        .run()
        .await;
    first.wait_for(HOSTS[0], "blue").await;

    // Once it is gone, nobody waits for it any longer.
    second.kill();
    let flipped = Cli::new(&["flip", "green", "--no-verify", "--json"])
        .of(&two)
        .any_stdout()
        .run()
        .await
        .json();
    assert_eq!(flipped["instances"], serde_json::json!(["edge-1"]));
    two.log_contains("the instance is gone").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_that_is_not_confirmed_goes_back_and_says_so() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let first = stack.plain_traefik(&provider, "edge-1").await;
    let second = stack.plain_traefik(&provider, "edge-2").await;
    confirmed(&provider, 2).await;
    second.stop();
    let run = Cli::new(&["flip", "green", "--no-verify", "--timeout", "2"])
        .of(&provider)
        .code(5);
    run.stderr("edge-2")
        .stderr("rolled back to blue")
        .run()
        .await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue");
    first.wait_for(HOSTS[0], "blue").await;
    let history = Cli::new(&["history", "--json"])
        .of(&provider)
        .any_stdout()
        .run()
        .await
        .json();
    let moves: Vec<_> = history["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["to"].clone())
        .collect();
    assert_eq!(moves, ["blue", "green"]);
    second.cont();
    confirmed(&provider, 2).await;
    flip(&provider, "green").await;
    second.wait_for(HOSTS[0], "green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_set_during_a_flip_stands() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let traefik = stack.plain_traefik(&provider, "edge-1").await;
    confirmed(&provider, 1).await;
    // While Traefik is stopped, the flip waits; meanwhile somebody else sets the key.
    traefik.stop();
    let run = Cli::new(&["flip", "green", "--no-verify", "--timeout", "20"])
        .of(&provider)
        .code(7);
    let run = tokio::spawn(run.stderr("somebody else").run());
    eventually(
        "the flip has set the key",
        Duration::from_secs(10),
        async || {
            let value = redis.cli(&["GET", "active"]).await;
            if value == "green" { Ok(()) } else { Err(value) }
        },
    )
    .await;
    redis.cli(&["SET", "active", "blue:50,green:50"]).await;
    run.await.unwrap();
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue:50,green:50");
}

#[tokio::test]
async fn without_a_provider_nothing_is_changed() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("bluegreen.yml");
    std::fs::write(&config, stack.config()).unwrap();
    let command = |args: &[&str]| Cli::new(args).config(config.clone()).store(&redis.url());
    command(&["flip", "green", "--no-verify"])
        .code(1)
        .stderr("nothing was changed")
        .run()
        .await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "");
    command(&["status"])
        .stdout("deals: blue")
        .stdout("no provider runs")
        .run()
        .await;
    command(&["rollback"])
        .code(1)
        .stderr("the history is empty")
        .run()
        .await;

    command(&["flip", "--no-wait", "--no-verify"])
        .stdout("deals: blue → green")
        .run()
        .await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "green");
    command(&["flip", "green", "--no-wait", "--no-verify", "-q"])
        .run()
        .await;
    command(&["rollback", "--no-wait", "--why", "green is on fire"])
        .stdout("deals: green → blue")
        .run()
        .await;
    command(&["rollback", "--no-wait"])
        .stdout("deals: blue → green")
        .run()
        .await;
    let history = command(&["history"]).any_stdout().run().await.stdout;
    assert_eq!(history.lines().count(), 3, "{history}");
    assert!(history.contains("green is on fire"), "{history}");

    // A key that holds garbage: the color must be named, or the history tells.
    redis.cli(&["SET", "active", "purple"]).await;
    command(&["status"])
        .stdout("deals: green")
        .stdout("`purple`")
        .run()
        .await;
    command(&["flip", "blue", "--no-wait", "--no-verify", "-q"])
        .run()
        .await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue");

    // The store's side of a conflict: what the key was when it was looked at counts.
    command(&["flip", "green", "--dry-run"])
        .stdout("would change blue to green")
        .stdout("+ http.routers.deals-api.service = \"deals-api-green\"")
        .stdout("would verify green before")
        .run()
        .await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue");
}

#[tokio::test]
async fn a_store_that_is_away_is_exit_6() {
    let (mut redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    redis.kill();
    for args in [&["flip", "green", "--no-verify"][..], &["rollback"]] {
        let run = Cli::new(args).of(&provider).code(6);
        run.stderr("can't be reached")
            .stderr("nothing was changed")
            .run()
            .await;
    }
    for args in [["status"], ["history"]] {
        let run = Cli::new(&args).of(&provider).code(6);
        run.stderr("can't be reached").run().await;
    }
}

/// A paused server takes the write and does it later: that is neither done nor failed.
#[tokio::test]
async fn a_write_that_is_not_answered_is_not_known() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    confirmed(&provider, 0).await;
    eventually(
        "the provider has reported",
        Duration::from_secs(10),
        async || {
            let status = Cli::new(&["status"])
                .of(&provider)
                .any_stdout()
                .run()
                .await
                .stdout;
            if status.contains("serves blue") {
                Ok(())
            } else {
                Err(status)
            }
        },
    )
    .await;
    redis.cli(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    let flip = |timeout| Cli::new(&["flip", "green", "--timeout", timeout]).of(&provider);
    let run = flip("1").code(6).stderr("nothing was changed");
    run.run().await;
    redis.cli(&["CLIENT", "UNPAUSE"]).await;
    // The pause begins after the flip has begun, and before it sets the key.
    let pause = |millis: u32| {
        let port = redis.port();
        let cli = crate::support::redis::tool("redis-cli");
        let check = format!(
            "command: {} -p {port} CLIENT PAUSE {millis} WRITE",
            cli.display()
        );
        let config = stack.config();
        let services = config.find("    services:").unwrap();
        let (before, after) = config.split_at(services);
        format!("{before}    checks: [{{ name: pause, {check} }}]\n{after}")
    };
    provider.write_config(&pause(60_000));
    let run = flip("3").code(6).stderr("verifying green");
    run.stderr("is not known").run().await;
    // Whoever carries it on is not to pause the store once more.
    let in_force = provider.log().lines().len();
    provider.write_config(&stack.config());
    eventually(
        "the config is in force",
        Duration::from_secs(10),
        async || {
            let lines = provider.log().lines();
            let mut new = lines[in_force..].iter();
            match new.any(|line| line.contains("the new config is in force")) {
                true => Ok(()),
                false => Err(lines.join("\n")),
            }
        },
    )
    .await;
    redis.cli(&["CLIENT", "UNPAUSE"]).await;
    // Its lease could not be given back: it runs out, and the provider brings the rollout to its end.
    eventually("the rollout ends", Duration::from_secs(30), async || {
        let record = redis.cli(&["GET", "{active}:rollout"]).await;
        let lease = redis.cli(&["GET", "{active}:lease"]).await;
        match record.contains("\"outcome\"") && lease.is_empty() {
            true => Ok(()),
            false => Err(format!("{record} {lease}")),
        }
    })
    .await;
    // It was done after all; and where it is done in time, the flip finds out.
    redis.cli(&["SET", "active", "blue"]).await;
    provider.write_config(&pause(1500));
    let run = flip("10").stdout("blue → green").stderr("verifying green");
    run.stderr("no Traefik polls").run().await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "green");
}

#[tokio::test]
async fn usage_mistakes_are_exit_2() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("bluegreen.yml");
    std::fs::write(&config, stack.config()).unwrap();
    let command = |args: &[&str]| {
        Cli::new(args)
            .config(config.clone())
            .store(&redis.url())
            .code(2)
    };
    command(&["flip", "purple"])
        .stderr("`purple` is not a color of this stack")
        .run()
        .await;
    command(&["flip", "blue:50,green:50"])
        .stderr("is not a color")
        .run()
        .await;
    command(&["flip", "green", "--stack", "nope"])
        .stderr("there are: deals")
        .run()
        .await;
    command(&["flip", "--tiemout", "3"])
        .stderr("--timeout")
        .run()
        .await;
    command(&["flip", "--timeout", "soon"])
        .stderr("--timeout")
        .run()
        .await;
    command(&["render", "--traffic", "blue:1,blue:2"])
        .stderr("named twice")
        .run()
        .await;
    command(&["status", "--store", "http://x"])
        .stderr("is not a store")
        .run()
        .await;
    command(&["check", "--config", "/nonexistent.yml"])
        .stderr("/nonexistent.yml")
        .run()
        .await;
}

/// Two Traefiks behind two providers may have one name, or one address: the one that is stopped still counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_name_behind_two_providers_is_two_instances() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let config = stack.config();
    let (one, two) = (
        stack.provider(&config, &redis).await,
        stack.provider(&config, &redis).await,
    );
    let _first = stack.plain_traefik(&one, "edge").await;
    let second = stack.plain_traefik(&two, "edge").await;
    confirmed(&one, 2).await;
    second.stop();
    let run = Cli::new(&["flip", "green", "--no-verify", "--timeout", "2"]).of(&one);
    run.code(5)
        .stderr("edge")
        .stderr("rolled back to blue")
        .run()
        .await;
}

#[tokio::test]
async fn what_cannot_be_written_is_said() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    redis.cli(&["SET", "{active}:history", "no stream"]).await;
    let run = Cli::new(&["flip", "green", "--no-verify", "--no-wait"]).of(&provider);
    run.stdout("blue → green")
        .stderr("the history could not be written")
        .run()
        .await;
    let long = "x".repeat(1001);
    let run = Cli::new(&["flip", "blue", "--why", &long])
        .of(&provider)
        .code(2);
    run.stderr("at most 1000").run().await;
}
