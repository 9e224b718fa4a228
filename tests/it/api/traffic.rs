//! `POST /stacks/{stack}/traffic`.

use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::poll::{Poller, Received};
use crate::support::provider::{self, Provider};
use crate::support::redis::Redis;
use crate::support::stack::Stack;

async fn post(provider: &Provider, path: &str, headers: &str, body: &str) -> Received {
    let mut client = Poller::connect(provider.address()).await;
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    client.send(request.as_bytes()).await;
    client.receive().await
}

#[tokio::test]
async fn whoever_shows_the_token_may_change_the_traffic() {
    const TOKEN: &str = "Authorization: Bearer s3cret\r\n";
    let (mut redis, stack) = (Redis::start().await, Stack::start().await);
    let options =
        provider::Options::new(&stack.config(), &redis.url()).env("BLUEGREEN_TOKEN", "s3cret");
    let provider = options.start().await;

    let path = "/stacks/deals/traffic";
    for (headers, path, body, status) in [
        ("", path, "green", 401),
        ("Authorization: Bearer wrong\r\n", path, "green", 401),
        (TOKEN, path, "purple", 400),
        (TOKEN, path, "", 400),
        (TOKEN, "/stacks/nope/traffic", "green", 404),
        (TOKEN, "/stacks//traffic", "green", 404),
    ] {
        let answer = post(&provider, path, headers, body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
    }
    let answer = post(&provider, path, TOKEN, &"x".repeat(10_000)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(redis.cli(&["GET", "active"]).await, "");
    assert_eq!(provider.get(path).await.status, 405);

    let headers = format!("{TOKEN}X-Why: release 42\r\n");
    let answer = post(&provider, path, &headers, "green\n").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.json(),
        serde_json::json!({"stack": "deals", "from": "blue", "to": "green", "changed": true})
    );
    assert_eq!(redis.cli(&["GET", "active"]).await, "green");
    let again = post(&provider, path, TOKEN, "green").await.json();
    assert_eq!(again["changed"], false);
    let history = Cli::new(&["history"]).of(&provider);
    history
        .stdout("blue → green  by http from 127.0.0.1: release 42")
        .run()
        .await;
    eventually(
        "it is served",
        std::time::Duration::from_secs(5),
        async || {
            let status = provider.status().await;
            if status["stacks"]["deals"]["traffic"] == "green" {
                Ok(())
            } else {
                Err(status)
            }
        },
    )
    .await;

    redis.kill();
    let answer = post(&provider, path, TOKEN, "blue").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(!provider.log().lines().join("\n").contains("s3cret"));
}

#[tokio::test]
async fn without_a_token_nobody_may() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let answer = post(
        &provider,
        "/stacks/deals/traffic",
        "Authorization: Bearer x\r\n",
        "green",
    )
    .await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(redis.cli(&["GET", "active"]).await, "");
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    const TOKEN: &str = "Authorization: Bearer s3cret\r\n";
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let options =
        provider::Options::new(&stack.config(), &redis.url()).env("BLUEGREEN_TOKEN", "s3cret");
    let provider = options.start().await;
    let post = async |headers: &str| {
        let path = "/stacks/deals/traffic";
        post(&provider, path, headers, "green").await
    };

    // A browser sends a password that it knows for whatever page asks.
    let basic = post("Authorization: Basic dHJhZWZpazpzM2NyZXQ=\r\n").await;
    assert_eq!(basic.status, 401, "{}", basic.text());
    assert_eq!(basic.header("www-authenticate"), Some("Bearer"));
    let said = basic.text();
    assert!(said.contains("a password (Basic) does not count"), "{said}");
    for foreign in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\nOrigin: http://localhost\r\n",
    ] {
        let answer = post(&format!("{TOKEN}{foreign}")).await;
        assert_eq!(answer.status, 403, "{foreign}: {}", answer.text());
    }
    assert_eq!(redis.cli(&["GET", "active"]).await, "");

    let own = "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n";
    let answer = post(&format!("{TOKEN}{own}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(redis.cli(&["GET", "active"]).await, "green");
}

#[tokio::test]
async fn the_reason_is_utf_8_of_a_bounded_length() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let options =
        provider::Options::new(&stack.config(), &redis.url()).env("BLUEGREEN_TOKEN", "s3cret");
    let provider = options.start().await;
    let post = async |why: &[u8]| {
        let mut client = Poller::connect(provider.address()).await;
        let head =
            b"POST /stacks/deals/traffic HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\
            Authorization: Bearer s3cret\r\nX-Why: ";
        client.send(&[head, why, b"\r\n\r\ngreen"].concat()).await;
        client.receive().await
    };

    let long = post("é".repeat(501).as_bytes()).await;
    assert_eq!(long.status, 400, "{}", long.text());
    assert!(
        long.text()
            .contains("X-Why: it has 1002 bytes: at most 1000")
    );
    let latin = post(b"caf\xe9").await;
    assert_eq!(latin.status, 400, "{}", latin.text());
    assert!(latin.text().contains("X-Why: it is not UTF-8"));
    assert_eq!(redis.cli(&["GET", "active"]).await, "");

    let answer = post("Größe, café ☕".as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let history = Cli::new(&["history"]).of(&provider);
    history.stdout(": Größe, café ☕").run().await;
}

/// Two teams with one key, which each of them took for its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_moves_somebody_elses_stack_is_not_changed() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let _shop = stack.provider(&stack.config(), &redis).await;
    eventually(
        "it has reported",
        std::time::Duration::from_secs(10),
        async || {
            let reports = redis.cli(&["HVALS", "{active}:instances"]).await;
            if reports.contains("\"stack\":\"deals\"") {
                Ok(())
            } else {
                Err(reports)
            }
        },
    )
    .await;
    let config = stack.config().replace("  deals:", "  billing:");
    let options = provider::Options::new(&config, &redis.url()).env("BLUEGREEN_TOKEN", "s3cret");
    let billing = options.start().await;
    for args in [
        &["flip", "green", "--no-verify"][..],
        &["flip", "green", "--dry-run"],
    ] {
        let run = Cli::new(args).of(&billing).code(3);
        let run = run.stderr("the key `active` moves the traffic of `deals`");
        run.stderr("needs a key of its own").run().await;
    }
    let wrong = Cli::new(&["status", "--check"]).of(&billing).code(3);
    let wrong = wrong.stderr("follows the same key for the stack `deals`");
    wrong.any_stdout().run().await;
    // Who has to go back does not wait for somebody else's config, but says so; here there is nothing to go back to.
    let back = Cli::new(&["rollback"]).of(&billing).code(1);
    let back = back.stderr("note: the key `active` moves the traffic of `deals`");
    back.stderr("the history is empty").run().await;
    let token = "Authorization: Bearer s3cret\r\n";
    let answer = post(&billing, "/stacks/billing/traffic", token, "green").await;
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert!(answer.text().contains("of `deals`"), "{}", answer.text());
    assert_eq!(redis.cli(&["GET", "active"]).await, "");
    // With a key of its own it goes.
    billing.write_config(&config.replace("  billing:\n", "  billing:\n    key: billing\n"));
    let run = Cli::new(&["flip", "green", "--no-verify", "--no-wait"]).of(&billing);
    run.stdout("billing: blue → green").run().await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "");
}

#[tokio::test]
async fn a_token_file_that_is_replaced_is_taken_over() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "5tandard\n").unwrap();
    let options = provider::Options::new(&stack.config(), &redis.url());
    let options = options.arg(&format!("--token-file={}", file.path().display()));
    let provider = options.start().await;
    let post = async |token: &str| {
        let headers = format!("Authorization: Bearer {token}\r\n");
        post(&provider, "/stacks/deals/traffic", &headers, "green").await
    };
    assert_eq!(post("5tandard").await.status, 200);

    std::fs::write(file.path(), "").unwrap();
    provider
        .log_contains("the new token is refused, the old one stays in force")
        .await;
    assert_eq!(post("5tandard").await.status, 200);
    std::fs::write(file.path(), "an0ther\n").unwrap();
    provider.log_contains("the new token is in force").await;
    assert_eq!(post("an0ther").await.status, 200);
    assert_eq!(post("5tandard").await.status, 401);
    let log = provider.log().lines().join("\n");
    assert!(
        !log.contains("5tandard") && !log.contains("an0ther"),
        "{log}"
    );
}
