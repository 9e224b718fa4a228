//! A change from outside is in the history, once.

use super::*;
use crate::support::cli::Cli;

/// Waits until the history has this many changes.
pub(super) async fn recorded(redis: &Redis, changes: usize) {
    eventually("the history has it", SOON, async || {
        let count = redis.cli(&["XLEN", "{active}:history"]).await;
        if count == changes.to_string() {
            Ok(())
        } else {
            Err(count)
        }
    })
    .await;
}

/// Waits until this many providers have reported that they serve this traffic. What they have to write into the
/// history they write before.
async fn reported(redis: &Redis, providers: usize, traffic: &str) {
    let text = format!("\"traffic\":\"{traffic}\"");
    eventually("the providers have reported", SOON, async || {
        let all = redis.cli(&["HVALS", "{active}:instances"]).await;
        let count = all.matches(&text).count();
        if count == providers { Ok(()) } else { Err(all) }
    })
    .await;
}

/// The history of the stack `deals`, the newest first, as `(from, to, by)`.
async fn history(provider: &Provider) -> Vec<[String; 3]> {
    let cli = Cli::new(&["history", "--json"]).of(provider).any_stdout();
    let json = cli.run().await.json();
    let entries = json["history"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries
        .map(|entry| [text(&entry["from"]), text(&entry["to"]), text(&entry["by"])])
        .collect()
}

#[tokio::test]
async fn a_change_is_there_once_however_many_providers_watch() {
    let redis = Redis::start().await;
    let (one, two) = (provider(&redis).await, provider(&redis).await);

    redis.cli(&["SET", "active", " green\n"]).await;
    reported(&redis, 2, "green").await;
    assert_eq!(history(&one).await, [["blue", "green", "outside"]]);

    let flip = Cli::new(&[
        "flip",
        "blue",
        "--no-verify",
        "--no-wait",
        "--why",
        "a drill",
    ]);
    flip.of(&one).any_stdout().any_stderr().run().await;
    reported(&redis, 2, "blue").await;
    let entries = history(&two).await;
    assert_eq!(entries.len(), 2, "{entries:?}");
    assert_eq!(entries[0][..2], ["green", "blue"]);
    assert!(entries[0][2].contains('@'), "{entries:?}");
    for provider in [&one, &two] {
        let deals = provider.status().await["stacks"]["deals"].clone();
        assert_eq!(deals["by"], entries[0][2]);
    }

    redis.cli(&["SET", "active", "blue:1,green:1"]).await;
    reported(&redis, 2, "blue:1,green:1").await;
    let rollback = Cli::new(&["rollback", "--no-wait"]).of(&two);
    rollback.any_stdout().any_stderr().run().await;
    reported(&redis, 2, "blue").await;
    let entries = history(&one).await;
    assert_eq!(entries.len(), 4, "{entries:?}");
    assert_eq!(entries[1], ["blue", "blue:1,green:1", "outside"]);
}

/// What Redis tells of must be taken, or it piles up.
#[tokio::test]
async fn the_connection_that_only_writes_is_told_of_no_changes() {
    let redis = Redis::start().await;
    let _provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    recorded(&redis, 1).await;
    let clients = redis.cli(&["CLIENT", "LIST"]).await;
    let of_provider = clients.lines().filter(|client| client.contains("resp=3"));
    let flags = of_provider.filter_map(|client| client.split_once(" flags=")?.1.split(' ').next());
    // Those that follow the keys and the rollouts take what they are told; the reporter does not look.
    let flags: Vec<_> = flags.collect();
    let told = flags.iter().filter(|flags| **flags == "t").count();
    assert_eq!((flags.len() - told, told > 0), (1, true), "{clients}");
}

#[tokio::test]
async fn a_change_back_that_was_made_while_nobody_ran_is_there_although_the_disk_never_knew_of_the_first()
 {
    let redis = Redis::start().await;
    let mut provider = provider(&redis).await;
    let file = provider.state_dir().join("traffic.json");
    let old = eventually("the disk has blue", SOON, async || std::fs::read(&file)).await;
    redis.cli(&["SET", "active", "green"]).await;
    recorded(&redis, 1).await;

    provider.kill();
    std::fs::write(&file, old).unwrap();
    redis.cli(&["SET", "active", "blue"]).await;
    provider.restart().await;
    recorded(&redis, 2).await;
    assert_eq!(history(&provider).await[0], ["green", "blue", "outside"]);
    assert_eq!(provider.status().await["stacks"]["deals"]["by"], "outside");
}

#[tokio::test]
async fn a_change_that_was_made_while_nobody_ran_is_there_too() {
    let redis = Redis::start().await;
    let mut provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    recorded(&redis, 1).await;
    reported(&redis, 1, "green").await;
    for memory in [true, false] {
        provider.kill();
        if !memory {
            std::fs::remove_dir_all(provider.state_dir()).unwrap();
        }
        let (from, to) = if memory {
            ("green", "blue")
        } else {
            ("blue", "green")
        };
        redis.cli(&["SET", "active", to]).await;
        provider.restart().await;
        assert_eq!(serves_now(&provider).await, to);
        recorded(&redis, if memory { 2 } else { 3 }).await;
        assert_eq!(history(&provider).await[0], [from, to, "outside"]);
        reported(&redis, if memory { 1 } else { 2 }, to).await;
    }
    // What it found at its start and is told already is nothing new.
    provider.restart().await;
    // Its own report, and those that two of its former lives have left.
    reported(&redis, 3, "green").await;
    assert_eq!(history(&provider).await.len(), 3);
}
