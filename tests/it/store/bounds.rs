//! What is far too long for a value or a history is not read, by whatever asks for it; and its next change is told.

use bluegreen::store::{Changed, KeyState, Outcome, Reading, Session, StoreError};

use super::answers::{entry, session};
use super::*;
use crate::support::redis::Redis;

const HUGE: usize = 64 << 20;

async fn read(session: &mut Session) -> KeyState {
    session.read_one("active").await.unwrap()
}

/// Makes the key hold a huge string.
async fn make_huge(redis: &Redis) {
    let last = (HUGE - 1).to_string();
    let length = redis.cli(&["SETRANGE", "active", &last, "x"]).await;
    assert_eq!(length, HUGE.to_string());
}

#[tokio::test]
async fn whatever_a_key_holds_its_next_change_is_told() {
    let redis = Redis::start().await;
    let mut session = session(&redis.url()).await;
    let wrong = || Reading::WrongType("the key holds no string".to_owned());
    assert_eq!(read(&mut session).await.reading, Reading::Missing);
    for (command, expected) in [
        (&["SET", "active", ""][..], Reading::Value(Vec::new())),
        (&["SET", "active", "green"], Reading::Value("green".into())),
        (&["DEL", "active"], Reading::Missing),
        (&["LPUSH", "active", "green"], wrong()),
        (&["DEL", "active"], Reading::Missing),
        (&["SETRANGE", "active", "4096", "x"], Reading::TooLong(4097)),
        (&["SET", "active", "7"], Reading::Value("7".into())),
    ] {
        redis.cli(command).await;
        let changed = tokio::time::timeout(SOON, session.changed()).await;
        let changed = changed.unwrap_or_else(|_| panic!("{command:?} is not told"));
        assert!(matches!(changed.unwrap(), Changed::Names(names) if names.contains("active")));
        assert_eq!(read(&mut session).await.reading, expected, "{command:?}");
    }
    let longest = "x".repeat(4096);
    redis.cli(&["SET", "active", &longest]).await;
    let expected = Reading::Value(longest.into());
    assert_eq!(read(&mut session).await.reading, expected);
}

#[tokio::test]
async fn a_huge_value_is_named_and_never_read() {
    let redis = Redis::start().await;
    let provider = Options::new(&deals(), &redis.url()).start().await;
    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    make_huge(&redis).await;
    has_problem(&provider, &format!("has {HUGE} bytes")).await;
    crate::state::reads(&redis, 2).await;
    Cli::new(&["status"])
        .of(&provider)
        .stdout("far too long")
        .run()
        .await;

    let mut session = session(&redis.url()).await;
    let conflict = session
        .set("active", &Reading::Missing, &entry("blue"))
        .await;
    let huge = Reading::TooLong(HUGE as u64);
    assert_eq!(conflict.unwrap(), Outcome::Conflict(huge.clone()));
    let sent = redis.cli(&["INFO", "stats"]).await;
    let sent = sent
        .lines()
        .find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    let sent: usize = sent.unwrap().trim().parse().unwrap();
    assert!(sent < 1 << 20, "{sent} bytes were read");
    // And out of it.
    let set = session.set("active", &huge, &entry("blue")).await;
    assert_eq!(set.unwrap(), Outcome::Set);
    serves(&provider, "blue").await;
}

#[tokio::test]
async fn a_huge_entry_of_the_history_is_not_read() {
    let redis = Redis::start().await;
    let mut session = session(&redis.url()).await;
    let history = "{active}:history";
    let set = session
        .set("active", &Reading::Missing, &entry("green"))
        .await;
    assert_eq!(set.unwrap(), Outcome::Set);
    let newest = read(&mut session).await.newest.unwrap().unwrap();
    assert_eq!(newest.entry.to, "green");
    let add = "return redis.call('XADD', KEYS[1], '*', 'to', 'blue', 'why', string.rep(string.rep('x', 1024), 8192))";
    let id = redis.cli(&["EVAL", add, "1", history]).await;
    // As by a provider that starts now: what is on the way when it is written may be read once.
    let mut session = super::answers::session(&redis.url()).await;
    for _ in 0..2 {
        let state = read(&mut session).await;
        assert_eq!(state.reading, Reading::Value("green".into()));
        let why = state.newest.unwrap_err().to_string();
        assert!(why.contains("no history is that large"), "{why}");
    }
    let error = session.history("active", 1).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(_)), "{error:?}");
    assert!(
        error.to_string().starts_with("`{active}:history` has"),
        "{error}"
    );

    redis.cli(&["XDEL", history, &id]).await;
    let changed = tokio::time::timeout(SOON, session.changed()).await;
    assert!(changed.unwrap().unwrap().concerns("active"));
    let newest = read(&mut session).await.newest.unwrap().unwrap();
    assert_eq!(newest.entry.to, "green");
    assert_eq!(session.history("active", 9).await.unwrap().len(), 1);
}

/// As by the README's lines of an earlier version.
#[tokio::test]
async fn without_the_rights_to_ask_for_lengths_all_is_read() {
    let redis = Redis::start().await;
    let rights = [
        "+hello",
        "+get",
        "+set",
        "+eval",
        "+xrevrange",
        "+xadd",
        "+hgetall",
        "+time",
        "+client|tracking",
    ];
    let user = [
        &["ACL", "SETUSER", "old", "on", ">secret", "~*"],
        &rights[..],
    ]
    .concat();
    assert_eq!(redis.cli(&user).await, "OK");
    let mut session = session(&redis.url().replace("redis://", "redis://old:secret@")).await;
    assert_eq!(read(&mut session).await.reading, Reading::Missing);
    let set = session
        .set("active", &Reading::Missing, &entry("green"))
        .await;
    assert_eq!(set.unwrap(), Outcome::Set);
    let state = read(&mut session).await;
    assert_eq!(state.reading, Reading::Value("green".into()));
    assert_eq!(state.newest.unwrap().unwrap().entry.to, "green");
    assert_eq!(session.history("active", 9).await.unwrap().len(), 1);
    redis.cli(&["SETRANGE", "active", "9999", "x"]).await;
    assert_eq!(read(&mut session).await.reading, Reading::TooLong(10_000));
}
