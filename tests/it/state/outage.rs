//! A Redis that dies, hangs, forgets or is swapped under the provider.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const LOST: &str = "the store can't be reached";
const BACK: &str = "the store is back";

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_empty_moves_nothing() {
    let mut redis = Redis::start().await;
    let provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    let witness = Witness::of(&provider).await;

    redis.kill();
    connected(&provider, false).await;
    assert_eq!(provider.get("/readyz").await.status, 200);
    assert_eq!(metric(&provider, "bluegreen_store_connected").await, 0);
    // It goes on trying, and says so once.
    let what = "several tries";
    eventually(what, SOON, async || {
        match metric(&provider, "bluegreen_store_errors_total").await {
            errors @ ..5 => Err(errors),
            _ => Ok(()),
        }
    })
    .await;
    logged(&provider, LOST, 1).await;
    let error = provider.status().await["store"]["error"].clone();
    assert!(error.is_string(), "{error}");

    redis.restart().await;
    connected(&provider, true).await;
    has_problem(&provider, "does not exist any more").await;
    redis.cli(&["SET", "active", "blue"]).await;
    serves(&provider, "blue").await;
    logged(&provider, LOST, 1).await;
    logged(&provider, BACK, 1).await;
    witness.saw(&["green", "blue"]).await;
}

#[tokio::test]
async fn a_set_that_waits_in_a_stopped_redis_is_followed_once_it_runs() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    let witness = Witness::of(&provider).await;
    let mut other = TcpStream::connect(("127.0.0.1", redis.port()))
        .await
        .unwrap();

    redis.stop();
    other.write_all(b"SET active green\r\n").await.unwrap();
    connected(&provider, false).await;
    assert_eq!(serves_now(&provider).await, "blue");

    redis.cont();
    let mut reply = [0; 5];
    other.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply, b"+OK\r\n");
    serves(&provider, "green").await;
    connected(&provider, true).await;
    witness.saw(&["blue", "green"]).await;
    logged(&provider, LOST, 1).await;
}

#[tokio::test]
async fn connections_that_are_killed_are_made_anew() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    let witness = Witness::of(&provider).await;
    let mut expected = vec!["blue"];
    for color in ["green", "blue", "green"] {
        redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        redis.cli(&["SET", "active", color]).await;
        witness.sees(color).await;
        expected.push(color);
    }
    connected(&provider, true).await;
    witness.saw(&expected).await;
    // And they are told of changes again, faster than by the read once a second.
    let mut connection = redis.connection().await;
    let pushed = Instant::now();
    for color in ["blue", "green"].repeat(5) {
        let _: () = redis::cmd("SET")
            .arg("active")
            .arg(color)
            .query_async(&mut connection)
            .await
            .unwrap();
        serves(&provider, color).await;
    }
    let took = pushed.elapsed();
    assert!(took < Duration::from_secs(4), "10 changes took {took:?}");
}

#[tokio::test]
async fn a_paused_redis_is_given_up_and_found_again() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    let witness = Witness::of(&provider).await;

    redis.cli(&["CLIENT", "PAUSE", "2500", "ALL"]).await;
    connected(&provider, false).await;
    assert_eq!(serves_now(&provider).await, "green");
    // Waits in Redis until the pause is over.
    redis.cli(&["SET", "active", "blue"]).await;
    serves(&provider, "blue").await;
    connected(&provider, true).await;
    logged(&provider, LOST, 1).await;
    witness.saw(&["green", "blue"]).await;
}

#[tokio::test]
async fn swapdb_is_found_without_a_push() {
    let redis = Redis::start().await;
    redis.cli(&["SET", "active", "blue"]).await;
    redis.cli(&["-n", "1", "SET", "active", "green"]).await;
    let provider = provider(&redis).await;
    let witness = Witness::of(&provider).await;

    let swapped = Instant::now();
    redis.cli(&["SWAPDB", "0", "1"]).await;
    serves(&provider, "green").await;
    let took = swapped.elapsed();
    assert!(took < Duration::from_millis(2500), "{took:?}");
    // Back to a database in which the key never was.
    redis.cli(&["SWAPDB", "0", "2"]).await;
    has_problem(&provider, "does not exist any more").await;
    witness.saw(&["blue", "green"]).await;
}

#[tokio::test]
async fn a_redis_that_restarts_with_another_value_is_followed() {
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut redis = Redis::start_with(&durable).await;
    redis.cli(&["SET", "active", "blue"]).await;
    let provider = provider(&redis).await;
    serves(&provider, "blue").await;

    // It has no chance to see the change before the connection breaks.
    provider.stop();
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    redis.cli(&["SET", "active", "green"]).await;
    redis.restart().await;
    provider.cont();
    serves(&provider, "green").await;

    // One that restarts with the same value is nothing new.
    redis.restart().await;
    eventually("the store is back", SOON, async || {
        match provider.log().count(BACK) {
            2.. => Ok(()),
            count => Err(count),
        }
    })
    .await;
    assert_eq!(serves_now(&provider).await, "green");
    has_problem(&provider, "").await;
    assert_eq!(
        metric(&provider, "bluegreen_traffic_changes_total").await,
        1
    );
    super::history::recorded(&redis, 1).await;
}
