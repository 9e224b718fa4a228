//! The store in a folder, for one host without Redis.

mod answers;
mod bounds;
mod folder;
mod stale;
mod write;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::state::{
    SOON, Witness, config_of, deals, has_problem, metric, serves, serves_now, stack_serves,
    status_says,
};
use crate::support::cli::{Cli, Output};
use crate::support::eventually;
use crate::support::provider::{Options, Provider};

/// A folder that does not exist until the provider makes it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn key(&self, key: &str) -> PathBuf {
        self.path().join(key)
    }

    fn url(&self) -> String {
        format!("file:{}", self.path().display())
    }

    async fn provider(&self) -> Provider {
        Options::new(&deals(), &self.url()).start().await
    }

    /// What an operator types.
    fn echo(&self, value: &str, key: &str) {
        let script = format!("echo '{value}' > {}", self.key(key).display());
        assert!(
            Command::new("sh")
                .args(["-c", &script])
                .status()
                .unwrap()
                .success()
        );
    }
}

async fn run(provider: &Provider, args: &[&str]) -> Output {
    Cli::new(args)
        .of(provider)
        .any_stdout()
        .any_stderr()
        .run()
        .await
}

/// The history, the newest first, as `(from, to, why)`, once it is this long.
async fn history(provider: &Provider, len: usize) -> Vec<[String; 3]> {
    eventually("the history has it", SOON, async || {
        let json = run(provider, &["history", "--json"]).await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let entries = json["history"].as_array().unwrap().iter();
        let entries: Vec<_> = entries
            .map(|entry| {
                [
                    text(&entry["from"]),
                    text(&entry["to"]),
                    text(&entry["why"]),
                ]
            })
            .collect();
        if entries.len() == len {
            Ok(entries)
        } else {
            Err(json)
        }
    })
    .await
}

#[tokio::test]
async fn echo_switches() {
    let folder = Folder::new();
    let provider = folder.provider().await;
    assert_eq!(serves_now(&provider).await, "blue");
    let status = provider.status().await;
    assert_eq!(status["stacks"]["deals"]["source"], "default");
    assert_eq!(status["store"]["url"], folder.url());
    let witness = Witness::of(&provider).await;
    let mut expected = vec!["blue"];
    let began = Instant::now();
    for value in ["green", "blue", "  green", "blue:1,green:2", "blue"].repeat(2) {
        folder.echo(value, "active");
        witness.sees(value.trim()).await;
        if expected.last() != Some(&value.trim()) {
            expected.push(value.trim());
        }
    }
    // At once, and not only by the read once a second.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(4), "10 changes took {took:?}");
    witness.saw(&expected).await;
}

#[tokio::test]
async fn what_is_no_value_moves_nothing() {
    let folder = Folder::new();
    let provider = folder.provider().await;
    folder.echo("green", "active");
    serves(&provider, "green").await;
    let witness = Witness::of(&provider).await;
    let active = folder.key("active");

    folder.echo("purple", "active");
    has_problem(&provider, "`purple` is not a color").await;
    fs::write(&active, "").unwrap();
    has_problem(&provider, "the value is empty").await;
    fs::write(&active, vec![b'x'; 1 << 20]).unwrap();
    has_problem(&provider, "has 1048576 bytes").await;
    fs::write(&active, b"\xff\xfe").unwrap();
    has_problem(&provider, "is not text").await;
    fs::remove_file(&active).unwrap();
    has_problem(&provider, "does not exist any more").await;
    fs::create_dir(&active).unwrap();
    has_problem(&provider, "the key's file is a folder").await;
    fs::remove_dir(&active).unwrap();
    has_problem(&provider, "does not exist any more").await;
    let valid = "bluegreen_key_valid{stack=\"deals\"}";
    assert_eq!(metric(&provider, valid).await, 0);

    // Not even when all of it goes, which is the FLUSHALL of this store.
    fs::rename(folder.path(), folder.0.path().join("elsewhere")).unwrap();
    eventually("the folder is made anew", SOON, async || {
        if folder.path().is_dir() {
            Ok(())
        } else {
            Err("no folder")
        }
    })
    .await;
    status_says(&provider, "connected again", |status| {
        status["store"]["connected"] == true
    })
    .await;
    assert_eq!(serves_now(&provider).await, "green");
    folder.echo("blue", "active");
    serves(&provider, "blue").await;
    has_problem(&provider, "").await;
    witness.saw(&["green", "blue"]).await;
}

#[tokio::test]
async fn a_folder_that_is_replaced_is_watched_like_the_first() {
    let folder = Folder::new();
    let provider = folder.provider().await;
    let new = folder.0.path().join("new");
    fs::create_dir(&new).unwrap();
    fs::write(new.join("active"), "green\n").unwrap();
    fs::rename(folder.path(), folder.0.path().join("old")).unwrap();
    fs::rename(&new, folder.path()).unwrap();
    serves(&provider, "green").await;
    // The one read that found it is followed by a new watch.
    provider.log_contains("the store is back").await;

    let began = Instant::now();
    for color in ["blue", "green"].repeat(5) {
        folder.echo(color, "active");
        serves(&provider, color).await;
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(4), "10 changes took {took:?}");
}

#[tokio::test]
async fn the_commands_work_on_it() {
    let folder = Folder::new();
    let (one, two) = (folder.provider().await, folder.provider().await);
    folder.echo("green", "active");
    serves(&one, "green").await;
    serves(&two, "green").await;
    assert_eq!(history(&one, 1).await, [["blue", "green", ""]]);

    run(
        &one,
        &[
            "flip",
            "blue",
            "--no-verify",
            "--no-wait",
            "--why",
            "a drill",
        ],
    )
    .await;
    serves(&one, "blue").await;
    serves(&two, "blue").await;
    assert_eq!(fs::read_to_string(folder.key("active")).unwrap(), "blue\n");
    run(&two, &["rollback", "--no-wait"]).await;
    serves(&one, "green").await;
    let expected = [
        ["blue", "green", "rollback"],
        ["green", "blue", "a drill"],
        ["blue", "green", ""],
    ];
    assert_eq!(history(&two, 3).await, expected);

    let status = run(&one, &["status", "--json"]).await.json();
    assert!(status.to_string().contains("green"), "{status}");
    Cli::new(&["status"])
        .of(&one)
        .stdout("green")
        .any_stderr()
        .run()
        .await;

    let purple = Cli::new(&["flip", "purple"]).of(&one).code(2);
    purple.stderr("purple").run().await;
    assert_eq!(fs::read_to_string(folder.key("active")).unwrap(), "green\n");
}

#[tokio::test]
async fn a_provider_that_starts_reads_what_is_there() {
    let folder = Folder::new();
    fs::create_dir(folder.path()).unwrap();
    folder.echo("purple", "active");
    let mut provider = folder.provider().await;
    assert_eq!(serves_now(&provider).await, "503");
    folder.echo("green", "active");
    serves(&provider, "green").await;

    // A folder that can't be used is a store that is away.
    provider.terminate().await;
    // The provider writes a report into it at any time.
    eventually("the folder goes", SOON, async || {
        fs::remove_dir_all(folder.path())
    })
    .await;
    fs::write(folder.path(), "in the way").unwrap();
    provider.restart().await;
    assert_eq!(serves_now(&provider).await, "green");
    let status = provider.status().await;
    assert_eq!(status["store"]["connected"], false);
    assert_eq!(status["stacks"]["deals"]["source"], "disk");
    fs::remove_file(folder.path()).unwrap();
    fs::create_dir(folder.path()).unwrap();
    folder.echo("blue", "active");
    serves(&provider, "blue").await;
}

#[tokio::test]
async fn a_key_is_a_file_of_its_own_inside_of_the_folder() {
    let folder = Folder::new();
    let config = config_of(&[("deals", "active"), ("shop", "../shop")]);
    let provider = Options::new(&config, &folder.url()).start().await;
    run(
        &provider,
        &[
            "flip",
            "green",
            "--stack",
            "shop",
            "--no-verify",
            "--no-wait",
        ],
    )
    .await;
    stack_serves(&provider, "shop", "green").await;
    stack_serves(&provider, "deals", "blue").await;
    assert_eq!(
        fs::read_to_string(folder.key("%2E.%2Fshop")).unwrap(),
        "green\n"
    );
    assert!(!folder.0.path().join("shop").exists());
}
