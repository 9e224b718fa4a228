//! Redis found through Sentinel: a failover is followed.

use super::*;
use crate::support::sentinel::{Sentinel, is_primary, replicated};

#[tokio::test]
async fn a_set_on_the_new_primary_is_followed() {
    let (first, second) = replicated().await;
    // The first one hangs: it must not hide the other.
    let (hung, sentinel) = (
        Sentinel::start(first.port(), 1),
        Sentinel::start(first.port(), 1),
    );
    hung.process.signal("STOP");
    sentinel.knows_a_replica().await;
    first.cli(&["SET", "active", "green"]).await;
    let url = format!(
        "redis+sentinel://127.0.0.1:{},127.0.0.1:{}/bluegreen",
        hung.port, sentinel.port
    );
    let provider = Options::new(&deals(), &url).start().await;
    serves(&provider, "green").await;
    let witness = Witness::of(&provider).await;

    eventually("the failover begins", Duration::from_secs(10), async || {
        sentinel.ask(&["FAILOVER", "bluegreen"]).await
    })
    .await;
    is_primary(&second).await;
    second.cli(&["SET", "active", "blue"]).await;
    serves(&provider, "blue").await;
    connected(&provider, true).await;

    witness.saw(&["green", "blue"]).await;
}

#[tokio::test]
async fn silent_sentinels_hold_up_no_change() {
    let redis = Redis::start().await;
    let sentinel = Sentinel::start(redis.port(), 1);
    let url = format!("redis+sentinel://127.0.0.1:{}/bluegreen", sentinel.port);
    let provider = Options::new(&deals(), &url).start().await;
    serves(&provider, "blue").await;
    sentinel.process.signal("STOP");
    let mut connection = redis.connection().await;
    let began = std::time::Instant::now();
    let mut changes = 0;
    // Over several seconds, in each of which they are asked, and don't answer for a second.
    while began.elapsed() < Duration::from_secs(3) {
        for color in ["green", "blue"] {
            let set = ::redis::cmd("SET").arg("active").arg(color).to_owned();
            let () = set.query_async(&mut connection).await.unwrap();
            serves(&provider, color).await;
            changes += 1;
        }
    }
    // A second for each question would leave time for a few.
    assert!(changes >= 20, "{changes} changes in 3 s");
    sentinel.process.signal("CONT");
}
