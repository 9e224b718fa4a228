//! Shares of a document: who polls `/traefik/STACK[,STACK]` gets these stacks, and is told of them alone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::poll::{Poller, request};
use crate::support::port::free_port;
use crate::support::provider::{Options, Provider};
use crate::support::redis::Redis;
use crate::support::traefik;

const SOON: Duration = Duration::from_secs(15);

const NAME: &str = "X-Traefik-Instance";

/// Stacks with one service each, whose servers are given by color.
fn config(stacks: &[&str], server: impl Fn(&str) -> String) -> String {
    let mut text = "stacks:\n".to_owned();
    for name in stacks {
        let (blue, green) = (server("blue"), server("green"));
        text += &format!(
            "  {name}: {{ key: {name}, entryPoints: [web], services: {{ web: {{ rule: 'Host(`{name}.localhost`)', \
             servers: {{ blue: '{blue}', green: '{green}' }} }} }} }}\n"
        );
    }
    text
}

/// Stacks whose servers nobody asks.
fn stacks(names: &[&str]) -> String {
    config(names, |_| "http://127.0.0.1:9".to_owned())
}

async fn start(config: &str) -> (Redis, Provider) {
    let redis = Redis::start().await;
    let options = Options::new(config, &redis.url()).arg("--hold=60s");
    (redis, options.start().await)
}

/// A poller of this path that calls itself so, whose second poll is held.
async fn held(provider: &Provider, name: &str, path: &str) -> Poller {
    let mut poller = Poller::connect(provider.address()).await;
    let poll = request(path, &[(NAME, name)]);
    poller.send(&poll).await;
    assert_eq!(poller.receive().await.status, 200);
    poller.send(&poll).await;
    provider.instance_has(name, "held", true).await;
    poller
}

/// The routers of a document without the marker's.
fn routers(document: &Value) -> Vec<&str> {
    let routers = document["http"]["routers"].as_object().unwrap();
    let names = routers.keys().map(String::as_str);
    names
        .filter(|name| !name.starts_with("bluegreen-"))
        .collect()
}

/// Flips a stack to green; the instances that were waited for.
async fn flip(provider: &Provider, stack: &str) -> Value {
    let flip = [
        "flip",
        "green",
        "--stack",
        stack,
        "--no-verify",
        "--timeout",
        "20",
        "--json",
    ];
    let flip = Cli::new(&flip).of(provider).any_stdout().any_stderr();
    flip.run().await.json()["instances"].take()
}

/// The instances that `bluegreen status` shows of a stack, from the store alone.
async fn instances(provider: &Provider, stack: &str) -> Vec<Value> {
    let status = Cli::new(&["status", "--json"]).of(provider).any_stdout();
    let mut status = status.run().await.json();
    let instances = status["stacks"][stack]["instances"].take();
    instances.as_array().unwrap().clone()
}

#[tokio::test]
async fn a_share_is_the_document_of_its_stacks() {
    let verbatim = "traefik: { http: { middlewares: { compress: { compress: {} } } } }\n\
                    marker: { entryPoint: traefik, port: 9 }\n";
    let (redis, provider) = start(&(stacks(&["a", "b", "c"]) + verbatim)).await;
    redis.cli(&["SET", "b", "green"]).await;
    provider.log_contains("the traffic moves").await;
    let b = provider.get("/traefik/b").await;
    let document = b.json();
    assert_eq!(routers(&document), ["b-web"]);
    assert_eq!(
        document["http"]["routers"]["b-web"]["service"],
        "b-web-green"
    );
    let services = document["http"]["services"].as_object().unwrap();
    assert_eq!(
        services.keys().collect::<Vec<_>>(),
        ["b-web-blue", "b-web-green"]
    );
    assert_eq!(
        document["http"]["middlewares"],
        json!({ "compress": { "compress": {} } })
    );
    let etag = b.header("etag").unwrap();
    let marker = &document["http"]["routers"]["bluegreen-marker"]["rule"];
    let revision = etag.trim_matches('"');
    assert_eq!(*marker, format!("Path(`/bluegreen/revision/{revision}`)"));

    // One share, however it is written; and the share of all is the whole.
    let ac = provider.get("/traefik/a,c").await;
    assert_eq!(routers(&ac.json()), ["a-web", "c-web"]);
    for same in ["/traefik/c,a", "/traefik/c,a,a,c"] {
        assert_eq!(provider.get(same).await.text(), ac.text());
    }
    let whole = provider.get("/traefik").await;
    assert_eq!(provider.get("/traefik/b,c,a").await.text(), whole.text());

    let mut poller = Poller::connect(provider.address()).await;
    poller
        .send(&request("/traefik/b", &[("If-None-Match", etag)]))
        .await;
    assert_eq!(poller.receive().await.status, 304);
}

#[tokio::test]
async fn a_change_of_one_stack_wakes_only_who_has_it() {
    let (redis, provider) = start(&stacks(&["a", "b"])).await;
    let mut a = held(&provider, "edge-a", "/traefik/a").await;
    let mut b = held(&provider, "edge-b", "/traefik/b").await;
    let mut whole = held(&provider, "edge", "/traefik").await;
    redis.cli(&["SET", "a", "green"]).await;
    for poller in [&mut a, &mut whole] {
        let answer = poller.within(SOON).await.expect("the change is pushed");
        assert_eq!(
            answer.json()["http"]["routers"]["a-web"]["service"],
            "a-web-green"
        );
    }
    assert!(b.within(Duration::from_millis(100)).await.is_none());
    redis.cli(&["SET", "b", "green"]).await;
    let answer = b.within(SOON).await.expect("the change is pushed");
    assert_eq!(
        answer.json()["http"]["routers"]["b-web"]["service"],
        "b-web-green"
    );
    assert_eq!(routers(&answer.json()), ["b-web"]);
}

/// Also where an instance of another stack hangs.
#[tokio::test]
async fn an_instance_counts_only_for_the_stacks_of_its_share() {
    let (_redis, provider) = start(&stacks(&["a", "b"])).await;
    let a = held(&provider, "edge-a", "/traefik/a").await;
    let _b = held(&provider, "edge-b", "/traefik/b").await;
    eventually("each is there", SOON, async || {
        let (a, b) = (
            instances(&provider, "a").await,
            instances(&provider, "b").await,
        );
        let ids = |of: &[Value]| of.iter().map(|i| i["id"].clone()).collect::<Vec<_>>();
        let confirmed = a
            .iter()
            .chain(&b)
            .all(|instance| instance["confirmed"] == true);
        if (ids(&a), ids(&b)) == (vec![json!("edge-a")], vec![json!("edge-b")]) && confirmed {
            Ok(())
        } else {
            Err(format!("{a:?} {b:?}"))
        }
    })
    .await;
    assert_eq!(provider.instance("edge-a").await["path"], "/traefik/a");
    assert_eq!(provider.instance("edge-a").await["confirmed"], true);

    // It takes the change and comes back; edge-b does nothing, and is not waited for.
    let polls = tokio::spawn(async move {
        let mut a = a;
        loop {
            a.receive().await;
            a.send(&request("/traefik/a", &[(NAME, "edge-a")])).await;
        }
    });
    assert_eq!(flip(&provider, "a").await, json!(["edge-a"]));
    let flip = [
        "flip",
        "green",
        "--stack",
        "b",
        "--no-verify",
        "--timeout",
        "1",
    ];
    let flip = Cli::new(&flip)
        .of(&provider)
        .code(5)
        .stderr("edge-b")
        .any_stdout();
    flip.run().await;
    polls.abort();
}

#[tokio::test]
async fn an_unknown_stack_is_named_and_makes_no_instance() {
    let (_redis, provider) = start(&stacks(&["a", "b"])).await;
    for (path, says) in [
        ("/traefik/x", "there is no stack `x`; there are `a`, `b`"),
        ("/traefik/a,B", "there is no stack `B`"),
        (
            "/traefik/",
            "there is nothing at `/traefik/`; there are /traefik, ",
        ),
        ("/traefik/a,,b", "there is no stack ``"),
        ("/traefik/a/b", "there is no stack `a/b`"),
        ("/traefik/a%2Cb", "there is no stack `a%2Cb`"),
    ] {
        let mut poller = Poller::connect(provider.address()).await;
        poller.send(&request(path, &[(NAME, "edge")])).await;
        let answer = poller.receive().await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
    }
    assert_eq!(provider.instance("edge").await, Value::Null);
    let many = format!("/traefik/{}", vec!["x"; 4000].join(",y"));
    assert!(provider.get(&many).await.text().len() < 1000);
}

/// Traefik keeps what it has on a 404; the instance is waited for, because it misses the changes of the others.
#[tokio::test]
async fn a_share_whose_stack_is_taken_out_is_refused_until_that_is_back() {
    let (_redis, provider) = start(&stacks(&["a", "b", "c"])).await;
    let mut poller = held(&provider, "edge", "/traefik/a,b").await;
    let mut other = held(&provider, "other", "/traefik/a").await;
    provider.write_config(&stacks(&["a", "c"]));
    let answer = poller.within(SOON).await.expect("there is nothing to hold");
    assert_eq!(
        (answer.status, answer.text()),
        (404, "there is no stack `b`; there are `a`, `c`\n")
    );
    assert!(other.within(Duration::from_millis(100)).await.is_none());
    poller
        .send(&request("/traefik/a,b", &[(NAME, "edge")]))
        .await;
    assert_eq!(poller.receive().await.status, 404);
    eventually("it has no document", SOON, async || {
        let of_a = instances(&provider, "a").await;
        let edge = of_a.iter().find(|instance| instance["id"] == "edge");
        match edge {
            Some(edge) if edge["confirmed"] == false => Ok(()),
            _ => Err(format!("{of_a:?}")),
        }
    })
    .await;
    assert_eq!(provider.instance("edge").await["holdCut"], Value::Null);

    provider
        .log_contains("the config lacks a stack of a share that is polled")
        .await;

    provider.write_config(&stacks(&["a", "b", "c"]));
    eventually("it is in force", SOON, async || {
        match provider.log().count("the new config is in force") {
            2 => Ok(()),
            count => Err(count),
        }
    })
    .await;
    poller
        .send(&request("/traefik/a,b", &[(NAME, "edge")]))
        .await;
    provider.instance_has("edge", "held", true).await;
    provider.instance_has("edge", "confirmed", true).await;
}

/// Which shares there are comes from outside: of eight stacks there could be 255.
#[tokio::test]
async fn there_is_an_end_to_different_shares() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let (_redis, provider) = start(&stacks(&names)).await;
    let (mut pollers, mut stacks) = (Vec::new(), 0);
    for subset in 1..256_u32 {
        let of_it = (0..8).filter(|i| subset & (1 << i) != 0);
        let of_it: Vec<_> = of_it.map(|i| names[i]).collect();
        let poll = request(&format!("/traefik/{}", of_it.join(",")), &[]);
        let mut poller = Poller::connect(provider.address()).await;
        poller.send(&poll).await;
        let answer = poller.receive().await;
        if answer.status == 503 {
            assert!(answer.text().contains("too many different shares"));
            break;
        }
        stacks += of_it.len();
        poller.send(&poll).await;
        pollers.push(poller);
    }
    assert!((400..=512).contains(&stacks), "{stacks}");
    assert_eq!(provider.get("/traefik").await.status, 200);
}

#[tokio::test]
async fn a_name_that_polls_two_paths_is_told() {
    let (_redis, provider) = start(&stacks(&["a", "b"])).await;
    let _a = held(&provider, "edge", "/traefik/a").await;
    let mut b = Poller::connect(provider.address()).await;
    b.send(&request("/traefik/b", &[(NAME, "edge")])).await;
    assert_eq!(b.receive().await.status, 200);
    provider
        .log_contains("another path is polled under the same name")
        .await;
    let edge = provider.instance("edge").await;
    assert_eq!(
        (&edge["path"], &edge["otherPaths"]),
        (
            &json!("/traefik/a"),
            &json!({ "paths": ["/traefik/b"], "more": 0 })
        )
    );
    eventually("status tells it", SOON, async || {
        let run = Cli::new(&["status", "--stack", "a"])
            .of(&provider)
            .any_stdout();
        let text = run.run().await.stdout;
        if text.contains("other paths are polled under this name, too (/traefik/b)") {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}

/// The real Traefik: it has its stack only, applies a flip of it, and a verbatim router's service is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traefik_takes_its_share() {
    let (redis, backend) = (
        Redis::start().await,
        Backend::start("web", &["blue", "green"]).await,
    );
    let port = free_port();
    let text = config(&["a", "b", "c"], |color| backend.url(color))
        + "traefik: { http: { routers: { extra: { entryPoints: [web], rule: 'Host(`extra.localhost`)', service: b-web-blue } } } }\n"
        + &format!("marker: {{ entryPoint: marker, port: {port} }}\n");
    let provider = Options::new(&text, &redis.url()).start().await;
    let traefik = traefik::Options::recommended(&format!("{}/a", provider.url()), "edge-a")
        .arg(&format!("--entryPoints.marker.address=127.0.0.1:{port}"))
        .start()
        .await;
    traefik.wait_for("a.localhost", "blue").await;
    traefik.wait_for("extra.localhost", "blue").await;
    // To b the verbatim router refers.
    let routers: Vec<_> = traefik.routers().await.into_keys().collect();
    assert_eq!(
        routers,
        [
            "a-web@http",
            "b-web@http",
            "bluegreen-marker@http",
            "extra@http"
        ]
    );
    provider.instance_has("edge-a", "applied", true).await;
    for stack in ["a", "b"] {
        assert_eq!(flip(&provider, stack).await, json!(["edge-a"]));
        let host = format!("{stack}.localhost");
        assert_eq!(traefik.get(&host, "/").await.color(), Some("green"));
    }
    assert_eq!(traefik.get("c.localhost", "/").await.status, 404);
    assert_eq!(flip(&provider, "c").await, json!([]));
}
