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
