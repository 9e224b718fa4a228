//! Bad input: nothing from outside stops the provider, and who polls is answered.

use std::time::{Duration, Instant};

use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::http;
use crate::support::poll::{Poller, Received, request};
use crate::support::provider::{Options, Provider};
use crate::support::redis::Redis;
use crate::support::stack::{CONFIG, HOSTS, Stack, color_of};
use crate::support::traefik;

const SOON: Duration = Duration::from_secs(15);

const NAME: (&str, &str) = ("X-Traefik-Instance", "edge");

async fn start(args: &[&str]) -> (Redis, Provider) {
    let redis = Redis::start().await;
    let mut options = Options::new(CONFIG, &redis.url());
    for arg in args {
        options = options.arg(arg);
    }
    (redis, options.start().await)
}

/// It lives, answers, and has not panicked.
async fn is_well(provider: &Provider) {
    let mut poller = Poller::connect(provider.address()).await;
    poller.send_poll(&[]).await;
    let answer = poller.within(SOON).await.expect("a poll is answered");
    assert_eq!((answer.status, color_of(&answer.json())), (200, "blue"));
    assert_eq!(provider.log().count("panic"), 0, "{}", provider.log());
}

async fn ask(provider: &Provider, method: &str, path: &str) -> Received {
    let mut poller = Poller::connect(provider.address()).await;
    let get = request(path, &[("Content-Length", "0")]);
    poller.send(&[method.as_bytes(), &get[3..]].concat()).await;
    poller.receive().await
}

#[tokio::test]
async fn an_unknown_path_is_answered_with_those_that_there_are() {
    let (_redis, provider) = start(&[]).await;
    for path in [
        "/",
        "/traefik/",
        "/Traefik",
        "//traefik",
        "/api/http",
        "/%2e%2e",
        "*",
    ] {
        for method in ["GET", "POST"] {
            let answer = ask(&provider, method, path).await;
            assert_eq!(answer.status, 404, "{method} {path}");
            for known in ["/traefik", "/status", "/healthz", "/readyz", "/metrics"] {
                assert!(answer.text().contains(known), "{}", answer.text());
            }
        }
    }
    // A query changes nothing.
    assert_eq!(ask(&provider, "GET", "/traefik?a=b").await.status, 200);
    is_well(&provider).await;
}

#[tokio::test]
async fn another_method_is_answered_with_those_that_are_allowed() {
    let (_redis, provider) = start(&[]).await;
    for path in ["/traefik", "/status", "/healthz", "/readyz", "/metrics"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
            let answer = ask(&provider, method, path).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }
    is_well(&provider).await;
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let (_redis, provider) = start(&[]).await;
    let long = "x".repeat(20_000);
    let many: Vec<_> = (0..150).map(|n| format!("X-{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    let path = format!("/traefik?{long}");
    for (head, statuses) in [
        (request("/traefik", &[("X-Long", &long)]), [431, 431]),
        (request("/traefik", &many), [431, 431]),
        (request(&path, &[]), [414, 431]),
    ] {
        let mut poller = Poller::connect(provider.address()).await;
        poller.send(&head).await;
        let answer = poller.receive().await;
        assert!(statuses.contains(&answer.status), "{answer:?}");
        assert!(poller.closed_within(SOON).await);
    }
    // What Traefik may well send is let in.
    let some = "x".repeat(8_000);
    let mut poller = Poller::connect(provider.address()).await;
    assert_eq!(poller.poll(&[("Cookie", &some)]).await.status, 200);
    is_well(&provider).await;
}

/// A new connection has 10 s for its first request; who polls may take longer for the next one.
#[tokio::test]
async fn who_sends_no_whole_request_is_cut_off() {
    let (redis, provider) = start(&["--hold=60s"]).await;
    let mut idle = Poller::connect(provider.address()).await;
    idle.poll(&[("X-Traefik-Instance", "idle")]).await;
    let mut held = Poller::connect(provider.address()).await;
    held.poll(&[NAME]).await;
    held.send_poll(&[NAME]).await;
    let began = Instant::now();
    let mut silent = Poller::connect(provider.address()).await;
    let mut slow = Poller::connect(provider.address()).await;
    let mut head = request("/traefik", &[("X-Slow", "header")]).into_iter();
    let cut = async {
        // One byte at a time, and never the last one.
        while !slow.closed_within(Duration::from_millis(500)).await {
            slow.send(&[head.next().unwrap()]).await;
        }
        began.elapsed()
    };
    let (cut, silent_closed) = tokio::join!(cut, silent.closed_within(Duration::from_secs(20)));
    assert!(silent_closed);
    let allowed = Duration::from_secs(10)..Duration::from_secs(18);
    assert!(allowed.contains(&cut), "{cut:?}");

    assert!(!idle.closed_within(Duration::from_millis(1)).await);
    assert!(held.within(Duration::from_millis(1)).await.is_none());
    redis.cli(&["SET", "active", "green"]).await;
    assert_eq!(color_of(&held.receive().await.json()), "green");
    assert_eq!(color_of(&idle.poll(&[]).await.json()), "green");
}

/// As many as the system allows this process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_keep_no_traefik_from_its_poll() {
    let files = rlimit::increase_nofile_limit(12_000).unwrap();
    let connections = usize::try_from(files)
        .unwrap()
        .saturating_sub(1_500)
        .min(10_000);
    if connections < 10_000 {
        eprintln!("only {connections} connections: the system allows this process {files} files");
    }
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let traefik = stack.plain_traefik(&provider, "edge").await;
    let mut idle = Vec::new();
    for _ in 0..connections {
        idle.push(Poller::connect(provider.address()).await);
    }
    provider.instance_has("edge", "held", true).await;
    redis.cli(&["SET", "active", "green"]).await;
    traefik.wait_for(HOSTS[0], "green").await;
    let mut new = Poller::connect(provider.address()).await;
    assert_eq!(color_of(&new.poll(&[]).await.json()), "green");
    drop(idle);
    let polls = traefik
        .log()
        .lines()
        .into_iter()
        .filter(|line| line.contains(" ERR "));
    assert_eq!(polls.collect::<Vec<_>>(), [""; 0]);
    assert_eq!(provider.log().count("panic"), 0);
}

/// 300 files leave room for 172 connections.
#[tokio::test]
async fn where_there_are_too_many_connections_those_go_first_that_have_asked_nothing() {
    let redis = Redis::start().await;
    let options = Options::new(CONFIG, &redis.url())
        .arg("--hold=60s")
        .open_files(300);
    let provider = options.start().await;
    let mut held = Poller::connect(provider.address()).await;
    held.poll(&[NAME]).await;
    held.send_poll(&[NAME]).await;
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(Poller::connect(provider.address()).await);
    }
    assert!(
        idle[0].closed_within(Duration::from_secs(5)).await,
        "the oldest goes first"
    );
    let mut new = Poller::connect(provider.address()).await;
    new.send_poll(&[]).await;
    let answer = new
        .within(Duration::from_secs(5))
        .await
        .expect("there is room for it");
    assert_eq!(answer.status, 200);
    redis.cli(&["SET", "active", "green"]).await;
    assert_eq!(color_of(&held.receive().await.json()), "green");
    assert_eq!(provider.log().count("can't be accepted"), 0);
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_their_order() {
    let (redis, provider) = start(&["--hold=60s"]).await;
    let mut poller = Poller::connect(provider.address()).await;
    let health = request("/healthz", &[]);
    let poll = request("/traefik", &[NAME]);
    poller
        .send(&[&health[..], &poll, &health, &poll, &health].concat())
        .await;
    assert_eq!(poller.receive().await.text(), "ok\n");
    assert_eq!(color_of(&poller.receive().await.json()), "blue");
    assert_eq!(poller.receive().await.text(), "ok\n");
    provider.instance_has("edge", "held", true).await;
    assert!(poller.within(Duration::from_millis(20)).await.is_none());
    redis.cli(&["SET", "active", "green"]).await;
    let pushed = poller.within(SOON).await.expect("the change is pushed");
    assert_eq!(color_of(&pushed.json()), "green");
    assert_eq!(poller.receive().await.text(), "ok\n");
}

#[tokio::test]
async fn whatever_is_no_request_ends_only_its_own_connection() {
    let (_redis, provider) = start(&[]).await;
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    hello.resize(517, 7);
    let noise: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let refused: [&[u8]; 9] = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        &hello,
        &noise,
        b"\r\n\r\n\r\n\r\nhello\r\n\r\n",
        b"GET /traefik HTTP/9.9\r\n\r\n",
        b"GET /traefik HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /traefik HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /traefik HTTP/1.1\r\nX Y: z\r\n\r\n",
        b"*3\r\n$3\r\nSET\r\n$6\r\nactive\r\n$5\r\ngreen\r\n",
    ];
    for bytes in refused {
        let mut poller = Poller::connect(provider.address()).await;
        poller.send(bytes).await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
        let closed = eventually("it is closed", SOON, async || {
            if poller.closed_within(Duration::from_secs(5)).await {
                Ok(())
            } else {
                Err(&shown)
            }
        });
        closed.await;
    }
    is_well(&provider).await;
}

#[tokio::test]
async fn a_body_that_nobody_wants_is_not_waited_for() {
    let (_redis, provider) = start(&["--hold=60s"]).await;
    for (method, length, status) in [
        ("GET", "99999999999999", 200),
        ("GET", "5", 200),
        ("POST", "99999999999999", 405),
    ] {
        let mut poller = Poller::connect(provider.address()).await;
        let head = request("/traefik", &[("Content-Length", length)]);
        poller.send(&[method.as_bytes(), &head[3..]].concat()).await;
        let answer = poller.within(SOON).await.expect("only the head matters");
        assert_eq!(answer.status, status, "{method} {length}");
    }
    let mut poller = Poller::connect(provider.address()).await;
    let chunked = request("/traefik", &[("Transfer-Encoding", "chunked")]);
    poller.send(&chunked).await;
    assert_eq!(poller.receive().await.status, 200);
    is_well(&provider).await;
}

#[tokio::test]
async fn a_second_provider_on_the_same_port_says_so_and_ends() {
    let (_redis, provider) = start(&[]).await;
    let address = provider.address().to_string();
    Cli::new(&["serve", "--listen", &address])
        .of(&provider)
        .code(1)
        .stderr(&format!("{address} is in use"))
        .stderr("hint: stop it, or give another address with --listen")
        .run()
        .await;
    is_well(&provider).await;
}

#[tokio::test]
async fn a_wrong_flag_is_a_usage_mistake() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bluegreen.yml"), CONFIG).unwrap();
    std::fs::write(dir.path().join("empty"), "\n").unwrap();
    for (arg, named) in [
        ("--store=http://127.0.0.1", "--store"),
        ("--store=", "--store"),
        ("--listen=nonsense", "--listen `nonsense`"),
        ("--listen=127.0.0.1:99999", "--listen `127.0.0.1:99999`"),
        ("--hold=soon", "--hold"),
        ("--hold=-1s", "--hold"),
        ("--hold=1e300", "--hold"),
        ("--timeout=x", "--timeout"),
        ("--log-format=xml", "--log-format"),
        ("--read-token=", "read token"),
        ("--read-token-file=empty", "read token"),
        ("--read-token-file=missing", "read token"),
        ("--config=missing.yml", "missing.yml"),
        ("--lisen=127.0.0.1:0", "--lisen"),
        ("green", "green"),
    ] {
        let run = Cli::new(&["serve", arg]).dir(dir.path()).code(2);
        run.stderr(named).stderr("error").run().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_must_show_the_read_token() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let options = Options::new(&stack.config(), &redis.url()).arg("--read-token=s3cret");
    let provider = options.start().await;
    let get = async |path: &str, authorization: Option<&str>| {
        let header = authorization.map(|value| ("Authorization", value));
        let answer = http::get(provider.address(), "localhost", path, header.as_slice());
        answer.await.unwrap()
    };
    for path in ["/traefik", "/status", "/metrics"] {
        for wrong in [
            None,
            Some("Bearer wrong"),
            Some("Basic d3Jvbmc="),
            Some("s3cret"),
        ] {
            let answer = get(path, wrong).await;
            assert_eq!(answer.status, 401, "{path} {wrong:?}");
            assert!(
                answer
                    .header("www-authenticate")
                    .unwrap()
                    .contains("Bearer")
            );
            assert!(!answer.text().contains("deals"));
        }
        // The second one is `traefik:s3cret`.
        for right in ["Bearer s3cret", "Basic dHJhZWZpazpzM2NyZXQ="] {
            assert_eq!(get(path, Some(right)).await.status, 200, "{path} {right}");
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(path, None).await.status, 200, "{path}");
    }
    let with_password = provider.url().replace("http://", "http://traefik:s3cret@");
    let by_url = traefik::Options::http(&with_password).start().await;
    by_url.wait_for(HOSTS[0], "blue").await;
    let by_header =
        traefik::Options::http(&provider.url()).header("Authorization", "Bearer s3cret");
    by_header.start().await.wait_for(HOSTS[0], "blue").await;
    assert_eq!(provider.log().count("s3cret"), 0);
}
