//! What is not known: it is not what was never set, and leads to no guess.

use std::fs;

use super::*;
use crate::support::cli::Cli;

/// What makes it unknown whether a key was ever set, and what is said of it.
const UNKNOWN: [(&[&str], &str); 3] = [
    (
        &["SET", "{active}:history", "no stream"],
        "its history can't be read",
    ),
    (
        &["XADD", "{active}:history", "*", "to", "purple"],
        "the newest change in its history names no traffic",
    ),
    (
        &["SET", "{active}:instances", "no hash"],
        "what the providers serve can't be read",
    ),
];

#[tokio::test]
async fn a_key_that_is_gone_beside_what_cannot_be_read_is_503_until_it_is_set() {
    for (damage, said) in UNKNOWN {
        let redis = Redis::start().await;
        redis.cli(damage).await;
        let provider = provider(&redis).await;
        let witness = Witness::of(&provider).await;
        assert_eq!(serves_now(&provider).await, "503", "{damage:?}");
        has_problem(&provider, said).await;
        has_problem(&provider, "set the key").await;
        provider.log_contains(said).await;
        let valid = "bluegreen_key_valid{stack=\"deals\"}";
        assert_eq!(metric(&provider, valid).await, 0);

        redis.cli(&["SET", "active", "green"]).await;
        serves(&provider, "green").await;
        has_problem(&provider, "").await;
        witness.saw(&["503", "green"]).await;
    }
}

#[tokio::test]
async fn without_the_right_to_the_history_nothing_is_known_of_it() {
    let redis = Redis::start().await;
    redis
        .cli(&["XADD", "{active}:history", "*", "to", "green"])
        .await;
    let user = [
        "ACL",
        "SETUSER",
        "blind",
        "on",
        ">secret",
        "~*",
        "&*",
        "+@all",
        "-xrevrange",
    ];
    redis.cli(&user).await;
    let url = format!("redis://blind:secret@127.0.0.1:{}", redis.port());
    let provider = Options::new(&deals(), &url).start().await;
    assert_eq!(serves_now(&provider).await, "503");
    has_problem(&provider, "NOPERM").await;
    let status = Cli::new(&["status"]).store(&url).config(provider.config());
    let status = status.any_stdout().run().await;
    assert!(
        status.stdout.contains("its history can't be read"),
        "{status:?}"
    );

    redis.cli(&["ACL", "SETUSER", "blind", "+xrevrange"]).await;
    serves(&provider, "green").await;
    let deals = provider.status().await["stacks"]["deals"].clone();
    assert_eq!(deals["source"], "history");
}

#[tokio::test]
async fn a_folder_whose_history_cannot_be_understood_is_no_new_one() {
    for (file, content) in [
        ("{active}:history", b"\xff\xfe\n" as &[u8]),
        ("{active}:history", b"{\"at\":\n"),
        ("{active}:instances", b"{"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(file), content).unwrap();
        let url = format!("file:{}", dir.path().display());
        let provider = Options::new(&deals(), &url).start().await;
        assert_eq!(serves_now(&provider).await, "503", "{file}");
        fs::write(dir.path().join("active"), "green\n").unwrap();
        serves(&provider, "green").await;
    }
}

#[tokio::test]
async fn one_bad_entry_hides_no_other() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    super::history::recorded(&redis, 1).await;
    let mut connection = redis.connection().await;
    for (field, text) in [("why", b"caf\xe9" as &[u8]), ("to", b"gr\xfcn")] {
        let mut add = redis::cmd("XADD");
        add.arg("{active}:history").arg("*");
        add.arg("from").arg("blue").arg("by").arg(b"\xff@host");
        if field != "to" {
            add.arg("to").arg("green");
        }
        let () = add
            .arg(field)
            .arg(text)
            .query_async(&mut connection)
            .await
            .unwrap();
    }
    let history = Cli::new(&["history", "--json"]).of(&provider).any_stdout();
    let json = history.run().await.json();
    let entries = json["history"].as_array().unwrap();
    assert_eq!(entries.len(), 3, "{json}");
    assert_eq!(entries[0]["to"], "gr\u{fffd}n");
    assert_eq!(entries[1]["why"], "caf\u{fffd}");
    assert_eq!(entries[2]["by"], "outside");

    let rollback = Cli::new(&["rollback", "--no-wait"]).of(&provider);
    rollback.any_stdout().any_stderr().run().await;
    serves(&provider, "blue").await;
}

/// Stops one of two providers during a change, and has Redis lose everything.
async fn one_that_missed_a_change(redis: &Redis) -> (Provider, Provider) {
    let (mut old, living) = (provider(redis).await, provider(redis).await);
    redis.cli(&["SET", "active", "blue"]).await;
    status_says(&old, "the key says so", |status| {
        status["stacks"]["deals"]["source"] == "store"
    })
    .await;
    assert!(old.terminate().await.success());
    redis.cli(&["SET", "active", "green"]).await;
    serves(&living, "green").await;
    (old, living)
}

#[tokio::test]
async fn what_the_others_serve_goes_before_a_stale_disk() {
    let redis = Redis::start().await;
    let (mut old, living) = one_that_missed_a_change(&redis).await;
    redis.cli(&["FLUSHALL"]).await;
    has_problem(&living, "does not exist any more").await;
    old.restart().await;
    let witness = Witness::of(&old).await;
    serves(&old, "green").await;
    let deals = old.status().await["stacks"]["deals"].clone();
    assert_eq!(deals["source"], "providers");
    has_problem(&old, "does not exist any more").await;
    let seen = witness.seen.lock().unwrap().clone();
    assert!(!seen.contains(&"blue".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn who_serves_from_a_stale_disk_follows_the_others_as_soon_as_they_are_heard_of() {
    let mut redis = Redis::start().await;
    let (mut old, living) = one_that_missed_a_change(&redis).await;
    redis.kill();
    connected(&living, false).await;
    old.restart().await;
    let witness = Witness::of(&old).await;
    assert_eq!(serves_now(&old).await, "blue");
    redis.restart().await;
    serves(&old, "green").await;
    serves(&living, "green").await;
    witness.saw(&["blue", "green"]).await;
}

#[tokio::test]
async fn a_problem_that_is_over_is_shown_no_more() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    redis.cli(&["SET", "active", "purple"]).await;
    has_problem(&provider, "`purple`").await;
    redis.cli(&["DEL", "active"]).await;
    has_problem(&provider, "").await;
    let valid = "bluegreen_key_valid{stack=\"deals\"}";
    assert_eq!(metric(&provider, valid).await, 1);
    assert_eq!(serves_now(&provider).await, "blue");
}

#[tokio::test]
async fn a_change_of_hundreds_of_stacks_at_once_is_in_the_history_of_each() {
    const STACKS: usize = 300;
    let redis = Redis::start().await;
    let names: Vec<_> = (0..STACKS).map(|n| format!("s{n}")).collect();
    let stacks: Vec<_> = names.iter().map(|name| (&**name, &**name)).collect();
    let provider = Options::new(&config_of(&stacks), &redis.url())
        .start()
        .await;
    stack_serves(&provider, "s0", "blue").await;
    let mut connection = redis.connection().await;
    let mut set = redis::cmd("MSET");
    for name in &names {
        set.arg(name).arg("green");
    }
    let () = set.query_async(&mut connection).await.unwrap();
    let within = Duration::from_secs(30);
    eventually("each has one change", within, async || {
        let mut lengths = redis::pipe();
        for name in &names {
            lengths.cmd("XLEN").arg(format!("{{{name}}}:history"));
        }
        let lengths: Vec<usize> = lengths.query_async(&mut connection.clone()).await.unwrap();
        match lengths.iter().filter(|length| **length == 1).count() {
            STACKS => Ok(()),
            some => Err(some),
        }
    })
    .await;
}

#[tokio::test]
async fn in_whatever_order_it_names_its_colors_a_traffic_is_the_same() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green:10,blue:90"]).await;
    super::history::recorded(&redis, 1).await;
    serves(&provider, "blue:90,green:10").await;
    redis.cli(&["SET", "active", "blue:90,green:10"]).await;
    reads(&redis, 2).await;
    assert_eq!(redis.cli(&["XLEN", "{active}:history"]).await, "1");
    assert_eq!(
        metric(&provider, "bluegreen_traffic_changes_total").await,
        1
    );
    let deals = provider.status().await["stacks"]["deals"].clone();
    assert_eq!(deals["traffic"], "blue:90,green:10");
}

/// The hosts' clocks need not agree: which of two is newer is told by the store's.
#[tokio::test]
async fn a_change_counts_by_the_clock_of_the_store() {
    let redis = Redis::start().await;
    let mut provider = provider(&redis).await;
    redis.cli(&["SET", "active", "blue"]).await;
    status_says(&provider, "the key says so", |status| {
        status["stacks"]["deals"]["source"] == "store"
    })
    .await;
    assert!(provider.terminate().await.success());
    // By an operator whose clock is years behind.
    let change = "XADD {active}:history * at 2020-01-01T00:00:00Z from blue to green by a@b why x";
    redis.cli(&change.split(' ').collect::<Vec<_>>()).await;
    redis.cli(&["DEL", "active"]).await;
    provider.restart().await;
    assert_eq!(serves_now(&provider).await, "green");
}
