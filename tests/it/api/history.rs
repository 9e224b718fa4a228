//! `GET /stacks/{stack}/history`.

use std::time::Duration;

use super::get;
use crate::support::cli::Cli;
use crate::support::provider;
use crate::support::redis::Redis;
use crate::support::stack::CONFIG;

const PATH: &str = "/stacks/deals/history";

#[tokio::test]
async fn the_history_is_told_as_the_command_tells_it() {
    let mut redis = Redis::start().await;
    let provider = provider::Options::new(CONFIG, &redis.url()).start().await;
    assert_eq!(
        get(&provider, PATH, None).await.json(),
        serde_json::json!([])
    );
    for color in ["green", "blue", "green"] {
        let args = [
            "flip",
            color,
            "--no-verify",
            "--no-wait",
            "--why=\u{202e}so",
        ];
        Cli::new(&args)
            .of(&provider)
            .any_stdout()
            .any_stderr()
            .run()
            .await;
    }
    let answer = get(&provider, PATH, None).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.text().contains(r"\u202eso"), "{}", answer.text());
    let told = Cli::new(&["history", "--json"])
        .of(&provider)
        .any_stdout()
        .run()
        .await;
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(answer.json(), told["history"]);
    assert_eq!(answer.json().as_array().unwrap().len(), 3);
    assert_eq!(answer.json()[0]["to"], "green");
    let newest = get(&provider, &format!("{PATH}?limit=1"), None)
        .await
        .json();
    assert_eq!(newest, serde_json::json!([told["history"][0]]));

    for (path, status) in [
        ("/stacks/deals/history?limit=0", 400),
        ("/stacks/deals/history?limit=1001", 400),
        ("/stacks/deals/history?limt=1", 400),
        ("/stacks/nope/history", 404),
        ("/stacks/deals/history/", 404),
    ] {
        assert_eq!(get(&provider, path, None).await.status, status, "{path}");
    }
    redis.kill();
    let away = get(&provider, PATH, None).await;
    assert_eq!(away.status, 503, "{}", away.text());
    assert_eq!(away.json()["type"], "/problems/store-unavailable");
}

/// Whoever may look could take all the connections that the store has, and the provider would not reach it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_questions_opens_few_connections_to_the_store() {
    const ASKED: usize = 120;
    let redis = Redis::start().await;
    let provider = provider::Options::new(CONFIG, &redis.url()).start().await;
    let provider = std::sync::Arc::new(provider);
    redis.stop();
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..ASKED {
        let provider = std::sync::Arc::clone(&provider);
        asked.spawn(async move { get(&provider, PATH, None).await.status });
    }
    let (mut most, mut answers) = (0, 0);
    while answers < ASKED {
        most = most.max(connections_to(provider.pid(), redis.port()));
        match tokio::time::timeout(Duration::from_millis(20), asked.join_next()).await {
            Ok(answer) => {
                assert!(matches!(answer.unwrap().unwrap(), 200 | 503));
                answers += 1;
            }
            Err(_) if answers > 0 => redis.cont(),
            Err(_) => {}
        }
    }
    // The provider has some of its own.
    assert!((1..40).contains(&most), "{most} connections");
}

/// How many connections a process has to a port of this host.
fn connections_to(pid: u32, port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let remote = format!("0100007F:{port:04X}");
    let lines = table.lines().map(|line| line.split_whitespace());
    lines
        .filter(|fields| {
            let mut fields = fields.clone().skip(2);
            fields.next() == Some(&remote) && fields.next() == Some(ESTABLISHED)
        })
        .count()
}
