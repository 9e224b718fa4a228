//! Raw bytes at the listener: it lives, who polls is answered, and the key stays what it is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use redis::AsyncCommands;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::{holds, traffic};
use crate::support::poll::{Poller, request};
use crate::support::provider::{Options, Provider};
use crate::support::redis::Redis;
use crate::support::stack::{CONFIG, color_of};

/// A case takes some ten milliseconds: it waits for what may still come.
const CASES: u32 = 250;

/// What a change is made with.
const TOKEN: &str = "s3cret";

/// How long an answer may be on its way before the connection is closed from here, as a client does that gave up.
const GIVES_UP: Duration = Duration::from_millis(8);

/// The provider closes what is half closed, at once or, where a request is waiting behind a held one, after the hold.
const SOON: Duration = Duration::from_secs(20);

const HEADS: [&str; 12] = [
    "GET /traefik HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /traefik HTTP/1.0\r\n\r\n",
    "GET /traefik HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=0\r\nX-Traefik-Instance: odd\r\n\r\n",
    "GET /traefik HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\n\r\n",
    "HEAD /traefik HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "PURGE /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    "POST /stacks/deals/traffic HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\ngreen",
    "POST /traefik HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ngreen\r\n0\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\ngreen\r\n",
    "GET /traefik HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

const ODD: [&str; 16] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    ":",
    "\r\n\r\n",
    "Content-Length: 99\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Prefer: wait=99999999999999999999\r\n",
    "Prefer: wait=-1\r\n",
    "X-Traefik-Instance: \u{1b}[31m\r\n",
    "GET",
    "HTTP/9.9",
    "/../../",
    "ffffffffffffffffff\r\n",
];

/// What is sent on one connection, in these pieces.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let junk = prop::collection::vec(any::<u8>(), 0..200);
    let large =
        (0..40_000_usize, select(&["x", "X-A: b\r\n", "/", "%00"])).prop_map(|(times, what)| {
            format!("GET /{} HTTP/1.1\r\n\r\n", what.repeat(times)).into_bytes()
        });
    let odd = (select(&HEADS), any::<Index>(), select(&ODD)).prop_map(|(head, at, odd)| {
        let (before, after) = head.split_at(at.index(head.len()));
        [before, odd, after].concat().into_bytes()
    });
    let cut = (select(&HEADS), any::<Index>())
        .prop_map(|(head, at)| head.as_bytes()[..at.index(head.len())].to_vec());
    let good = select(&HEADS).prop_map(|head| head.as_bytes().to_vec());
    let part = prop_oneof![5 => good, 4 => odd, 2 => cut, 2 => junk, 1 => large];
    let parts = prop::collection::vec(part, 1..4);
    (parts, prop::collection::vec(any::<Index>(), 0..4)).prop_map(|(parts, cuts)| {
        let bytes = parts.concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        cuts.windows(2)
            .map(|cut| bytes[cut[0]..cut[1]].to_vec())
            .collect()
    })
}

/// Sends the pieces, closes this half, and returns what came until the other half was closed.
async fn exchange(address: SocketAddr, pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut received = Vec::new();
    for piece in pieces {
        // What is refused already is closed already.
        if stream.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let read = async { while matches!(stream.read_buf(&mut received).await, Ok(1..)) {} };
    let _ = tokio::time::timeout(GIVES_UP, read).await;
    let _ = stream.shutdown().await;
    let rest = async { while matches!(stream.read_buf(&mut received).await, Ok(1..)) {} };
    let ended = tokio::time::timeout(SOON, rest).await;
    assert!(
        ended.is_ok(),
        "it does not close: {:?}",
        String::from_utf8_lossy(&received)
    );
    received
}

/// What came are whole answers; a document among them is this one.
fn assert_answers(mut bytes: &[u8], sent: &[u8], document: &str) {
    let asked_for_heads = sent.windows(5).any(|part| part == b"HEAD ");
    while !bytes.is_empty() {
        let shown = String::from_utf8_lossy(bytes);
        let (head, rest) = shown.split_once("\r\n\r\n").expect("a whole head");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1."));
        let status = status.unwrap_or_else(|| panic!("no answer: {shown}"));
        let status: u16 = status[2..5].parse().unwrap();
        let headers: BTreeMap<_, _> = lines
            .map(|line| line.split_once(": ").expect("a header"))
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect();
        let length = headers
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let no_body = matches!(status, 100..=199 | 304);
        let only_head = asked_for_heads && (rest.is_empty() || rest.starts_with("HTTP/1."));
        let length = if no_body || only_head { 0 } else { length };
        let body = rest
            .get(..length)
            .unwrap_or_else(|| panic!("a part of an answer: {shown}"));
        if status == 200 && headers.contains_key("etag") && !only_head {
            assert_eq!(body, document);
        }
        assert!(status != 200 || only_head || !body.is_empty(), "{shown}");
        bytes = &bytes[head.len() + 4 + length..];
    }
}

async fn start() -> (Redis, Provider) {
    let redis = Redis::start().await;
    let options = Options::new(CONFIG, &redis.url());
    let provider = options
        .arg(&format!("--token={TOKEN}"))
        .arg("--hold=10ms")
        .start()
        .await;
    (redis, provider)
}

#[test]
fn raw_bytes_neither_stop_the_provider_nor_delay_a_poll() {
    let runtime = Runtime::new().unwrap();
    let (redis, provider) = runtime.block_on(start());
    let (mut held, document) = runtime.block_on(async {
        let mut held = Poller::connect(provider.address()).await;
        let document = held.poll(&[("X-Traefik-Instance", "edge")]).await;
        held.send_poll(&[("X-Traefik-Instance", "edge"), ("Prefer", "wait=600")])
            .await;
        (held, document.text().to_owned())
    });
    assert!(document.contains("deals-api-blue"));
    holds(CASES, pieces(), |pieces| {
        let received = runtime.block_on(exchange(provider.address(), &pieces));
        assert_answers(&received, &pieces.concat(), &document);
    });
    runtime.block_on(async {
        let mut new = Poller::connect(provider.address()).await;
        let answer = new.poll(&[]).await;
        assert_eq!((answer.status, answer.text()), (200, &*document));
        assert!(held.within(Duration::from_millis(1)).await.is_none());
        assert_eq!(redis.cli(&["EXISTS", "active"]).await, "0");
        redis.cli(&["SET", "active", "green"]).await;
        let answer = held.within(SOON).await.expect("the held poll is answered");
        assert_eq!((answer.status, color_of(&answer.json())), (200, "green"));
    });
    assert_eq!(provider.log().count("panic"), 0, "{}", provider.log());
}

/// An `Authorization` that does not show the token, but may be near to it.
fn unauthorized() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Bearer s3cre".to_owned()),
        Just("Bearer s3crett".to_owned()),
        Just("Bearer S3CRET".to_owned()),
        Just("s3cret".to_owned()),
        Just("Basic s3cret".to_owned()),
        // Passwords that are the token: they open what reads only.
        Just("BASIC eDpzM2NyZXQ=".to_owned()),
        Just("Basic OnMzY3JldA==".to_owned()),
        Just("Digest s3cret".to_owned()),
        Just("Basic czNjcmV0".to_owned()),
        "[ -~]{0,40}".prop_filter("it shows the token", |text| !text.contains(TOKEN)),
    ]
}

fn authorized() -> impl Strategy<Value = String> {
    let forms = ["Bearer s3cret", "bearer  s3cret", "BEARER s3cret "];
    select(forms.to_vec()).prop_map(str::to_owned)
}

/// What is sent as a traffic value, often one.
fn values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => select(&["blue", "green", " green\n", "blue:90,green:10", "green:1,blue:0", "blue:1,green:1"])
            .prop_map(|value| value.as_bytes().to_vec()),
        3 => traffic::pieces().prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..100),
        1 => (4000..6000_usize).prop_map(|spaces| format!("{}green", " ".repeat(spaces)).into_bytes()),
    ]
}

#[test]
fn only_an_authorized_valid_value_changes_the_key() {
    const COLORS: [&str; 2] = ["blue", "green"];
    let runtime = Runtime::new().unwrap();
    let (redis, provider) = runtime.block_on(start());
    let connection = runtime.block_on(redis.connection());
    let inputs = (
        prop_oneof![
            authorized().prop_map(|text| (true, text)),
            unauthorized().prop_map(|text| (false, text))
        ],
        values(),
        "[ -~]{0,60}",
        any::<bool>(),
    );
    holds(
        CASES,
        inputs,
        |((may, authorization), value, why, chunked)| {
            let mut body = value.clone();
            let length = value.len().to_string();
            let framing = if chunked {
                body = format!("{:x}\r\n", value.len()).into_bytes();
                if !value.is_empty() {
                    body.extend(&value);
                    body.extend(b"\r\n0\r\n");
                }
                body.extend(b"\r\n");
                ("Transfer-Encoding", "chunked")
            } else {
                ("Content-Length", length.as_str())
            };
            let headers = [
                ("Authorization", &*authorization),
                ("X-Why", &*why),
                framing,
            ];
            let get = request("/stacks/deals/traffic", &headers);
            let post = [b"POST", &get[3..], &body].concat();
            runtime.block_on(async {
                let mut connection = connection.clone();
                let () = connection.set("active", "blue:7,green:8").await.unwrap();
                let mut poller = Poller::connect(provider.address()).await;
                poller.send(&post).await;
                let answer = poller.receive().await;
                let valid = traffic::model(&value, &COLORS);
                let now: String = connection.get("active").await.unwrap();
                match valid.filter(|_| may) {
                    Some(weights) => {
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        assert_eq!(traffic::model(now.as_bytes(), &COLORS), Some(weights));
                        assert_eq!(answer.json()["to"], json!(now));
                    }
                    None => {
                        assert_eq!(
                            answer.status,
                            if may { 400 } else { 401 },
                            "{}",
                            answer.text()
                        );
                        assert_eq!(now, "blue:7,green:8");
                    }
                }
            });
        },
    );
    assert_eq!(provider.log().count("panic"), 0, "{}", provider.log());
}
