//! What the API answers where it does not do what it was asked.

use hyper::Method;
use serde_json::json;

use super::{get, post, send};
use crate::support::provider;
use crate::support::redis::Redis;
use crate::support::stack::CONFIG;

#[tokio::test]
async fn a_problem_is_told_to_programs_and_to_people() {
    let redis = Redis::start().await;
    let options = provider::Options::new(CONFIG, &redis.url()).env("BLUEGREEN_TOKEN", "s3cret");
    let provider = options.start().await;

    let answer = post(&provider, "/stacks/nope/traffic", "s3cret", "green").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(
        answer.json(),
        json!({
            "type": "/problems/unknown-stack",
            "title": "There is no such stack",
            "status": 404,
            "detail": "there is no stack `nope`; there are: deals",
            "stack": "nope",
        })
    );
    let answer = get(&provider, "/stacks/deals", None).await;
    assert_eq!(
        answer.json()["type"],
        "/problems/not-found",
        "{}",
        answer.text()
    );
    let answer = get(&provider, "/stacks/deals/traffic", None).await;
    assert_eq!(answer.json()["type"], "/problems/method-not-allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = send(&provider, Method::DELETE, "/stacks/deals/history", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("GET, HEAD"))
    );
    let answer = send(
        &provider,
        Method::POST,
        "/stacks/deals/traffic",
        &[],
        "green",
    )
    .await;
    assert_eq!(answer.json()["type"], "/problems/token-needed");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn what_comes_from_outside_is_answered_so_that_it_shows() {
    let redis = Redis::start().await;
    let options = provider::Options::new(CONFIG, &redis.url()).env("BLUEGREEN_TOKEN", "s3cret");
    let provider = options.start().await;
    for garbage in [
        "\u{1b}[2J",
        "\u{202e}neerg",
        "\0",
        "\n\n",
        "é",
        "\"}{",
        "s3cret",
    ] {
        let answer = post(&provider, "/stacks/deals/traffic", "s3cret", garbage).await;
        let text = answer.text();
        assert_eq!(answer.json()["status"], 400, "{text}");
        assert!(!text.contains("s3cret"), "{text}");
        let shows = |c: char| c == '\n' || bluegreen::printable::is_printable(c);
        assert!(text.chars().all(shows), "{text:?}");
    }
    let latin: &[u8] = b"gr\xfcn";
    let bearer = [("Authorization", "Bearer s3cret")];
    let path = "/stacks/deals/traffic";
    let answer = send(&provider, Method::POST, path, &bearer, latin).await;
    assert_eq!(answer.json()["type"], "/problems/invalid-traffic");
    assert_eq!(redis.cli(&["GET", "active"]).await, "");
}
