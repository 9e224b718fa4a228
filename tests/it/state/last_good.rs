//! Values that are none: the last good traffic stands.

use redis::{Pipeline, pipe};

use super::*;

/// A megabyte, as somebody's cache might write it into the wrong key.
const MEGABYTE: usize = 1 << 20;

/// What happens to a key, by the name of the stack whose key it is; and what is said of it.
fn damages() -> Vec<(&'static str, Pipeline, &'static str)> {
    let set = |key, value: &[u8]| pipe().set(key, value).clone();
    // In one step, so that no reader sees the key away for a moment.
    let list = pipe().atomic().del("list").rpush("list", "green").clone();
    let garbage: Vec<u8> = (0..MEGABYTE).map(|n| (n * 7 % 251) as u8).collect();
    vec![
        ("binary", set("binary", b"\xff\xfe\x00green"), "is not text"),
        (
            "deleted",
            pipe().del("deleted").clone(),
            "does not exist any more",
        ),
        ("empty", set("empty", b""), "the value is empty"),
        (
            "expired",
            pipe().pexpire("expired", 1).clone(),
            "does not exist any more",
        ),
        ("huge", set("huge", &garbage), "has 1048576 bytes"),
        ("list", list, "holds no string"),
        (
            "purple",
            set("purple", b"purple"),
            "`purple` is not a color",
        ),
        (
            "renamed",
            pipe().rename("renamed", "elsewhere").clone(),
            "does not exist any more",
        ),
        ("zero", set("zero", b"blue:0,green:0"), "every weight is 0"),
    ]
}

#[tokio::test]
async fn the_last_good_traffic_stands_until_an_explicit_set() {
    let redis = Redis::start().await;
    let names: Vec<_> = damages()
        .into_iter()
        .map(|(name, ..)| (name, name))
        .collect();
    let mut connection = redis.connection().await;
    for (key, _) in &names {
        let set: () = pipe()
            .set(*key, "green")
            .query_async(&mut connection)
            .await
            .unwrap();
        set
    }
    let provider = Options::new(&config_of(&names), &redis.url()).start().await;
    let before = provider.get("/traefik").await;
    assert_eq!(served(&before, "deleted"), "green");

    for (_, damage, _) in damages() {
        let _: Value = damage
            .query_async::<redis::Value>(&mut connection)
            .await
            .map(|_| Value::Null)
            .unwrap();
    }
    let status = status_says(&provider, "every key has its problem", |status| {
        damages().iter().all(|(stack, _, problem)| {
            let said = status["stacks"][*stack]["problem"].as_str();
            said.is_some_and(|said| said.contains(problem))
        })
    })
    .await;
    assert_eq!(status["store"]["connected"], true);

    // Read again and again, said once.
    let stacks = names.len() as u64;
    reads(&redis, 3 * stacks).await;
    let lines = provider.log().lines();
    for (stack, _, problem) in damages() {
        let of_stack = format!("stack=\"{stack}\"");
        let said: Vec<_> = lines
            .iter()
            .filter(|line| line.contains(&of_stack) && line.contains(problem))
            .collect();
        assert_eq!(said.len(), 1, "{stack}: {said:?}\n{}", provider.log());
        assert!(said[0].len() < 500, "{said:?}");
        assert_eq!(status["stacks"][stack]["traffic"], "green");
        let valid = format!("bluegreen_key_valid{{stack=\"{stack}\"}}");
        assert_eq!(metric(&provider, &valid).await, 0);
    }
    assert_eq!(
        metric(&provider, "bluegreen_unusable_values_total").await,
        stacks
    );
    assert_eq!(provider.get("/traefik").await.body, before.body);

    for (stack, _) in &names {
        redis.cli(&["SET", stack, "blue"]).await;
        stack_serves(&provider, stack, "blue").await;
        let valid = format!("bluegreen_key_valid{{stack=\"{stack}\"}}");
        assert_eq!(metric(&provider, &valid).await, 1);
    }
    logged(&provider, "holds a traffic value now", names.len()).await;
}

#[tokio::test]
async fn flushall_moves_nothing() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    let witness = Witness::of(&provider).await;

    redis.cli(&["FLUSHALL"]).await;
    has_problem(&provider, "does not exist any more").await;
    reads(&redis, 3).await;
    logged(&provider, "holds no traffic value", 1).await;
    assert_eq!(
        metric(&provider, "bluegreen_unusable_values_total").await,
        1
    );
    assert_eq!(metric(&provider, "bluegreen_store_connected").await, 1);

    // The same value again moves nothing either, and ends the problem.
    redis.cli(&["SET", "active", "green"]).await;
    has_problem(&provider, "").await;
    redis.cli(&["SET", "active", "blue"]).await;
    serves(&provider, "blue").await;
    witness.saw(&["green", "blue"]).await;
}

#[tokio::test]
async fn each_other_problem_is_said_and_each_return() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    for _ in 0..2 {
        redis.cli(&["SET", "active", "purple"]).await;
        has_problem(&provider, "`purple`").await;
        redis.cli(&["SET", "active", "pink"]).await;
        has_problem(&provider, "`pink`").await;
        redis.cli(&["SET", "active", "blue"]).await;
        has_problem(&provider, "").await;
    }
    logged(&provider, "holds no traffic value", 4).await;
    logged(&provider, "holds a traffic value now", 2).await;
    assert_eq!(
        metric(&provider, "bluegreen_unusable_values_total").await,
        4
    );
    assert_eq!(
        metric(&provider, "bluegreen_traffic_changes_total").await,
        0
    );
}
