//! What nobody renews any more ends, whatever clock or lifetime it was given.

use bluegreen::lease::{LASTS, Lease};
use bluegreen::store::Session;

use super::answers::{lease, session};
use super::*;
use crate::support::redis::Redis;

const LEASE: &str = "{active}:lease";

async fn take(session: &mut Session) -> Option<Lease> {
    let held = lease("flip green");
    session.take_lease("active", &held).await.unwrap()
}

#[tokio::test]
async fn a_lease_that_does_not_run_out_lasts_no_longer_than_any_other() {
    let redis = Redis::start().await;
    let mut session = session(&redis.url()).await;
    let other = lease("flip blue");
    assert_eq!(session.take_lease("active", &other).await.unwrap(), None);
    let expected = serde_json::to_string(&other).unwrap();
    for command in [
        &["PERSIST", LEASE][..],
        &["EXPIRE", LEASE, "86400"],
        &["SET", LEASE, &expected],
    ] {
        redis.cli(command).await;
        let kept = session.rollout_of("active").await.unwrap().unwrap();
        assert_eq!(
            kept.lease, None,
            "{command:?}: who looks can try to take it"
        );
        assert_eq!(
            take(&mut session).await.as_ref(),
            Some(&other),
            "{command:?}"
        );
        let left: i64 = redis.cli(&["PTTL", LEASE]).await.parse().unwrap();
        let most = i64::try_from(LASTS.as_millis()).unwrap();
        assert!((1..=most).contains(&left), "{command:?}: {left} ms");
        let kept = session.rollout_of("active").await.unwrap().unwrap();
        assert_eq!(kept.lease.as_ref(), Some(&other), "{command:?}");
    }
    // It is not made to last longer by who asks.
    redis.cli(&["PEXPIRE", LEASE, "2000"]).await;
    take(&mut session).await.unwrap();
    let left: i64 = redis.cli(&["PTTL", LEASE]).await.parse().unwrap();
    assert!(left <= 2000, "{left} ms");
    // Bytes that are no text are somebody's, for as long.
    let binary = "redis.call('SET', KEYS[1], string.char(255, 254))";
    redis.cli(&["EVAL", binary, "1", LEASE]).await;
    assert_eq!(take(&mut session).await.unwrap().by, "somebody");
    // What is no string is nobody's.
    redis.cli(&["DEL", LEASE]).await;
    redis.cli(&["LPUSH", LEASE, "x"]).await;
    assert_eq!(take(&mut session).await, None);
    assert!(redis.cli(&["GET", LEASE]).await.contains("flip green"));
}

/// Redis's clock was set back by an hour while the provider was dead.
#[tokio::test]
async fn a_report_from_the_future_is_that_of_a_provider_that_stopped() {
    let redis = Redis::start().await;
    let mut dead = Options::new(&deals(), &redis.url()).start().await;
    let mut session = session(&redis.url()).await;
    let reports = async |session: &mut Session| session.reports("active").await.unwrap();
    eventually("it reports", SOON, async || {
        let mut own = super::answers::session(&redis.url()).await;
        match reports(&mut own).await.len() {
            1 => Ok(()),
            count => Err(count),
        }
    })
    .await;
    dead.kill();
    let later = "
        for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
          local at, json = string.match(redis.call('HGET', KEYS[1], field), '^(%d+) (.*)$')
          redis.call('HSET', KEYS[1], field, string.format('%d', at + 3600000) .. ' ' .. json)
        end";
    redis.cli(&["EVAL", later, "1", "{active}:instances"]).await;
    let found = reports(&mut session).await;
    assert_eq!(found.len(), 1);
    assert!(!found[0].runs(), "{found:?}");

    let alive = Options::new(&deals(), &redis.url()).start().await;
    Cli::new(&["flip", "green", "--no-verify", "--timeout=8s"])
        .of(&alive)
        .any_stdout()
        .any_stderr()
        .run()
        .await;
    serves(&alive, "green").await;
}
