//! `/stacks/{stack}/rollouts`.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::{get, send};
use crate::support::backend::Backend;
use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::http::Answer;
use crate::support::provider::{self, Provider};
use crate::support::redis::Redis;
use crate::support::stack::{CONFIG, Stack};

const PATH: &str = "/stacks/deals/rollouts";

/// Longer than any rollout of these tests takes, on a busy host.
const PATIENCE: Duration = Duration::from_secs(60);

async fn start(config: &str, redis: &Redis) -> Provider {
    let options = provider::Options::new(config, &redis.url()).env("BLUEGREEN_TOKEN", "s3cret");
    options.start().await
}

async fn post_with(provider: &Provider, path: &str, more: &[(&str, &str)], body: String) -> Answer {
    let mut headers = vec![("Authorization", "Bearer s3cret")];
    headers.extend_from_slice(more);
    send(provider, Method::POST, path, &headers, body).await
}

async fn begin(provider: &Provider, body: &Value) -> Answer {
    let json = [("Content-Type", "application/json")];
    post_with(provider, PATH, &json, body.to_string()).await
}

async fn act(provider: &Provider, id: &str, what: &str) -> Answer {
    let path = format!("{PATH}/{id}/{what}");
    post_with(provider, &path, &[], String::new()).await
}

/// The rollout, once it is so.
async fn once(provider: &Provider, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let path = format!("{PATH}/{id}");
    eventually(what, PATIENCE, async || {
        match get(provider, &path, None).await.json() {
            rollout if is(&rollout) => Ok(rollout),
            rollout => Err(rollout),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flip_is_handed_over_and_told_to_its_end() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = start(&stack.config(), &redis).await;
    let _traefik = stack.plain_traefik(&provider, "edge").await;
    assert_eq!(get(&provider, PATH, None).await.json(), json!([]));

    let order = json!({ "kind": "flip", "why": "release 42", "noVerify": true });
    let answer = begin(&provider, &order).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let rollout = answer.json();
    let id = rollout["id"].as_str().unwrap().to_owned();
    let place = format!("{PATH}/{id}");
    assert_eq!(answer.header("location"), Some(place.as_str()));
    assert_eq!(rollout["request"]["steps"], json!(["green"]));

    let ended = once(&provider, &id, "it has ended", |it| {
        it["outcome"].is_object()
    })
    .await;
    assert_eq!(ended["outcome"]["end"], "done", "{ended}");
    assert_eq!(ended["outcome"]["confirmed"]["instances"], json!(["edge"]));
    assert_eq!(ended["abandoned"], false);
    // The token of the lease is its runner's alone.
    assert!(ended["runner"].is_string(), "{ended}");
    assert_eq!(get(&provider, PATH, None).await.json(), json!([ended]));
    assert_eq!(redis.cli(&["GET", "active"]).await, "green");
    let history = Cli::new(&["history"]).of(&provider);
    history
        .stdout("blue → green  by http from 127.0.0.1: release 42")
        .run()
        .await;

    let other = get(&provider, &format!("{PATH}/0123"), None).await;
    assert_eq!(other.status, 404, "{}", other.text());
    assert_eq!(other.json()["type"], "/problems/unknown-rollout");
    for what in ["pause", "resume", "abort"] {
        let over = act(&provider, &id, what).await;
        assert_eq!(over.json()["type"], "/problems/not-running", "{what}");
        assert_eq!(act(&provider, "0123", what).await.status, 404, "{what}");
    }

    let back = begin(&provider, &json!({ "kind": "rollback" })).await;
    assert_eq!(back.status, 202, "{}", back.text());
    let id = back.json()["id"].as_str().unwrap().to_owned();
    let ended = once(&provider, &id, "it is back", |it| it["outcome"].is_object()).await;
    assert_eq!(ended["outcome"]["end"], "done", "{ended}");
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ramp_is_paused_resumed_and_aborted_from_elsewhere() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = start(&stack.config(), &redis).await;
    let _traefik = stack.plain_traefik(&provider, "edge").await;
    let ramp = json!({
        "kind": "ramp", "to": "green", "steps": [10, 100], "interval": "1h", "noVerify": true,
    });
    let answer = begin(&provider, &ramp).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    once(&provider, &id, "the first step is watched", |it| {
        it["stage"] == "production"
    })
    .await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue:90,green:10");

    // Meanwhile nobody else begins one.
    let busy = begin(
        &provider,
        &json!({ "kind": "flip", "to": "green", "noVerify": true }),
    )
    .await;
    assert_eq!(busy.status, 409, "{}", busy.text());
    assert_eq!(busy.json()["type"], "/problems/busy");

    let paused = act(&provider, &id, "pause").await;
    assert_eq!(paused.status, 202, "{}", paused.text());
    let paused = once(&provider, &id, "it is paused", |it| {
        it["paused"].is_object()
    })
    .await;
    assert_eq!(paused["paused"]["by"], "http from 127.0.0.1");
    assert_eq!(act(&provider, &id, "resume").await.status, 202);
    once(&provider, &id, "it goes on", |it| it["paused"].is_null()).await;
    assert_eq!(act(&provider, &id, "abort").await.status, 202);
    let ended = once(&provider, &id, "it has ended", |it| {
        it["outcome"].is_object()
    })
    .await;
    assert_eq!(ended["outcome"]["effect"], "rolledBack", "{ended}");
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_begins_no_second_rollout_whichever_provider_it_comes_to() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let one = start(&stack.config(), &redis).await;
    let mut two = start(&stack.config(), &redis).await;
    let headers = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "release-42"),
    ];
    let post = async |provider: &Provider, order: &Value| {
        post_with(provider, PATH, &headers, order.to_string()).await
    };
    let flip = json!({ "kind": "flip", "noVerify": true });
    let (first, second) = tokio::join!(post(&one, &flip), post(&two, &flip));
    assert_eq!(
        (first.status, second.status),
        (202, 202),
        "{} {}",
        first.text(),
        second.text()
    );
    assert_eq!(first.header("location"), second.header("location"));
    let id = first.json()["id"].as_str().unwrap().to_owned();
    once(&one, &id, "it has ended", |it| it["outcome"].is_object()).await;

    // What a provider has forgotten the store knows.
    two.restart().await;
    let again = post(&two, &flip).await;
    assert_eq!(again.status, 202, "{}", again.text());
    assert_eq!(again.json()["id"], id);
    assert_eq!(again.json()["outcome"]["end"], "done");
    let another = post(
        &two,
        &json!({ "kind": "flip", "to": "blue", "noVerify": true }),
    )
    .await;
    assert_eq!(another.status, 422, "{}", another.text());
    assert_eq!(another.json()["type"], "/problems/key-reused");
    assert_eq!(redis.cli(&["GET", "active"]).await, "green");
    assert_eq!(redis.cli(&["XLEN", "{active}:history"]).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_none_is_refused_with_what_is_wrong() {
    const JSON: &str = "application/json";
    let redis = Redis::start().await;
    let provider = start(CONFIG, &redis).await;
    let deep = "[".repeat(4000);
    let long = format!(r#"{{"kind":"flip","why":"{}"}}"#, "x".repeat(1001));
    let huge = format!(r#"{{"kind":"flip","why":"{}"}}"#, "x".repeat(100_000));
    for (kind, body, status, problem) in [
        ("", r#"{"kind":"flip"}"#, 415, "unsupported-media-type"),
        (
            "text/plain",
            r#"{"kind":"flip"}"#,
            415,
            "unsupported-media-type",
        ),
        (
            "application/jsonx",
            r#"{"kind":"flip"}"#,
            415,
            "unsupported-media-type",
        ),
        (JSON, "", 400, "invalid-request"),
        (JSON, "null", 400, "invalid-request"),
        (JSON, "[]", 400, "invalid-request"),
        (JSON, "{", 400, "invalid-request"),
        (JSON, "{}", 400, "invalid-request"),
        (JSON, "\u{0}\u{1b}[2J", 400, "invalid-request"),
        (JSON, &deep, 400, "invalid-request"),
        (JSON, &long, 400, "invalid-request"),
        (JSON, &huge, 400, "invalid-request"),
        (JSON, r#"{"kind":"deploy"}"#, 400, "invalid-request"),
        (JSON, "{\"kind\":\"\u{202e}pilf\"}", 400, "invalid-request"),
        (
            JSON,
            r#"{"kind":"flip","kind":"ramp"}"#,
            400,
            "invalid-request",
        ),
        (
            JSON,
            r#"{"kind":"flip","too":"green"}"#,
            400,
            "invalid-request",
        ),
        (JSON, r#"{"kind":"flip","to":5}"#, 400, "invalid-request"),
        (
            JSON,
            r#"{"kind":"flip","bake":"soon"}"#,
            400,
            "invalid-request",
        ),
        (JSON, r#"{"kind":"flip","bake":-1}"#, 400, "invalid-request"),
        (
            JSON,
            r#"{"kind":"flip","overrideFreeze":true}"#,
            400,
            "invalid-request",
        ),
        (
            JSON,
            r#"{"kind":"flip","bake":1e300}"#,
            400,
            "invalid-request",
        ),
        (
            JSON,
            r#"{"kind":"flip","steps":[5,100]}"#,
            400,
            "invalid-request",
        ),
        (JSON, r#"{"kind":"shift"}"#, 400, "invalid-request"),
        (
            JSON,
            r#"{"kind":"rollback","to":"blue"}"#,
            400,
            "invalid-request",
        ),
        (
            JSON,
            r#"{"kind":"ramp","steps":[-5,100]}"#,
            400,
            "invalid-request",
        ),
        (
            JSON,
            r#"{"kind":"flip","to":"purple"}"#,
            400,
            "invalid-traffic",
        ),
        (
            JSON,
            r#"{"kind":"flip","to":"blue:90,green:10"}"#,
            400,
            "invalid-traffic",
        ),
        (JSON, r#"{"kind":"shift","to":""}"#, 400, "invalid-traffic"),
        (JSON, r#"{"kind":"ramp","steps":[50,25,100]}"#, 422, "unfit"),
        (JSON, r#"{"kind":"ramp","noWait":true}"#, 422, "unfit"),
        (JSON, r#"{"kind":"flip","bake":60}"#, 422, "unfit"),
        (JSON, r#"{"kind":"rollback"}"#, 422, "unfit"),
    ] {
        let headers = [("Content-Type", kind)];
        let headers = if kind.is_empty() { &[][..] } else { &headers };
        let answer = post_with(&provider, PATH, headers, body.to_owned()).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(answer.status, status, "{shown}: {}", answer.text());
        let told = answer.json();
        assert_eq!(
            told["type"],
            format!("/problems/{problem}"),
            "{shown}: {told}"
        );
        assert_eq!(told["stack"], "deals");
        let shows = |c: char| c == '\n' || bluegreen::printable::is_printable(c);
        assert!(answer.text().chars().all(shows), "{:?}", answer.text());
    }
    let id = "0123456789abcdef";
    let body = post_with(
        &provider,
        &format!("{PATH}/{id}/abort"),
        &[],
        "now".to_owned(),
    )
    .await;
    assert_eq!(body.status, 400, "{}", body.text());
    assert_eq!(act(&provider, id, "abort").await.status, 404);
    let nowhere = post_with(
        &provider,
        "/stacks/nope/rollouts",
        &[("Content-Type", JSON)],
        r#"{"kind":"flip"}"#.to_owned(),
    );
    assert_eq!(nowhere.await.status, 404);
    assert_eq!(redis.cli(&["KEYS", "*rollout*"]).await, "");
    assert_eq!(redis.cli(&["GET", "active"]).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_sends_nobody_to_a_color_that_was_stopped() {
    let redis = Redis::start().await;
    let there = Backend::start("api", &["green"]).await;
    let green = format!("green: {}", there.url("green"));
    let config = CONFIG.replace("green: http://127.0.0.1:9", &green);
    let provider = start(&config, &redis).await;
    for color in ["blue", "green"] {
        let path = "/stacks/deals/traffic";
        let set = post_with(&provider, path, &[], color.to_owned()).await;
        assert_eq!(set.status, 200, "{}", set.text());
    }
    let back = begin(&provider, &json!({ "kind": "rollback" })).await;
    assert_eq!(back.status, 409, "{}", back.text());
    assert_eq!(back.json()["type"], "/problems/nobody-there");
    assert!(
        back.text()
            .contains("no server of api in blue takes a connection")
    );
    let back = begin(&provider, &json!({ "kind": "rollback", "noVerify": true })).await;
    assert_eq!(back.status, 202, "{}", back.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_nothing_is_begun_and_nothing_paused() {
    let redis = Redis::start().await;
    let provider = start(CONFIG, &redis).await;
    let order = r#"{"kind":"flip","to":"green","noVerify":true}"#;
    for path in [
        PATH,
        "/stacks/deals/rollouts/0123/pause",
        "/stacks/deals/rollouts/0123/abort",
    ] {
        for (header, status) in [
            (("X-Nothing", "at all"), 401),
            (("Authorization", "Bearer wrong"), 401),
            // A browser sends a password that it knows for whatever page asks.
            (("Authorization", "Basic dHJhZWZpazpzM2NyZXQ="), 401),
        ] {
            let headers = [("Content-Type", "application/json"), header];
            let answer = send(&provider, Method::POST, path, &headers, order).await;
            assert_eq!(
                answer.status,
                status,
                "{path} {header:?}: {}",
                answer.text()
            );
        }
        for foreign in [
            ("Origin", "http://evil.example"),
            ("Sec-Fetch-Site", "cross-site"),
        ] {
            let headers = [("Content-Type", "application/json"), foreign];
            let answer = post_with(&provider, path, &headers, order.to_owned()).await;
            assert_eq!(answer.status, 403, "{path} {foreign:?}: {}", answer.text());
        }
    }
    assert_eq!(redis.cli(&["KEYS", "*rollout*"]).await, "");
}
