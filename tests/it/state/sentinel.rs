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
