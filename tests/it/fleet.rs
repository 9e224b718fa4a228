//! The fleet: who polls, what each of them has, and who is waited for no longer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::handshake;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;

use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::poll::Poller;
use crate::support::port::free_port;
use crate::support::provider::{Options, Provider};
use crate::support::redis::Redis;
use crate::support::stack::{CONFIG, HOSTS, Stack, color_of};
use crate::support::traefik::{self, Traefik};

const SOON: Duration = Duration::from_secs(15);

const NAME: &str = "X-Traefik-Instance";

async fn start() -> (Redis, Provider) {
    let redis = Redis::start().await;
    let options = Options::new(CONFIG, &redis.url());
    (redis, options.arg("--hold=60s").start().await)
}

/// Sends a poll, and waits until it is held: what came before is confirmed then.
async fn hold(provider: &Provider, poller: &mut Poller, name: &str) -> Value {
    poller.send_poll(&[(NAME, name)]).await;
    provider.instance_has(name, "held", true).await
}

/// What `bluegreen status` shows of the stack, from the store alone.
async fn seen_from_the_store(provider: &Provider) -> Value {
    let status = Cli::new(&["status", "--json"]).of(provider).any_stdout();
    status.run().await.json()["stacks"]["deals"].take()
}

#[tokio::test]
async fn an_instance_is_known_by_its_header_or_else_by_its_address() {
    let (_redis, provider) = start().await;
    let mut named = Poller::connect(provider.address()).await;
    named.poll(&[(NAME, "edge-1")]).await;
    let mut unnamed = Poller::connect(provider.address()).await;
    unnamed.poll(&[]).await;
    unnamed.send_poll(&[]).await;
    provider.instance_has("127.0.0.1", "held", true).await;

    let mut useless = Vec::new();
    for name in [" ", &"x".repeat(129), "\u{7f}"] {
        let mut poller = Poller::connect(provider.address()).await;
        poller.send_poll(&[(NAME, name)]).await;
        useless.push(poller);
    }
    let status = provider.status().await;
    let instances = status["instances"].as_array().unwrap();
    let ids: Vec<_> = instances.iter().map(|instance| &instance["id"]).collect();
    assert_eq!(ids, ["127.0.0.1", "edge-1"]);
    for instance in instances {
        assert_eq!(instance["address"], "127.0.0.1");
        assert_eq!(instance["revision"], status["revision"]);
        assert_eq!(instance["applied"], Value::Null, "there is no marker");
    }
}

#[tokio::test]
async fn only_the_next_poll_on_the_same_connection_confirms() {
    let (redis, provider) = start().await;
    let mut poller = Poller::connect(provider.address()).await;
    poller.poll(&[(NAME, "edge")]).await;
    let fetched = provider.instance("edge").await;
    assert_eq!(fetched["revision"], provider.status().await["revision"]);
    assert_eq!(fetched["confirmed"], false);

    let mut other = Poller::connect(provider.address()).await;
    other.poll(&[(NAME, "edge")]).await;
    assert_eq!(provider.instance("edge").await["confirmed"], false);
    drop(other);
    let came_back = hold(&provider, &mut poller, "edge").await;
    assert_eq!(came_back["confirmed"], true);

    redis.cli(&["SET", "active", "green"]).await;
    assert_eq!(color_of(&poller.receive().await.json()), "green");
    let fetched = provider.instance_has("edge", "held", false).await;
    assert_eq!(fetched["revision"], provider.status().await["revision"]);
    assert_eq!(fetched["confirmed"], false);
    let came_back = hold(&provider, &mut poller, "edge").await;
    assert_eq!(came_back["confirmed"], true);
}

#[tokio::test]
async fn who_looks_in_once_is_no_instance() {
    let (_redis, provider) = start().await;
    for _ in 0..3 {
        provider.get("/traefik").await;
    }
    let none = async || {
        let status = provider.status().await;
        if status["instances"] == serde_json::json!([]) {
            Ok(())
        } else {
            Err(status)
        }
    };
    eventually("there is no instance", SOON, none).await;
    assert_eq!(provider.log().count("an instance has come"), 0);
    let seen = seen_from_the_store(&provider).await;
    assert_eq!(seen["instances"], serde_json::json!([]));
}

/// One client without a token makes up names: each polls once, on one connection or on its own. Flips do not wait for
/// them, and one line says who it is.
#[tokio::test]
async fn made_up_names_hold_up_no_flip_and_are_told_of_in_one_line() {
    let (_redis, provider) = start().await;
    let mut edge = Poller::connect(provider.address()).await;
    edge.poll(&[(NAME, "edge")]).await;
    hold(&provider, &mut edge, "edge").await;
    let mut client = Poller::connect(provider.address()).await;
    let names = 2_000;
    for i in 0..names {
        client.poll(&[(NAME, &format!("made-up-{i}"))]).await;
        if i % 10 == 0 {
            client = Poller::connect(provider.address()).await;
        }
    }
    drop(client);
    eventually("the last of them has left", SOON, async || {
        let instances = provider.status().await["instances"].take();
        if instances.as_array().unwrap().len() == 1 {
            Ok(())
        } else {
            Err(instances)
        }
    })
    .await;
    let flip = Cli::new(&["flip", "green", "--no-verify"]).of(&provider);
    let flip = flip.stdout("by 1 instance").start();
    edge.receive().await;
    edge.send_poll(&[(NAME, "edge")]).await;
    flip.end().await;
    let floods = "polls come under ever new names";
    let line = provider.log_contains(floods).await;
    assert!(line.contains("address=127.0.0.1"), "{line}");
    assert!(line.contains(&format!("names={names}")), "{line}");
    assert_eq!(provider.log().count(floods), 1);
    assert_eq!(provider.log().count("made-up"), 0);
    let instances = provider.status().await["instances"].take();
    assert_eq!(instances.as_array().unwrap().len(), 1, "{instances}");
}

/// Many who never come back: what is said of them is short, in the log, in the error and in the history.
#[tokio::test]
async fn of_many_that_do_not_confirm_the_first_few_are_named() {
    let (redis, provider) = start().await;
    let mut client = Poller::connect(provider.address()).await;
    for i in 0..300 {
        for _ in 0..2 {
            let poll = [(NAME, &*format!("edge-{i:03}")), ("Prefer", "wait=0")];
            client.poll(&poll).await;
        }
    }
    let flip = Cli::new(&["flip", "green", "--no-verify", "--timeout", "1s"]).of(&provider);
    let run = flip.code(5).stderr("and 295 more").any_stdout().run().await;
    assert!(run.stderr.len() < 4_000, "{}", run.stderr);
    let why = redis.cli(&["XREVRANGE", "{active}:history", "+", "-", "COUNT", "1"]);
    let why = why.await;
    assert!(why.contains("edge-000, edge-001"), "{why}");
    assert!(why.contains("and 295 more"), "{why}");
    let came = provider.log().count("an instance has come");
    assert!(came < 300, "{came} lines");
}

#[tokio::test]
async fn with_a_token_only_who_shows_it_is_an_instance() {
    let redis = Redis::start().await;
    let options = Options::new(CONFIG, &redis.url()).arg("--read-token=secret");
    let provider = options.arg("--hold=60s").start().await;
    for headers in [
        &[(NAME, "edge")][..],
        &[(NAME, "edge"), ("Authorization", "Bearer wrong")],
    ] {
        let mut poller = Poller::connect(provider.address()).await;
        for _ in 0..2 {
            assert_eq!(poller.poll(headers).await.status, 401);
        }
    }
    assert_eq!(provider.log().count("a poll is refused"), 1, "said once");
    let seen = seen_from_the_store(&provider).await;
    assert_eq!(seen["instances"], serde_json::json!([]));
    let mut poller = Poller::connect(provider.address()).await;
    let headers = [(NAME, "edge"), ("Authorization", "Bearer secret")];
    assert_eq!(poller.poll(&headers).await.status, 200);
    poller.send_poll(&headers).await;
    eventually("it is an instance", SOON, async || {
        let seen = seen_from_the_store(&provider).await;
        if seen["instances"][0]["held"] == true {
            Ok(())
        } else {
            Err(seen)
        }
    })
    .await;
}

/// A proxy that closes the connection to the provider after each answer, as nginx does by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traefik_behind_a_proxy_that_keeps_no_connection_is_told_of_with_the_reason() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let proxy = keeps_no_connection(provider.address()).await;
    let endpoint = format!("http://{proxy}/traefik");
    let traefik = traefik::Options::recommended(&endpoint, "edge")
        .start()
        .await;
    let instance = provider.instance_has("edge", "reconnects", true).await;
    assert_eq!(instance["counts"], true);
    assert_eq!(instance["confirmed"], false);
    provider
        .log_contains("each poll comes on a connection of its own")
        .await;
    let status = Cli::new(&["status"]).of(&provider).any_stdout();
    let status = status.run().await.stdout;
    assert!(status.contains("on a connection of its own"), "{status}");
    let flip = Cli::new(&["flip", "green", "--no-verify", "--timeout", "2s"]).of(&provider);
    let flip = flip
        .code(5)
        .stderr("each of its polls comes on a connection of its own");
    flip.stderr("--read-token").run().await;
    traefik.wait_for(HOSTS[0], "blue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_token_a_traefik_behind_such_a_proxy_is_held_and_confirms_by_its_name() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let options = Options::new(&stack.config(), &redis.url()).arg("--read-token=secret");
    let provider = options.start().await;
    let proxy = keeps_no_connection(provider.address()).await;
    let endpoint = format!("http://traefik:secret@{proxy}/traefik");
    let traefik = traefik::Options::recommended(&endpoint, "edge")
        .start()
        .await;
    let seen = async || seen_from_the_store(&provider).await["instances"][0].clone();
    let held = async || {
        let instance = seen().await;
        if instance["held"] == true && instance["confirmed"] == true {
            Ok(())
        } else {
            Err(instance)
        }
    };
    for color in ["green", "blue", "green"] {
        eventually("a poll is held", SOON, held).await;
        let flip = Cli::new(&["flip", color, "--no-verify", "--timeout", "5s"]).of(&provider);
        flip.stdout("by 1 instance").stdout("edge").run().await;
        traefik.wait_for(HOSTS[0], color).await;
    }
    assert_eq!(seen().await["reconnects"], true);
}

/// Passes each request on over a connection of its own, and its answer back; the client's connection stays open.
async fn keeps_no_connection(target: SocketAddr) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let service = service_fn(move |mut request| async move {
                let stream = tokio::net::TcpStream::connect(target).await.unwrap();
                let (mut sender, driver) = handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(driver);
                let headers: &mut HeaderMap = Request::headers_mut(&mut request);
                headers.insert("connection", HeaderValue::from_static("close"));
                let mut answer = sender.send_request(request).await?;
                answer.headers_mut().remove("connection");
                Ok::<_, hyper::Error>(answer)
            });
            let serve = hyper::server::conn::http1::Builder::new();
            tokio::spawn(serve.serve_connection(TokioIo::new(client), service));
        }
    });
    address
}

#[tokio::test]
async fn two_that_share_a_name_have_confirmed_what_both_have() {
    let (redis, provider) = start().await;
    let mut one = Poller::connect(provider.address()).await;
    one.poll(&[(NAME, "edge")]).await;
    hold(&provider, &mut one, "edge").await;
    let mut two = Poller::connect(provider.address()).await;
    two.poll(&[(NAME, "edge")]).await;
    provider.instance_has("edge", "confirmed", false).await;
    two.send_poll(&[(NAME, "edge")]).await;
    provider.instance_has("edge", "confirmed", true).await;

    redis.cli(&["SET", "active", "green"]).await;
    assert_eq!(color_of(&one.receive().await.json()), "green");
    assert_eq!(color_of(&two.receive().await.json()), "green");
    let half = hold(&provider, &mut one, "edge").await;
    assert_eq!(half["confirmed"], false, "the other one has not come back");
    two.send_poll(&[(NAME, "edge")]).await;
    provider.instance_has("edge", "confirmed", true).await;
}

/// One that has come back at once each time has a cadence of nothing and a grace of 5 s. Who is held can't be seen, and who
/// was not answered is given the time of Traefik's backoff.
#[tokio::test]
async fn who_is_unseen_for_longer_than_its_cadence_allows_is_gone() {
    let (_redis, provider) = start().await;
    let (mut held, mut cut) = (
        Poller::connect(provider.address()).await,
        Poller::connect(provider.address()).await,
    );
    for (poller, name) in [(&mut held, "held"), (&mut cut, "cut")] {
        poller.poll(&[(NAME, name)]).await;
        hold(&provider, poller, name).await;
    }
    drop(cut);
    let mut silent = Poller::connect(provider.address()).await;
    for _ in 0..2 {
        silent.poll(&[(NAME, "silent"), ("Prefer", "wait=0")]).await;
    }
    let last_seen = Instant::now();
    eventually("it is gone", SOON, async || {
        match provider.instance("silent").await {
            Value::Null => Ok(()),
            instance => Err(instance),
        }
    })
    .await;
    assert!(last_seen.elapsed() >= Duration::from_secs(5));
    for name in ["held", "cut"] {
        assert_ne!(provider.instance(name).await, Value::Null);
    }
    provider.log_contains("the instance is gone").await;
    assert_eq!(provider.log().count("the instance is gone"), 1);
    let seen = seen_from_the_store(&provider).await;
    let instances = seen["instances"].as_array().unwrap().iter();
    let ids: Vec<_> = instances.map(|instance| &instance["id"]).collect();
    assert_eq!(ids, ["cut", "held"]);
}

/// Held for longer than Traefik's longest backoff and all grace: the poll breaks, Traefik comes back after its pause, and
/// meanwhile serves what it has.
#[tokio::test]
async fn whose_held_poll_breaks_is_waited_for_however_long_it_was_held() {
    let (redis, provider) = start().await;
    let long = [(NAME, "edge"), ("Prefer", "wait=50")];
    let mut poller = Poller::connect(provider.address()).await;
    poller.poll(&long).await;
    poller.send_poll(&long).await;
    assert!(poller.within(Duration::from_secs(32)).await.is_none());
    let seen = provider.instance("edge").await["lastSeen"].take();
    drop(poller);
    eventually("it was seen when it broke", SOON, async || {
        let instance = provider.instance("edge").await;
        if instance["held"] == false && instance["lastSeen"] != seen {
            Ok(())
        } else {
            Err(instance)
        }
    })
    .await;
    let flip = Cli::new(&["flip", "green", "--no-verify", "--timeout", "3s"]).of(&provider);
    let flip = flip.code(5).stderr("not every instance confirmed green");
    flip.stderr("edge (has not fetched it").run().await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "blue");
    assert_eq!(provider.log().count("the instance is gone"), 0);
}

/// The list of a large fleet is written now and then only; that its provider has died makes it no older.
#[tokio::test]
async fn whose_provider_has_died_is_waited_for_however_old_the_list_is() {
    let (redis, mut provider) = start().await;
    let mut poller = Poller::connect(provider.address()).await;
    poller.poll(&[(NAME, "edge-1")]).await;
    hold(&provider, &mut poller, "edge-1").await;
    eventually("it is in the store", SOON, async || {
        let seen = seen_from_the_store(&provider).await;
        if seen["instances"][0]["held"] == true {
            Ok(())
        } else {
            Err(seen)
        }
    })
    .await;

    provider.kill();
    let fields = redis.cli(&["HKEYS", "{active}:instances"]).await;
    let field = fields.lines().find(|field| field.ends_with("#instances"));
    let list = redis
        .cli(&["HGET", "{active}:instances", field.unwrap()])
        .await;
    let (at, list) = list.split_once(' ').unwrap();
    let ten_minutes_ago = at.parse::<u64>().unwrap() - 600_000;
    let old = format!("{ten_minutes_ago} {list}");
    redis
        .cli(&["HSET", "{active}:instances", field.unwrap(), &old])
        .await;
    eventually("the provider has stopped", SOON, async || {
        let seen = seen_from_the_store(&provider).await;
        assert_eq!(seen["instances"][0]["id"], "edge-1", "{seen}");
        if seen["instances"][0]["providerRuns"] == false {
            Ok(())
        } else {
            Err(seen)
        }
    })
    .await;
}

#[tokio::test]
async fn providers_on_one_store_share_one_view() {
    let (redis, mut first) = start().await;
    let second = Options::new(CONFIG, &redis.url())
        .arg("--hold=60s")
        .start()
        .await;
    let mut pollers = Vec::new();
    for (provider, name) in [(&first, "edge-1"), (&second, "edge-2")] {
        let mut poller = Poller::connect(provider.address()).await;
        poller.poll(&[(NAME, name)]).await;
        hold(provider, &mut poller, name).await;
        pollers.push(poller);
    }
    let names = [
        first.status().await["provider"].take(),
        second.status().await["provider"].take(),
    ];
    let seen = eventually("both see both", SOON, async || {
        let views = [
            seen_from_the_store(&first).await,
            seen_from_the_store(&second).await,
        ];
        let whole = views.iter().all(|view| {
            let all = view["instances"].as_array().unwrap();
            all.len() == 2
                && all
                    .iter()
                    .all(|i| i["confirmed"] == true && i["held"] == true)
        });
        let [one, other] = views;
        if whole { Ok([one, other]) } else { Err(one) }
    })
    .await;
    for view in &seen {
        let instances = view["instances"].as_array().unwrap().iter();
        let pairs: Vec<_> = instances.map(|i| (&i["id"], &i["provider"])).collect();
        let [edge_1, edge_2] = [Value::from("edge-1"), Value::from("edge-2")];
        assert_eq!(pairs, [(&edge_1, &names[0]), (&edge_2, &names[1])]);
        assert_eq!(view["providers"].as_array().unwrap().len(), 2);
    }

    assert!(first.terminate().await.success());
    let view = seen_from_the_store(&second).await;
    let providers = view["providers"].as_array().unwrap();
    assert_eq!((providers.len(), &providers[0]["provider"]), (1, &names[1]));
    // Its Traefik serves on, and may come to the other one.
    let orphan = &view["instances"][0];
    assert_eq!(
        (&orphan["id"], &orphan["providerRuns"]),
        (&"edge-1".into(), &false.into())
    );
    pollers.clear();
}

/// A provider with a marker, and a Traefik that polls it. The marker comes by a reload: its port is known only then.
async fn with_marker(entry_point: &str, args: &[&str]) -> (Stack, Redis, Provider, Traefik) {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let mut options = traefik::Options::recommended(&provider.url(), "edge");
    for arg in args {
        options = options.arg(arg);
    }
    let traefik = options.start().await;
    traefik.wait_for(HOSTS[0], "blue").await;
    assert_eq!(provider.instance("edge").await["applied"], Value::Null);
    let port = traefik.address(entry_point).port();
    let marker = format!("marker: {{ entryPoint: {entry_point}, port: {port} }}\n");
    provider.write_config(&(stack.config() + &marker));
    provider.instance_has("edge", "applied", true).await;
    (stack, redis, provider, traefik)
}

/// Once an instance has applied a document, its very next answer is by that document.
async fn applied_is_true_only_after_the_switch(entry_point: &str, args: &[&str]) {
    let (_stack, redis, provider, traefik) = with_marker(entry_point, args).await;
    for color in ["green", "blue", "green", "blue", "green", "blue"] {
        let before = provider.status().await["revision"].take();
        redis.cli(&["SET", "active", color]).await;
        eventually("it is applied", SOON, async || {
            let instance = provider.instance("edge").await;
            if instance["applied"] == true && instance["revision"] != before {
                Ok(())
            } else {
                Err(instance)
            }
        })
        .await;
        let answer = traefik.get(HOSTS[0], "/").await;
        assert_eq!((answer.status, answer.color()), (200, Some(color)));
    }
    assert_eq!(provider.log().count("does not confirm the document"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applied_is_seen_where_the_dashboard_hides_the_marker() {
    applied_is_true_only_after_the_switch("traefik", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applied_is_seen_without_traefiks_api() {
    applied_is_true_only_after_the_switch("traefik", &["--api.insecure=false"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applied_is_seen_on_the_entrypoint_of_the_traffic() {
    applied_is_true_only_after_the_switch("web", &["--api=false", "--api.insecure=false"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_traefik_rejects_is_confirmed_and_never_applied() {
    let (stack, redis, provider, traefik) = with_marker("traefik", &[]).await;
    let port = traefik.address("traefik").port();
    let rejected = format!(
        "{}marker: {{ entryPoint: traefik, port: {port} }}\nlenient: true\n\
         traefik: {{ http: {{ middlewares: {{ new: {{ fromTheFuture: {{ a: 1 }} }} }} }} }}\n",
        stack.config()
    );
    let before = provider.status().await["revision"].take();
    provider.write_config(&rejected);
    provider.log_contains("does not confirm the document").await;
    let instance = provider.instance_has("edge", "confirmed", true).await;
    assert_ne!(instance["revision"], before);
    assert_eq!(instance["applied"], false);
    assert_eq!(traefik.get(HOSTS[0], "/").await.color(), Some("blue"));

    let good = stack.config() + &format!("marker: {{ entryPoint: traefik, port: {port} }}\n");
    provider.write_config(&good);
    provider.instance_has("edge", "applied", true).await;
    redis.cli(&["SET", "active", "green"]).await;
    traefik.wait_for(HOSTS[0], "green").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_marker_is_asked_at_the_port_that_the_config_names_by_now() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let marker = |port| format!("marker: {{ entryPoint: traefik, port: {port} }}\n");
    let wrong = stack.config() + &marker(free_port());
    let provider = stack.provider(&wrong, &redis).await;
    let traefik = traefik::Options::recommended(&provider.url(), "edge")
        .start()
        .await;
    provider.log_contains("does not confirm the document").await;
    assert_eq!(provider.instance("edge").await["applied"], false);
    let revision = provider.status().await["revision"].take();
    let port = traefik.address("traefik").port();
    provider.write_config(&(stack.config() + &marker(port)));
    let instance = provider.instance_has("edge", "applied", true).await;
    assert_eq!(instance["revision"], revision, "the document is the same");
    redis.cli(&["SET", "active", "green"]).await;
    provider.instance_has("edge", "applied", true).await;
    traefik.wait_for(HOSTS[0], "green").await;
}

/// What was at the old address has fetched the document and answers for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_marker_is_asked_at_the_address_from_which_the_instance_polls_by_now() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let port = free_port();
    let marker = format!("marker: {{ entryPoint: marker, port: {port} }}\n");
    let provider = stack.provider(&(stack.config() + &marker), &redis).await;
    let mut before = Poller::connect(provider.address()).await;
    before.poll(&[(NAME, "edge")]).await;
    hold(&provider, &mut before, "edge").await;
    provider.log_contains("does not confirm the document").await;
    drop(before);

    let here = Ipv4Addr::new(127, 0, 0, 2);
    let endpoint = format!("http://{}/traefik", from(here, provider.address()).await);
    let traefik = traefik::Options::recommended(&endpoint, "edge")
        .arg(&format!("--entryPoints.marker.address={here}:{port}"))
        .start()
        .await;
    let instance = provider.instance_has("edge", "applied", true).await;
    assert_eq!(instance["address"], here.to_string());
    redis.cli(&["SET", "active", "green"]).await;
    traefik.wait_for(HOSTS[0], "green").await;
}

/// An address whose connections go on to the target from another one.
async fn from(source: Ipv4Addr, target: SocketAddr) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((source, 0).into()).unwrap();
            tokio::spawn(async move {
                if let Ok(mut there) = socket.connect(target).await {
                    // The end of either is that of both.
                    let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_generated_certificate_outlives_a_restart_and_traefik_serves_it() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let mut provider = stack.provider(&stack.config(), &redis).await;
    let certificate = async |provider: &Provider| {
        let document = provider.get("/traefik").await.json();
        document["tls"]["stores"]["default"]["defaultCertificate"].clone()
    };
    let made = certificate(&provider).await;
    assert!(provider.terminate().await.success());
    provider.restart().await;
    assert_eq!(certificate(&provider).await, made);

    let traefik = traefik::Options::recommended(&provider.url(), "edge")
        .entry_point("websecure")
        .arg("--entryPoints.websecure.http.tls=true")
        .start()
        .await;
    traefik.wait_for(HOSTS[0], "blue").await;
    let pem = made["certFile"].as_str().unwrap().to_owned();
    let address = traefik.address("websecure");
    eventually("traefik serves it", SOON, async || {
        let pem = pem.clone();
        // Threads of the blocking pool may not start processes; this one only talks.
        let talk = tokio::task::spawn_blocking(move || talk_tls(address, &pem));
        talk.await.unwrap()
    })
    .await;
}

/// Asks for `/` over TLS, trusting this certificate and no other.
fn talk_tls(address: SocketAddr, pem: &str) -> Result<(), String> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("bluegreen.default").unwrap();
    let client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let tcp = TcpStream::connect(address).map_err(|error| error.to_string())?;
    let mut stream = rustls::StreamOwned::new(client, tcp);
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    asked.map_err(|error| error.to_string())?;
    let mut answer = [0; 8];
    stream
        .read_exact(&mut answer)
        .map_err(|error| error.to_string())?;
    assert_eq!(&answer, b"HTTP/1.1");
    Ok(())
}
