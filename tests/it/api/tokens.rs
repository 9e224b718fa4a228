//! `serve --tokens-file`.

use std::path::Path;
use std::time::Duration;

use hyper::Method;

use super::{get, post, send};
use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::http::Answer;
use crate::support::poll::Poller;
use crate::support::provider::{self, Provider};
use crate::support::redis::Redis;
use crate::support::stack::Stack;

const DEALS: &str = "/stacks/deals/traffic";

/// Long enough to be looked for wherever something is shown.
const CI: &str = "c1-5f0e3b6d9a";
const EDGE: &str = "ed9e-77a1c2b4";
const BILLING: &str = "b1ll1ng-0d4f8";
const FLAG: &str = "f1ag-93be6a02";

/// An entry of the file.
fn entry(name: &str, token: &str, more: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    let hash: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("- name: {name}\n  hash: sha256:{hash}\n  {more}\n")
}

fn everybody() -> String {
    entry("ci", CI, "rights: flip")
        + &entry("edge", EDGE, "rights: read")
        + &entry("billing", BILLING, "rights: flip\n  stacks: [billing]")
}

async fn start(stack: &Stack, redis: &Redis, file: &Path) -> Provider {
    let options = provider::Options::new(&stack.config(), &redis.url());
    let options = options.arg(&format!("--tokens-file={}", file.display()));
    options.env("BLUEGREEN_TOKEN", FLAG).start().await
}

#[track_caller]
fn is_problem(answer: &Answer, status: u16, kind: &str, detail: &str) {
    let problem = answer.json();
    let said = problem["detail"].as_str().unwrap();
    assert_eq!(answer.status, status, "{problem}");
    assert_eq!(problem["type"], format!("/problems/{kind}"), "{problem}");
    assert!(said.contains(detail), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_token_does_what_its_entry_says_and_the_history_names_it() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), everybody()).unwrap();
    let provider = start(&stack, &redis, file.path()).await;

    for path in [
        "/traefik",
        "/status",
        "/metrics",
        "/stacks/deals/history",
        "/stacks/deals/rollouts",
    ] {
        assert_eq!(get(&provider, path, None).await.status, 401, "{path}");
        assert_eq!(
            get(&provider, path, Some("wrong")).await.status,
            401,
            "{path}"
        );
        // Who may change may look, and who may look may look at everything.
        for token in [EDGE, CI, BILLING, FLAG] {
            assert_eq!(
                get(&provider, path, Some(token)).await.status,
                200,
                "{path}"
            );
        }
        let basic = [("Authorization", "Basic dHJhZWZpazplZDllLTc3YTFjMmI0")];
        let as_password = send(&provider, Method::GET, path, &basic, "").await;
        assert_eq!(as_password.status, 200, "{path}");
    }

    let answer = post(&provider, DEALS, "wrong", "green").await;
    is_problem(&answer, 401, "token-needed", "a change needs");
    let answer = post(&provider, DEALS, EDGE, "green").await;
    is_problem(
        &answer,
        403,
        "forbidden",
        "the token of `edge` may only read",
    );
    let answer = post(&provider, DEALS, BILLING, "green").await;
    is_problem(
        &answer,
        403,
        "forbidden",
        "the token of `billing` is not for the stack `deals`",
    );
    for path in ["rollouts", "rollouts/0123/abort"].map(|path| format!("/stacks/deals/{path}")) {
        for (token, status) in [("wrong", 401), (EDGE, 403), (BILLING, 403)] {
            let answer = post(&provider, &path, token, "").await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
    assert_eq!(redis.cli(&["GET", "active"]).await, "");

    assert_eq!(post(&provider, DEALS, CI, "green").await.status, 200);
    assert_eq!(post(&provider, DEALS, FLAG, "blue").await.status, 200);
    let history = get(&provider, "/stacks/deals/history", Some(EDGE))
        .await
        .json();
    assert_eq!(history[0]["by"], "http from 127.0.0.1");
    assert_eq!(history[1]["by"], "ci over http from 127.0.0.1");
    let log = provider.log().lines().join("\n");
    for token in [CI, EDGE, BILLING, FLAG] {
        assert!(!log.contains(token), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_shown_in_the_wrong_place_is_not_told_on() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), everybody()).unwrap();
    let provider = start(&stack, &redis, file.path()).await;
    for (path, body) in [
        (DEALS, CI),
        ("/stacks/c1-5f0e3b6d9a/traffic", "green"),
        ("/stacks/deals/c1-5f0e3b6d9a", "green"),
    ] {
        let answer = post(&provider, path, CI, body).await;
        assert!(
            answer.status >= 400 && !answer.text().contains(CI),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_taken_out_of_the_file_is_worth_nothing_any_more() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), everybody()).unwrap();
    let provider = start(&stack, &redis, file.path()).await;
    let mut held = Poller::connect(provider.address()).await;
    let request = format!(
        "POST {DEALS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {CI}\r\nContent-Length: 5\r\n\r\ngreen"
    );
    held.send(request.as_bytes()).await;
    assert_eq!(held.receive().await.status, 200);

    // One that has mistakes changes nothing, and says them all.
    std::fs::write(
        file.path(),
        format!("- name: ci\n  hash: {CI}\n  rights: write\n"),
    )
    .unwrap();
    provider
        .log_contains("the new tokens file is refused, the old one stays in force")
        .await;
    provider
        .log_contains("this is not the hash of a token")
        .await;
    provider
        .log_contains("expected `read` or `flip`, found `write`")
        .await;
    assert_eq!(post(&provider, DEALS, CI, "blue").await.status, 200);
    let status = get(&provider, "/status", Some(EDGE)).await.json();
    let problem = status["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("this is not the hash of a token"),
        "{problem}"
    );
    assert!(!problem.contains(CI), "{problem}");

    std::fs::write(file.path(), entry("edge", EDGE, "rights: read")).unwrap();
    provider
        .log_contains("the new tokens file is in force")
        .await;
    // Also on a connection that was there before.
    held.send(request.as_bytes()).await;
    assert_eq!(held.receive().await.status, 401);
    assert_eq!(get(&provider, "/status", Some(CI)).await.status, 401);
    let status = get(&provider, "/status", Some(EDGE)).await.json();
    assert_eq!(status["problems"].as_array().unwrap().len(), 0, "{status}");

    // Nobody is left, and nothing is open to everybody.
    std::fs::write(file.path(), "[]").unwrap();
    eventually(
        "nobody may read",
        Duration::from_secs(10),
        async || match get(&provider, "/status", Some(EDGE)).await.status {
            401 => Ok(()),
            status => Err(status),
        },
    )
    .await;
    assert_eq!(get(&provider, "/status", None).await.status, 401);
    let log = provider.log().lines().join("\n");
    assert!(!log.contains(CI) && !log.contains(EDGE), "{log}");
}

#[tokio::test]
async fn a_file_with_mistakes_is_no_start_and_all_of_them_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.yml");
    let other = entry("ci", EDGE, "rights: flip");
    std::fs::write(
        &file,
        format!("- name: ci\n  hash: {CI}\n  right: flip\n{other}"),
    )
    .unwrap();
    let run = Cli::new(&["serve", "--tokens-file=tokens.yml"])
        .dir(dir.path())
        .code(2);
    let run = run.stderr("error: the tokens file: tokens.yml has mistakes");
    let run = run
        .stderr("this is not the hash of a token")
        .stderr("tokens.yml:2:9");
    let run = run.stderr("`printf %s TOKEN | sha256sum`");
    let run = run
        .stderr("unknown key `right`")
        .stderr("did you mean `rights`?");
    let run = run
        .stderr("another token is named `ci` too")
        .stderr("tokens.yml:4:9");
    let output = run.run().await;
    assert!(!output.stderr.contains(CI), "{}", output.stderr);

    let run = Cli::new(&["serve", "--tokens-file=none.yml"])
        .dir(dir.path())
        .code(2);
    run.stderr("error: the tokens file: none.yml").run().await;
    std::fs::write(&file, "x".repeat(2 << 20)).unwrap();
    let run = Cli::new(&["serve", "--tokens-file=tokens.yml"])
        .dir(dir.path())
        .code(2);
    run.stderr("it is larger than 1024 KiB").run().await;
}
