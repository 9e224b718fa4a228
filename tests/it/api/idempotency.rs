//! `Idempotency-Key`.

use std::time::Duration;

use hyper::Method;

use super::send;
use crate::support::eventually;
use crate::support::http::Answer;
use crate::support::poll::Poller;
use crate::support::provider::{self, Provider};
use crate::support::redis::Redis;
use crate::support::stack::CONFIG;

const PATH: &str = "/stacks/deals/traffic";

async fn start(redis: &Redis) -> Provider {
    let options = provider::Options::new(CONFIG, &redis.url()).env("BLUEGREEN_TOKEN", "s3cret");
    options.start().await
}

async fn post(provider: &Provider, key: &str, more: &[(&str, &str)], body: &str) -> Answer {
    let mut headers = vec![("Authorization", "Bearer s3cret"), ("Idempotency-Key", key)];
    headers.extend_from_slice(more);
    send(provider, Method::POST, PATH, &headers, body.to_owned()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_first_answer_and_does_nothing() {
    let redis = Redis::start().await;
    let provider = start(&redis).await;
    let first = post(&provider, "\"release-42\"", &[], "green").await;
    assert_eq!(first.json()["changed"], true, "{}", first.text());
    // Somebody has gone back meanwhile, which the repeat must not undo.
    redis.cli(&["SET", "active", "blue"]).await;
    let again = post(&provider, "release-42", &[], "green").await;
    assert_eq!((again.status, again.body), (200, first.body));
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue");

    for (more, body) in [(&[][..], "blue"), (&[("X-Why", "because")], "green")] {
        let another = post(&provider, "release-42", more, body).await;
        assert_eq!(another.status, 422, "{}", another.text());
        assert_eq!(another.json()["type"], "/problems/key-reused");
    }
    let next = post(&provider, "release-43", &[], "green").await;
    assert_eq!(next.json()["changed"], true, "{}", next.text());
    for wrong in ["", "a b", "\"a", &"x".repeat(256)] {
        let answer = post(&provider, wrong, &[], "blue").await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    assert_eq!(redis.cli(&["GET", "active"]).await, "green");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_nothing_is_tried_anew() {
    let mut redis = Redis::start().await;
    let provider = start(&redis).await;
    let wrong = post(&provider, "a", &[], "purple").await;
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    let right = post(&provider, "a", &[], "green").await;
    assert_eq!(right.status, 200, "{}", right.text());
    redis.terminate().await;
    let away = post(&provider, "b", &[], "blue").await;
    assert_eq!(away.status, 503, "{}", away.text());
    redis.restart().await;
    let there = post(&provider, "b", &[], "blue").await;
    assert_eq!(there.status, 200, "{}", there.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_first_runs_a_repeat_waits_its_turn_though_whoever_asked_is_gone() {
    let redis = Redis::start().await;
    let provider = start(&redis).await;
    redis.stop();
    let mut attempts = 0;
    // A request ends by itself once the store has not answered for too long: on a busy host it may be over too soon.
    let key = eventually(
        "a repeat comes too soon",
        Duration::from_secs(60),
        async || {
            attempts += 1;
            let key = format!("attempt-{attempts}");
            let mut first = Poller::connect(provider.address()).await;
            let request = format!(
                "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer s3cret\r\n\
             Idempotency-Key: {key}\r\nContent-Length: 5\r\n\r\ngreen"
            );
            first.send(request.as_bytes()).await;
            let repeat = post(&provider, &key, &[], "green").await;
            drop(first);
            let later = post(&provider, &key, &[], "green").await;
            let runs = |answer: &Answer| answer.json()["type"] == "/problems/still-running";
            match runs(&repeat) && runs(&later) {
                true => Ok(key),
                false => Err(format!("{} {}", repeat.text(), later.text())),
            }
        },
    )
    .await;
    redis.cont();
    let answer = eventually(
        "there is an answer",
        Duration::from_secs(20),
        async || match post(&provider, &key, &[], "green").await {
            answer if answer.status == 200 => Ok(answer),
            answer => Err(answer.text().to_owned()),
        },
    )
    .await;
    assert_eq!(answer.json()["to"], "green");
    assert_eq!(redis.cli(&["GET", "active"]).await, "green");
    assert_eq!(redis.cli(&["XLEN", "{active}:history"]).await, "1");
}
