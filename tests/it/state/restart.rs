//! A provider that starts: with Redis or without it, with a memory or without one.

use std::fs;

use super::*;

/// Waits until the provider has written this traffic to disk.
async fn on_disk(provider: &Provider, traffic: &str) {
    let file = provider.state_dir().join("traffic.json");
    eventually("the traffic is on disk", SOON, async || {
        let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let kept: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if kept["deals"]["traffic"] == traffic {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}

#[tokio::test]
async fn without_redis_it_serves_what_it_served_before() {
    for signal in ["TERM", "KILL"] {
        let mut redis = Redis::start().await;
        let mut provider = provider(&redis).await;
        redis.cli(&["SET", "active", "blue:1,green:3"]).await;
        serves(&provider, "blue:1,green:3").await;
        let before = provider.get("/traefik").await;
        on_disk(&provider, "blue:1,green:3").await;

        redis.kill();
        if signal == "TERM" {
            assert!(provider.terminate().await.success());
        }
        provider.restart().await;
        let after = provider.get("/traefik").await;
        assert_eq!((after.status, &after.body), (200, &before.body), "{signal}");
        assert_eq!(provider.get("/readyz").await.status, 200);
        let status = provider.status().await;
        assert_eq!(status["stacks"]["deals"]["source"], "disk");
        assert_eq!(status["stacks"]["deals"]["by"], "outside");
        assert_eq!(status["store"]["connected"], false);

        // An empty Redis moves nothing, a value does.
        let witness = Witness::of(&provider).await;
        redis.restart().await;
        has_problem(&provider, "does not exist any more").await;
        redis.cli(&["SET", "active", "blue"]).await;
        serves(&provider, "blue").await;
        witness.saw(&["blue:1,green:3", "blue"]).await;
    }
}

#[tokio::test]
async fn what_the_key_says_at_the_start_goes_before_the_disk() {
    let redis = Redis::start().await;
    let mut provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    on_disk(&provider, "green").await;
    provider.kill();
    redis.cli(&["SET", "active", "blue"]).await;
    provider.restart().await;
    // Not even the first answer is the old one.
    assert_eq!(serves_now(&provider).await, "blue");
    on_disk(&provider, "blue").await;
}

#[tokio::test]
async fn a_first_color_that_nobody_chose_stays_so_over_restarts() {
    let mut redis = Redis::start().await;
    let mut provider = provider(&redis).await;
    on_disk(&provider, "blue").await;
    redis.kill();
    provider.restart().await;
    assert_eq!(serves_now(&provider).await, "blue");
    redis.restart().await;
    connected(&provider, true).await;
    assert_eq!(
        provider.status().await["stacks"]["deals"]["source"],
        "default"
    );
    has_problem(&provider, "").await;
}

#[tokio::test]
async fn without_redis_and_without_a_memory_it_is_503_until_redis_answers() {
    let mut redis = Redis::start().await;
    redis.kill();
    let provider = provider(&redis).await;
    let answer = provider.get("/traefik").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(provider.get("/readyz").await.status, 503);
    assert_eq!(provider.get("/healthz").await.status, 200);
    assert_eq!(metric(&provider, "bluegreen_ready").await, 0);
    assert_eq!(
        provider.status().await["stacks"]["deals"]["traffic"],
        Value::Null
    );
    provider.log_contains("the endpoint answers 503").await;
    assert!(!provider.state_dir().join("traffic.json").exists());

    let witness = Witness::of(&provider).await;
    redis.restart().await;
    serves(&provider, "blue").await;
    assert_eq!(provider.get("/readyz").await.status, 200);
    assert_eq!(metric(&provider, "bluegreen_ready").await, 1);
    witness.saw(&["503", "blue"]).await;
}

#[tokio::test]
async fn a_silent_redis_at_the_start_is_one_that_is_away() {
    let redis = Redis::start().await;
    redis.cli(&["SET", "active", "green"]).await;
    redis.stop();
    let provider = provider(&redis).await;
    let witness = Witness::of(&provider).await;
    assert_eq!(provider.get("/readyz").await.status, 503);
    redis.cont();
    serves(&provider, "green").await;
    witness.saw(&["503", "green"]).await;
}

#[tokio::test]
async fn a_garbled_key_and_no_memory_is_503_until_it_is_set() {
    let redis = Redis::start().await;
    redis.cli(&["RPUSH", "active", "green"]).await;
    let provider = provider(&redis).await;
    let witness = Witness::of(&provider).await;
    assert_eq!(provider.get("/readyz").await.status, 503);
    redis.cli(&["SET", "active", "purple"]).await;
    has_problem(&provider, "`purple`").await;
    reads(&redis, 2).await;
    logged(&provider, "no earlier one is known", 2).await;

    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    witness.saw(&["503", "green"]).await;
}

#[tokio::test]
async fn a_key_that_vanished_while_nobody_ran_leaves_the_historys_traffic() {
    let redis = Redis::start().await;
    let mut provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    super::history::recorded(&redis, 1).await;
    on_disk(&provider, "green").await;

    provider.kill();
    redis.cli(&["DEL", "active"]).await;
    fs::remove_dir_all(provider.state_dir()).unwrap();
    provider.restart().await;
    assert_eq!(serves_now(&provider).await, "green");
    let deals = provider.status().await["stacks"]["deals"].clone();
    assert_eq!(deals["source"], "history");
    assert_eq!(deals["by"], "outside");
    assert!(deals["problem"].is_string());

    // The history is newer than what is on disk now.
    on_disk(&provider, "green").await;
    provider.kill();
    let flip = crate::support::cli::Cli::new(&["flip", "blue", "--no-wait", "--no-verify"]);
    flip.of(&provider).any_stdout().any_stderr().run().await;
    redis.cli(&["DEL", "active"]).await;
    provider.restart().await;
    assert_eq!(serves_now(&provider).await, "blue");
}

#[tokio::test]
async fn a_damaged_memory_is_said_once_and_replaced() {
    let mut redis = Redis::start().await;
    let mut provider = provider(&redis).await;
    let file = provider.state_dir().join("traffic.json");
    on_disk(&provider, "blue").await;

    for (damage, said) in [
        ("", "can't be read and is not used"),
        ("{\"deals\":", "can't be read and is not used"),
        (
            "{\"deals\":{\"traffic\":\"purple\",\"since\":\"2026-01-01T00:00:00Z\"}}",
            "is not used",
        ),
    ] {
        provider.kill();
        fs::write(&file, damage).unwrap();
        redis.kill();
        let before = provider.log().lines().len();
        provider.restart().await;
        // It guesses nothing from it.
        assert_eq!(serves_now(&provider).await, "503", "{damage}");
        redis.restart().await;
        redis.cli(&["SET", "active", "green"]).await;
        serves(&provider, "green").await;
        on_disk(&provider, "green").await;
        let lines = provider.log().lines().split_off(before);
        let count = lines.iter().filter(|line| line.contains(said)).count();
        assert_eq!(count, 1, "{damage}\n{}", provider.log());
    }
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_used_is_said_once() {
    let redis = Redis::start().await;
    let mut provider = provider(&redis).await;
    let dir = provider.state_dir();
    on_disk(&provider, "blue").await;

    // A file in its place; permissions would not stop a test that runs as root.
    provider.kill();
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&dir, "in the way").unwrap();
    provider.restart().await;
    assert_eq!(serves_now(&provider).await, "blue");
    for color in ["green", "blue"] {
        redis.cli(&["SET", "active", color]).await;
        serves(&provider, color).await;
    }
    logged(&provider, "can't be used", 1).await;
    logged(&provider, "ERROR", 1).await;

    // Once it can be used, it is: what it would tell of an earlier time is worse than nothing.
    fs::remove_file(&dir).unwrap();
    on_disk(&provider, "blue").await;
    logged(&provider, "on disk again", 1).await;

    // A directory in the place of the file.
    provider.kill();
    fs::remove_dir_all(&dir).unwrap();
    fs::create_dir_all(dir.join("traffic.json/in-the-way")).unwrap();
    provider.restart().await;
    for color in ["green", "blue", "green"] {
        redis.cli(&["SET", "active", color]).await;
        serves(&provider, color).await;
    }
    eventually("the failures are counted", SOON, async || {
        match metric(&provider, "bluegreen_disk_errors_total").await {
            errors @ ..2 => Err(errors),
            _ => Ok(()),
        }
    })
    .await;
    logged(&provider, "can't be read and is not used", 1).await;
    logged(&provider, "can't be written", 1).await;

    // It is tried again with the next change.
    fs::remove_dir_all(dir.join("traffic.json")).unwrap();
    redis.cli(&["SET", "active", "blue"]).await;
    on_disk(&provider, "blue").await;
    provider.log_contains("is on disk again").await;
}

/// To a provider without a memory a Redis that has lost everything looks like one that never knew anything.
#[tokio::test]
async fn a_provider_without_a_memory_asks_the_others_where_redis_lost_the_key() {
    let redis = Redis::start().await;
    let one = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    serves(&one, "green").await;
    redis.cli(&["FLUSHALL"]).await;
    has_problem(&one, "does not exist any more").await;
    eventually("it has reported again", SOON, async || {
        let report = redis.cli(&["HVALS", "{active}:instances"]).await;
        if report.contains("green") {
            Ok(())
        } else {
            Err(report)
        }
    })
    .await;

    let two = provider(&redis).await;
    assert_eq!(serves_now(&two).await, "green");
    assert_eq!(two.status().await["stacks"]["deals"]["source"], "providers");
}

/// The others may need a moment to find a Redis that is back, and to report to it.
#[tokio::test]
async fn a_provider_that_waited_for_redis_lets_the_others_report_first() {
    let mut redis = Redis::start().await;
    let one = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    serves(&one, "green").await;
    redis.kill();
    let two = provider(&redis).await;
    assert_eq!(two.get("/traefik").await.status, 503);
    redis.restart().await;
    serves(&two, "green").await;
    assert_eq!(two.log().count("never been set"), 0);
}

/// What can't be read is not nothing: the key may have been set before.
#[tokio::test]
async fn a_damaged_memory_and_a_key_that_is_gone_is_503_until_it_is_set() {
    let redis = Redis::start().await;
    let mut provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    on_disk(&provider, "green").await;
    provider.kill();
    fs::write(provider.state_dir().join("traffic.json"), "{garbage").unwrap();
    redis.cli(&["FLUSHALL"]).await;
    provider.restart().await;
    assert_eq!(provider.get("/traefik").await.status, 503);
    has_problem(&provider, "on disk can't be read").await;
    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
}
