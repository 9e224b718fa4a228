//! What a real Redis answers instead of doing what it was asked: that it is as good as away, that it refuses for now, or
//! for good. Whatever it is, nothing was written.

use std::fs;

use bluegreen::history::Entry;
use bluegreen::lease::Lease;
use bluegreen::store::{Outcome, Reading, Session, Store, StoreError};

use super::*;
use crate::support::port::free_port;
use crate::support::redis::Redis;

/// What it meant for a write.
#[derive(Debug, PartialEq)]
enum Meant {
    Away,
    RefusedForNow,
    Refused,
}

pub(super) fn entry(to: &str) -> Entry {
    Entry {
        at: jiff::Timestamp::now(),
        from: "blue".to_owned(),
        to: to.to_owned(),
        by: "a test".to_owned(),
        why: String::new(),
    }
}

pub(super) fn lease(what: &str) -> Lease {
    Lease::new("ann@here".to_owned(), what.to_owned())
}

pub(super) async fn session(url: &str) -> Session {
    let store: Store = url.parse().unwrap();
    store.connect("active").await.unwrap()
}

/// Sets the key, which must fail in this way and with this code.
async fn refused(url: &str, code: &str, expected: Meant) {
    let missing = Reading::Missing;
    let error = session(url)
        .await
        .set("active", &missing, &entry("green"))
        .await;
    let meant = match &error {
        Err(StoreError::Unreachable(_)) => Meant::Away,
        Err(StoreError::Refused(refusal)) if refusal.may_pass => Meant::RefusedForNow,
        Err(StoreError::Refused(_)) => Meant::Refused,
        other => panic!("{code}: {other:?}"),
    };
    assert_eq!(meant, expected, "{error:?}");
    let said = error.unwrap_err().to_string();
    assert!(
        said.starts_with(code) && !said.contains("user_script"),
        "{code}: {said}"
    );
}

/// Reads all that there is to read, which must say that the store is away, for this reason.
async fn away(url: &str, code: &str) {
    let keys = ["active".to_owned()];
    let mut session = session(url).await;
    let errors = [
        session.read(&keys).await.map(drop).unwrap_err(),
        session.history("active", 1).await.map(drop).unwrap_err(),
        session.reports("active").await.map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
        assert!(error.to_string().starts_with(code), "{error}");
    }
}

/// Sets the key, as it is possible again; nothing was written before.
async fn taken(redis: &Redis) {
    let mut session = session(&redis.url()).await;
    let (missing, entry) = (Reading::Missing, entry("green"));
    let set = session.set("active", &missing, &entry).await.unwrap();
    assert_eq!(set, Outcome::Set);
    assert_eq!(redis.cli(&["XLEN", "{active}:history"]).await, "1");
    redis.cli(&["FLUSHALL"]).await;
}

#[tokio::test]
async fn a_refusal_is_known_and_says_whether_it_may_pass() {
    let redis = Redis::start().await;
    let url = redis.url();
    let config = async |name: &str, value: &str| {
        assert_eq!(redis.cli(&["CONFIG", "SET", name, value]).await, "OK");
    };

    config("maxmemory", "1").await;
    refused(&url, "OOM", Meant::RefusedForNow).await;
    config("maxmemory", "0").await;
    taken(&redis).await;

    config("min-replicas-to-write", "1").await;
    refused(&url, "NOREPLICAS", Meant::RefusedForNow).await;
    config("min-replicas-to-write", "0").await;
    taken(&redis).await;

    // Its dump can't be written.
    config("save", "3600 1").await;
    let dir = redis.cli(&["CONFIG", "GET", "dir"]).await;
    let dump = PathBuf::from(dir.lines().last().unwrap()).join("dump.rdb");
    fs::create_dir(&dump).unwrap();
    redis.try_cli(&["BGSAVE"]).await.ok();
    eventually("the dump fails", SOON, async || {
        let info = redis.cli(&["INFO", "persistence"]).await;
        if info.contains("rdb_last_bgsave_status:err") {
            Ok(())
        } else {
            Err(info)
        }
    })
    .await;
    refused(&url, "MISCONF", Meant::RefusedForNow).await;
    config("save", "").await;
    taken(&redis).await;

    let port = free_port().to_string();
    redis.cli(&["REPLICAOF", "127.0.0.1", &port]).await;
    refused(&url, "READONLY", Meant::RefusedForNow).await;
    config("replica-serve-stale-data", "no").await;
    refused(&url, "MASTERDOWN", Meant::Away).await;
    away(&url, "MASTERDOWN").await;
    redis.cli(&["REPLICAOF", "NO", "ONE"]).await;
    taken(&redis).await;

    redis.cli(&["SET", "active", "blue"]).await;
    let rights = ["~*", "+hello", "+get", "+eval"];
    let user = [&["ACL", "SETUSER", "watcher", "on", ">secret"], &rights[..]].concat();
    assert_eq!(redis.cli(&user).await, "OK");
    let as_watcher = url.replace("redis://", "redis://watcher:secret@");
    let mut session = session(&as_watcher).await;
    let (blue, green) = (Reading::Value(b"blue".into()), entry("green"));
    let error = session.set("active", &blue, &green).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused(refusal) if !refusal.may_pass),
        "{error:?}"
    );
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue");
    // A key that can't be read holds no wrong type.
    redis.cli(&["ACL", "SETUSER", "watcher", "-get"]).await;
    refused(&as_watcher, "ERR The user", Meant::Refused).await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue");
}

#[tokio::test]
async fn a_server_that_serves_nobody_now_is_away() {
    let redis = Redis::start_with(&["--busy-reply-threshold", "20"]).await;
    let endless = redis.try_cli(&["EVAL", "while true do end", "0"]);
    let meanwhile = async {
        eventually("the script runs", SOON, async || {
            match redis.try_cli(&["GET", "active"]).await {
                Err(error) if error.contains("BUSY") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        refused(&redis.url(), "BUSY", Meant::Away).await;
        away(&redis.url(), "BUSY").await;
        redis.cli(&["SCRIPT", "KILL"]).await;
    };
    tokio::join!(endless, meanwhile).0.unwrap_err();
    taken(&redis).await;

    // A node of a cluster that does not know who has the slots.
    let alone = Redis::start_with(&["--cluster-enabled", "yes"]).await;
    let store: Store = alone.url().parse().unwrap();
    let error = store.connect("active").await.map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    assert!(error.to_string().starts_with("CLUSTERDOWN"), "{error}");
}

#[tokio::test]
async fn a_server_that_still_loads_its_data_is_away() {
    let mut redis = Redis::start().await;
    let fill = "for i = 1, 5000 do redis.call('SET', 'filler:' .. i, string.rep('x', 100)) end";
    redis.cli(&["EVAL", fill, "0"]).await;
    redis.restart_loading().await;
    refused(&redis.url(), "LOADING", Meant::Away).await;
    away(&redis.url(), "LOADING").await;
}
