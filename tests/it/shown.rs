//! What is shown to people, whatever comes from outside: printable, line by line, and no secret; by every command and the
//! log.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use bluegreen::printable::is_printable;

use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::provider::{self, Provider};
use crate::support::redis::Redis;
use crate::support::stack::Stack;

/// Every character that does not show itself, and a line that seems to be one of ours; but no NUL, which neither an
/// argument nor a variable can hold.
fn hostile() -> String {
    let all = ('\u{1}'..='\u{e0fff}').filter(|c| !is_printable(*c));
    // Of the tags and the unassigned ones at the end, which are thousands, the first.
    let all = all.take_while(|c| *c < '\u{e0100}');
    format!("x{}\nFORGED", all.collect::<String>())
}

#[track_caller]
fn assert_printable(what: &str, text: &str) {
    let stray = text.chars().find(|c| !is_printable(*c) && *c != '\n');
    assert_eq!(stray, None, "{what}: {text}");
    // Far to the right is what a check has found out, which has several lines.
    let begins = |line: &&str| line.len() - line.trim_start().len();
    let forged = text
        .lines()
        .find(|line| line.trim_start().starts_with("FORGED") && begins(line) < 12);
    assert_eq!(forged, None, "{what}: {text}");
}

/// A server that answers every request with this as its body, and a status that is no success.
async fn answers_with(body: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = body.clone();
            tokio::spawn(async move {
                let service = service_fn(|_| {
                    let mut answer = Response::new(Full::new(Bytes::from(body.clone())));
                    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    async { Ok::<_, Infallible>(answer) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                connection
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .ok();
            });
        }
    });
    address
}

/// Puts hostile texts wherever the store has one, and a provider that is made of them.
async fn poison(redis: &Redis, text: &str) {
    let mut connection = redis.connection().await;
    let report = json!({
        "provider": text, "version": text, "stopped": false, "traffic": text, "revision": text, "problem": text,
        "marker": false,
    });
    let instances = json!([{
        "id": text, "address": text, "revision": text, "held": false, "confirmed": null, "applied": null, "hold": 1.0,
        "holdCut": null, "cadence": null, "seen": 0.1, "goneAfter": 60.0,
    }]);
    let time = ::redis::cmd("TIME");
    let (seconds, _): (u64, u64) = time.query_async(&mut connection).await.unwrap();
    let stamp = seconds * 1000;
    let mut pipeline = ::redis::pipe();
    pipeline.cmd("XADD").arg("{active}:history").arg("*");
    pipeline.arg(&["at", "2026-01-02T03:04:05Z", "from", text, "to", "blue"]);
    pipeline.arg(&["by", text, "why", text]);
    pipeline.cmd("HSET").arg("{active}:instances");
    pipeline.arg(text).arg(format!("{stamp} {report}"));
    let list = format!("{text}#instances");
    pipeline.arg(list).arg(format!("{stamp} {instances}"));
    pipeline.query_async::<()>(&mut connection).await.unwrap();
}

async fn set(redis: &Redis, key: &str, value: &[u8]) {
    let mut connection = redis.connection().await;
    let mut command = ::redis::cmd("SET");
    command.arg(key).arg(value);
    command.query_async::<()>(&mut connection).await.unwrap();
}

#[tokio::test]
async fn nothing_from_outside_reaches_a_terminal_raw() {
    let (redis, stack, text) = (Redis::start().await, Stack::start().await, hostile());
    let server = answers_with(text.clone()).await;
    let config = stack.config().replace(
        "    services:\n",
        &format!(
            "    services:\n      odd: {{ rule: 'Host(`odd.localhost`)', health: /, servers: {{ blue: 'http://{server}', green: 'http://{server}' }} }}\n"
        ),
    );
    let config = format!(
        "{config}    production: http://{server}\n    up: 'printf %s \"$USER\" >/dev/null'\n    checks: [{{ name: says, on: [color, production], command: 'printf %s \"$USER\"; exit 1' }}]\n"
    ).replace("defaultCertificate: generated\n", "");
    let provider = provider::Options::new(&config, &redis.url())
        .arg("-vv")
        .start()
        .await;
    let in_json = provider::Options::new(&config, &redis.url())
        .arg("--log-format=json")
        .start()
        .await;
    poison(&redis, &text).await;
    let mut garbage = text.as_bytes().to_vec();
    garbage.extend(b"\xff\x9b31m");
    let lease = json!({ "by": text, "pid": 1, "what": text, "since": null }).to_string();
    for (key, lease) in [
        (&garbage[..], None),
        (&garbage, Some(&lease)),
        (b"blue", None),
    ] {
        set(&redis, "active", key).await;
        for args in [
            &["status"][..],
            &["history"],
            &["verify", "green"],
            &["verify", "production"],
            &["flip", "green", "--dry-run"],
            &["flip", "green", "--no-verify"],
            &["flip", "green"],
            &["rollback"],
            &["deploy", "--dry-run"],
            &["deploy", "green"],
            &["healthcheck", &format!("--listen={server}")],
            &["render", "--traffic", &text],
            &["flip", &text],
            &["flip", &format!("--{text}")],
            &["status", "--stack", &text],
            &["status", "--timeout", &text],
        ] {
            poison(&redis, &text).await;
            if let Some(lease) = lease {
                set(&redis, "{active}:lease", lease.as_bytes()).await;
            }
            for format in ["false", "true"] {
                let cli = Cli::new(args)
                    .of(&provider)
                    .env("USER", &text)
                    .env(
                        "BLUEGREEN_WHY",
                        &text[..900.min(text.floor_char_boundary(900))],
                    )
                    .env("BLUEGREEN_JSON", format);
                let cli = match args.contains(&"--timeout") {
                    true => cli,
                    false => cli.env("BLUEGREEN_TIMEOUT", "300ms"),
                };
                let output = cli.any_code().any_stdout().any_stderr().run().await;
                assert_printable(&format!("{args:?}"), &output.stdout);
                assert_printable(&format!("{args:?}"), &output.stderr);
            }
        }
    }

    // JSON says exactly what there is.
    poison(&redis, &text).await;
    let history = Cli::new(&["history", "--json"]).of(&provider);
    let history = history.any_stdout().run().await.json();
    let entries = history["history"].as_array().unwrap();
    assert!(
        entries
            .iter()
            .any(|entry| entry["why"] == *text && entry["by"] == *text)
    );

    set(&redis, "active", text.as_bytes()).await;
    for provider in [&provider, &in_json] {
        let problem = told_by(provider).await;
        assert!(problem.contains("x\u{1}\u{2}"), "{problem}");
        provider.write_config(&format!("stacks: {{ {} }}", json!(text)));
        provider.log_contains("is refused").await;
        for line in provider.log().lines() {
            assert_printable("log", &line);
        }
    }
    let log = in_json.log().lines();
    let events = log.iter().filter(|line| line.starts_with('{'));
    let events: Vec<Value> = events
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |event: &Value| {
        event
            .to_string()
            .contains(&json!("x\u{1}\u{2}").to_string()[1..10])
    };
    assert!(events.iter().any(told), "{log:?}");
}

/// What a provider says of the key.
async fn told_by(provider: &Provider) -> String {
    eventually("it tells of the key", Duration::from_secs(10), async || {
        let answer = provider.get("/status").await;
        assert_printable("/status", answer.text());
        match &answer.json()["stacks"]["deals"]["problem"] {
            Value::String(problem) => Ok(problem.clone()),
            other => Err(other.clone()),
        }
    })
    .await
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_shown_without_what_it_holds() {
    let (dir, text) = (tempfile::tempdir().unwrap(), hostile());
    let path = dir.path().join("bluegreen.yml");
    let quoted: String = text.chars().filter(|c| u32::from(*c) < 0x10000).collect();
    let quoted = bluegreen::printable::json(&json!(quoted).to_string());
    let compose = format!("services: {{ api-blue: {{ image: {quoted}, labels: [{quoted}] }} }}");
    for config in [
        text.clone(),
        format!("stacks: {{ {quoted}: {quoted} }}"),
        format!(
            "stacks: {{ a: {{ key: {quoted}, colors: [{quoted}, {quoted}], services: {{ b: {{ rule: {quoted}, servers: {{ c: {quoted} }}, {quoted}: 1 }} }} }} }}"
        ),
        format!("stacks:\n  a: 1 # {}", text.replace(char::is_control, "")),
        compose,
    ] {
        std::fs::write(&path, &config).unwrap();
        for args in [
            &["check"][..],
            &["check", "--json"],
            &["init", "--stdout", "bluegreen.yml"],
        ] {
            let cli = Cli::new(args).dir(dir.path());
            let output = cli.any_code().any_stdout().any_stderr().run().await;
            assert_ne!(output.code, 101, "{output:?}");
            assert_printable(&format!("{args:?} of {config:?}"), &output.stdout);
            assert_printable(&format!("{args:?} of {config:?}"), &output.stderr);
        }
    }
}

#[tokio::test]
async fn no_secret_is_shown() {
    const SECRET: &str = "hunter2-and-more";
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let server = answers_with(format!("you sent {SECRET}")).await;
    let odd = format!(
        "      odd: {{ rule: 'Host(`odd.localhost`)', health: '/health?key=${{API_TOKEN}}', servers: {{ blue: 'http://{server}', green: 'http://{server}' }} }}\n"
    );
    let checks = "    up: 'echo ${API_TOKEN} >/dev/null; exit 1'
    checks:
    - { name: command, command: 'echo ${API_TOKEN}; exit 1' }
    - name: steps
      on: [color, production]
      steps:
      - { service: odd, path: '/?key=${API_TOKEN}', headers: { Authorization: 'Bearer ${API_TOKEN}' }, expect: { status: 500, contains: ['${API_TOKEN}!'] } }
";
    let config = stack
        .config()
        .replace("defaultCertificate: generated\n", checks);
    let config = config.replace("    services:\n", &format!("    services:\n{odd}"));
    let config = config + &format!("    production: http://{server}\n");
    let provider = provider::Options::new(&config, &redis.url())
        .arg("-vv")
        .env("API_TOKEN", SECRET)
        .env("BLUEGREEN_TOKEN", SECRET)
        .env("BLUEGREEN_READ_TOKEN", SECRET)
        .start()
        .await;
    let run = async |args: &[&str]| {
        for format in ["false", "true"] {
            let cli = Cli::new(args).of(&provider).env("API_TOKEN", SECRET);
            let cli = cli
                .env("BLUEGREEN_TOKEN", SECRET)
                .env("BLUEGREEN_JSON", format);
            let cli = cli.env("BLUEGREEN_TIMEOUT", "1s");
            let output = cli.any_code().any_stdout().any_stderr().run().await;
            let shown = output.stdout + &output.stderr;
            assert!(!shown.contains("hunter2"), "{args:?}: {shown}");
        }
    };
    for args in [
        &["status", "-vv"][..],
        &["verify", "green", "-vv"],
        &["verify", "production", "-vv"],
        &["flip", "green", "-vv"],
        &["flip", "green", "--dry-run", "-vv"],
        &["deploy", "green", "-vv"],
        &["serve", "--help"],
        &["serve", "--token-file=x"],
        &["check"],
    ] {
        run(args).await;
    }

    // A config with a mistake at each of the values, which the log tells of, too.
    let with = |odd: &str| format!("stacks: {{ deals: {{ colors: [blue, green], {odd} }} }}\n");
    let service = "services: { api: { rule: 'Host(`a`)', servers: { blue: 'http://a', green: 'http://b' } } }";
    let url = format!("http://ann:{SECRET}@127.0.0.1");
    for (i, config) in [
        with(&format!("{service}, production: '{url}'")),
        with(&format!("{service}, production: '{url}:99999', nope: 1")),
        with(&service.replace("http://a", &url)),
        with(&service.replace("http://a", "http://ann:${API_TOKEN}@h")),
        with(&format!("{service}, key: 'a ${{API_TOKEN}}', entryPoints: ['a ${{API_TOKEN}}']")),
        with(&format!("{service}, checks: [{{ name: '${{API_TOKEN}}', timeout: '${{API_TOKEN}}', command: x }}, {{ name: '${{API_TOKEN}}', command: x }}]")),
        with(&format!("{service}, checks: [{{ name: a, steps: [{{ service: '${{API_TOKEN}}', method: '${{API_TOKEN}}', path: '${{API_TOKEN}}', save: {{ a: '${{API_TOKEN}}' }} }}] }}]")),
        with("services: '${API_TOKEN}'"),
        with(&format!("colors: ['${{API_TOKEN}}'], {service}")),
    ]
    .iter()
    .enumerate()
    {
        provider.write_config(config);
        let cli = Cli::new(&["check"]).of(&provider).env("API_TOKEN", SECRET);
        let refused = cli.code(2).any_stderr().run().await;
        assert!(refused.stderr.contains("mistake"), "{refused:?}");
        run(&["check"]).await;
        let refused = || provider.log().count("the new config is refused");
        eventually("it is refused", Duration::from_secs(10), async || {
            let refused = refused();
            if refused > i { Ok(()) } else { Err(refused) }
        })
        .await;
    }
    let log = provider.log().lines().join("\n");
    assert!(!log.contains("hunter2"), "{log}");
}
