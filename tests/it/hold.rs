//! The hold: a change is a push, and nothing else costs a poll, a request or a Traefik's patience.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::eventually;
use crate::support::load::Load;
use crate::support::poll::{Poller, request};
use crate::support::provider::{Options, Provider};
use crate::support::redis::Redis;
use crate::support::stack::{CONFIG, HOSTS, Stack, color_of};
use crate::support::traefik::{self, Traefik};

/// Far below the long holds that the tests ask for, and far above what an answer takes that is not held.
const SOON: Duration = Duration::from_secs(15);

/// A hold that no test waits for.
const LONG: &str = "--hold=60s";

async fn start(arg: &str) -> (Redis, Provider) {
    let redis = Redis::start().await;
    let provider = Options::new(CONFIG, &redis.url()).arg(arg).start().await;
    (redis, provider)
}

/// A poller that calls itself so, whose second poll is held.
async fn held(provider: &Provider, name: &str) -> Poller {
    let header = [("X-Traefik-Instance", name)];
    let mut poller = Poller::connect(provider.address()).await;
    assert_eq!(poller.poll(&header).await.status, 200);
    poller.send_poll(&header).await;
    provider.instance_has(name, "held", true).await;
    poller
}

/// What Traefik complains of.
fn errors(traefik: &Traefik) -> Vec<String> {
    let lines = traefik.log().lines().into_iter();
    lines.filter(|line| line.contains(" ERR ")).collect()
}

#[tokio::test]
async fn a_later_poll_on_a_connection_is_held_until_the_document_changes() {
    let (redis, provider) = start(LONG).await;
    let header = [("X-Traefik-Instance", "edge")];
    let mut poller = Poller::connect(provider.address()).await;
    poller.send_poll(&header).await;
    let first = poller
        .within(SOON)
        .await
        .expect("the first poll is not held");
    assert_eq!((first.status, color_of(&first.json())), (200, "blue"));
    assert_eq!(first.header("content-type"), Some("application/json"));

    poller.send_poll(&header).await;
    provider.instance_has("edge", "held", true).await;
    assert!(poller.within(Duration::from_millis(50)).await.is_none());
    redis.cli(&["SET", "active", "green"]).await;
    let second = poller.within(SOON).await.expect("the change is pushed");
    assert_eq!((second.status, color_of(&second.json())), (200, "green"));
    assert_ne!(first.header("etag"), second.header("etag"));
}

#[tokio::test]
async fn what_changes_between_two_polls_is_not_held() {
    let (redis, provider) = start(LONG).await;
    let mut poller = Poller::connect(provider.address()).await;
    assert_eq!(color_of(&poller.poll(&[]).await.json()), "blue");
    redis.cli(&["SET", "active", "green"]).await;
    eventually("green is served", SOON, async || {
        let status = provider.status().await;
        let traffic = &status["stacks"]["deals"]["traffic"];
        if traffic == "green" {
            Ok(())
        } else {
            Err(traffic.clone())
        }
    })
    .await;
    poller.send_poll(&[]).await;
    let second = poller
        .within(SOON)
        .await
        .expect("it is new to this connection");
    assert_eq!(color_of(&second.json()), "green");
}

#[tokio::test]
async fn a_set_to_the_same_value_or_to_none_releases_no_hold() {
    let (redis, provider) = start(LONG).await;
    let mut poller = held(&provider, "edge").await;
    for value in ["blue", " blue ", "blue:7", "BLUE", "purple", ""] {
        redis.cli(&["SET", "active", value]).await;
    }
    provider.log_contains("the value is empty").await;
    assert!(poller.within(Duration::from_millis(50)).await.is_none());
    redis.cli(&["SET", "active", "green"]).await;
    let answer = poller.within(SOON).await.expect("the change is pushed");
    assert_eq!(color_of(&answer.json()), "green");
}

#[tokio::test]
async fn a_hold_runs_out_when_the_request_or_else_the_flag_says_with_the_same_bytes() {
    let redis = Redis::start().await;
    for (arg, prefer) in [(LONG, Some("wait=1")), ("--hold=1s", None)] {
        let provider = Options::new(CONFIG, &redis.url()).arg(arg).start().await;
        let header = prefer.map(|prefer| ("Prefer", prefer));
        let mut poller = Poller::connect(provider.address()).await;
        let first = poller.poll(header.as_slice()).await;
        let asked = Instant::now();
        poller.send_poll(header.as_slice()).await;
        let second = poller.within(SOON).await.expect("a second is over soon");
        assert!(second.at.duration_since(asked) >= Duration::from_secs(1));
        assert_eq!((second.status, second.text()), (200, first.text()));
        assert_eq!(second.header("etag"), first.header("etag"));
    }
}

#[tokio::test]
async fn who_prefers_not_to_wait_never_waits() {
    let (_redis, provider) = start(LONG).await;
    let mut poller = Poller::connect(provider.address()).await;
    for _ in 0..5 {
        poller.send_poll(&[("Prefer", "wait=0")]).await;
        let answer = poller.within(SOON).await.expect("no hold");
        assert_eq!((answer.status, color_of(&answer.json())), (200, "blue"));
    }
}

#[tokio::test]
async fn a_preference_that_makes_no_sense_is_passed_over() {
    let (redis, provider) = start("--hold=50s").await;
    let garbage: [&[u8]; 8] = [
        b"wait",
        b"wait=",
        b"wait=-1",
        b"wait=1.5",
        b"wait=soon",
        b"wait=99999999999999999999999",
        b";;,=,\"",
        b"wait=\xff\xfe",
    ];
    let mut pollers = Vec::new();
    for (n, garbage) in garbage.iter().enumerate() {
        let name = format!("edge-{n}");
        let mut poller = Poller::connect(provider.address()).await;
        let head =
            format!("GET /traefik HTTP/1.1\r\nHost: x\r\nX-Traefik-Instance: {name}\r\nPrefer: ");
        let poll = [head.as_bytes(), garbage, b"\r\n\r\n"].concat();
        poller.send(&poll).await;
        assert_eq!(poller.receive().await.status, 200);
        poller.send(&poll).await;
        let instance = provider.instance_has(&name, "held", true).await;
        assert_eq!(instance["hold"], 50.0, "{instance}");
        pollers.push(poller);
    }
    redis.cli(&["SET", "active", "green"]).await;
    for poller in &mut pollers {
        let answer = poller.within(SOON).await.expect("the change is pushed");
        assert_eq!(color_of(&answer.json()), "green");
    }
}

#[tokio::test]
async fn a_new_connection_never_waits() {
    let (_redis, provider) = start(LONG).await;
    let _held = held(&provider, "edge").await;
    for name in ["edge", "other"] {
        let mut poller = Poller::connect(provider.address()).await;
        poller.send_poll(&[("X-Traefik-Instance", name)]).await;
        let answer = poller.within(SOON).await.expect("nothing was sent on it");
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn who_has_the_document_already_gets_304_also_at_the_end_of_a_hold() {
    let (redis, provider) = start("--hold=1s").await;
    let mut poller = Poller::connect(provider.address()).await;
    let first = poller.poll(&[]).await;
    let etag = first.header("etag").unwrap().to_owned();
    let asked = Instant::now();
    let second = poller.poll(&[("If-None-Match", &etag)]).await;
    assert!(second.at.duration_since(asked) >= Duration::from_secs(1));
    assert_eq!((second.status, second.text()), (304, ""));
    assert_eq!(second.header("etag"), Some(&*etag));

    let any_of = format!("\"another\", W/{etag}");
    for (tags, status) in [
        (&*etag, 304),
        (&*any_of, 304),
        ("*", 304),
        ("\"another\"", 200),
    ] {
        let mut new = Poller::connect(provider.address()).await;
        let answer = new.poll(&[("If-None-Match", tags)]).await;
        assert_eq!(answer.status, status, "If-None-Match: {tags}");
        assert_eq!(answer.body.is_empty(), status == 304);
    }

    redis.cli(&["SET", "active", "green"]).await;
    provider.log_contains("the traffic moves").await;
    let green = poller.poll(&[("If-None-Match", &etag)]).await;
    assert_eq!((green.status, color_of(&green.json())), (200, "green"));
}

#[tokio::test]
async fn the_etag_is_the_same_over_a_restart_and_on_every_provider() {
    let (redis, mut provider) = start(LONG).await;
    let etag = async |provider: &Provider| {
        let answer = provider.get("/traefik").await;
        answer.header("etag").unwrap().to_owned()
    };
    let blue = etag(&provider).await;
    let other = Options::new(CONFIG, &redis.url()).start().await;
    assert_eq!(etag(&other).await, blue);
    assert!(provider.terminate().await.success());
    provider.restart().await;
    assert_eq!(etag(&provider).await, blue);
    redis.cli(&["SET", "active", "green"]).await;
    other.log_contains("the traffic moves").await;
    assert_ne!(etag(&other).await, blue);
}

#[tokio::test]
async fn head_tells_of_the_document_and_is_no_poll() {
    let (_redis, provider) = start(LONG).await;
    let whole = provider.get("/traefik").await;
    let head = request("/traefik", &[("X-Traefik-Instance", "monitor")]);
    let head = [b"HEAD".as_slice(), &head[3..]].concat();
    let mut poller = Poller::connect(provider.address()).await;
    for _ in 0..3 {
        poller.send(&head).await;
        let answer = tokio::time::timeout(SOON, poller.receive_head()).await;
        let answer = answer.expect("it is not held");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("etag"), whole.header("etag"));
        assert_eq!(
            answer.header("content-length"),
            Some(&*whole.body.len().to_string())
        );
    }
    assert_eq!(provider.instance("monitor").await, Value::Null);
    // No byte of a body came in between.
    poller.send(&request("/healthz", &[])).await;
    assert_eq!(poller.receive().await.text(), "ok\n");
}

#[tokio::test]
async fn who_closes_held_polls_early_is_held_shorter_once_and_for_good_if_it_goes_on() {
    let (_redis, provider) = start(LONG).await;
    let name = [("X-Traefik-Instance", "edge")];
    let give_up = async |poller: Poller| {
        let mut poller = poller;
        assert!(poller.within(Duration::from_millis(600)).await.is_none());
        drop(poller);
        eventually("the poll is given up", SOON, async || {
            let instance = provider.instance("edge").await;
            if instance["holdCut"].is_null() {
                Err(instance)
            } else {
                Ok(instance)
            }
        })
        .await
    };
    let instance = give_up(held(&provider, "edge").await).await;
    let cut = instance["holdCut"].as_f64().unwrap();
    assert!((0.4..2.0).contains(&cut), "{instance}");
    provider
        .log_contains("the instance closed a held poll")
        .await;

    // On trial: after three holds to the end of the cut it was a restart.
    let mut poller = Poller::connect(provider.address()).await;
    let first = poller.poll(&name).await;
    for _ in 0..3 {
        let asked = Instant::now();
        poller.send_poll(&name).await;
        let again = poller.within(SOON).await.expect("the hold is shorter");
        assert!(again.at.duration_since(asked).as_secs_f64() >= cut);
        assert_eq!((again.status, again.text()), (200, first.text()));
    }
    let instance = provider.instance_has("edge", "holdCut", Value::Null).await;
    assert_eq!(instance["hold"], cut);
    provider
        .log_contains("are held as long as before again")
        .await;
    poller.send_poll(&name).await;
    let instance = provider.instance_has("edge", "held", true).await;
    assert_eq!(instance["hold"], 60.0);
}

/// The first time may be a restart, the second one at the same time is a `pollTimeout`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traefik_that_gives_up_before_the_hold_is_over_is_found_out_at_the_second_time() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let provider = Options::new(&stack.config(), &redis.url())
        .arg(LONG)
        .start()
        .await;
    let traefik = traefik::Options::http(&provider.url())
        .poll_timeout("1s")
        .header("X-Traefik-Instance", "edge")
        .throttle("100ms")
        .start()
        .await;
    let found = "its polls are held shorter from now on";
    eventually("it is found out", Duration::from_secs(30), async || {
        if provider.log().count(found) == 1 {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    // Traefik complains of a poll, and of its provider, each time.
    eventually("both are logged", SOON, async || {
        let errors = errors(&traefik);
        if errors.len() >= 2 {
            Ok(())
        } else {
            Err(format!("{errors:?}"))
        }
    })
    .await;
    let after_two = errors(&traefik).len();
    let polls = polls(&provider).await;
    eventually("five more holds", Duration::from_secs(30), async || {
        let now = self::polls(&provider).await;
        if now >= polls + 6 { Ok(()) } else { Err(now) }
    })
    .await;
    assert_eq!(errors(&traefik).len(), after_two, "{:#?}", errors(&traefik));
    assert_eq!(provider.log().count(found), 1);
    redis.cli(&["SET", "active", "green"]).await;
    traefik.wait_for(HOSTS[0], "green").await;
}

#[tokio::test]
async fn a_config_that_changes_the_document_releases_holds() {
    let (_redis, provider) = start(LONG).await;
    let mut poller = held(&provider, "edge").await;
    provider.write_config(&format!("# Only a comment.\n{CONFIG}"));
    provider.signal("HUP");
    provider
        .log_contains("the config is the same as before")
        .await;
    assert!(poller.within(Duration::from_millis(50)).await.is_none());

    provider.write_config(&CONFIG.replace("api.localhost", "new.localhost"));
    let answer = poller.within(SOON).await.expect("the new config is pushed");
    let rule = &answer.json()["http"]["routers"]["deals-api"]["rule"];
    assert_eq!(rule, "Host(`new.localhost`)");

    // So does a marker, though it is no part of what it marks.
    poller.send_poll(&[("X-Traefik-Instance", "edge")]).await;
    provider.instance_has("edge", "held", true).await;
    let marker = "marker: { entryPoint: traefik, port: 9 }\n";
    provider.write_config(&(CONFIG.replace("api.localhost", "new.localhost") + marker));
    let marked = poller.within(SOON).await.expect("the marker is pushed");
    assert_ne!(marked.header("etag"), answer.header("etag"));
}

/// `pollInterval` and `pollTimeout` of 5 s, Traefik's defaults, and the hold of 4 s with which a connection begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_traefik_gets_a_change_as_a_push_and_has_nothing_to_complain_of() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let provider = Options::new(&stack.config(), &redis.url()).start().await;
    let traefik = traefik::Options::http(&provider.url())
        .poll_interval("5s")
        .start()
        .await;
    traefik.wait_for(HOSTS[0], "blue").await;

    let id = "127.0.0.1";
    let instance = provider.instance_has(id, "held", true).await;
    assert_eq!(instance["hold"], 4.0);
    let before = polls(&provider).await;
    pushes(&redis, &traefik, "green").await;
    assert_eq!(polls(&provider).await, before, "no poll came in between");

    // The next hold runs out, and after it a change is a push again.
    provider.instance_has(id, "held", true).await;
    provider.instance_has(id, "held", false).await;
    provider.instance_has(id, "held", true).await;
    let before = polls(&provider).await;
    pushes(&redis, &traefik, "blue").await;
    assert_eq!(polls(&provider).await, before, "no poll came in between");
    assert_eq!(errors(&traefik), [""; 0]);
    assert_eq!(provider.log().count("closed a held poll"), 0);
}

/// Of Traefik's default interval of 5 s, the last quarter of a second is left for the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_traefik_is_held_until_just_before_its_next_poll() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let provider = Options::new(&stack.config(), &redis.url()).start().await;
    let options = traefik::Options::http(&provider.url()).poll_interval("5s");
    let traefik = options.header("X-Traefik-Instance", "edge").start().await;
    eventually(
        "its interval is known",
        Duration::from_secs(40),
        async || {
            let instance = provider.instance("edge").await;
            let hold = instance["hold"].as_f64().unwrap_or_default();
            if (4.1..=4.76).contains(&hold) {
                Ok(())
            } else {
                Err(instance)
            }
        },
    )
    .await;
    let before = polls(&provider).await;
    eventually("three more polls", Duration::from_secs(40), async || {
        let now = polls(&provider).await;
        if now >= before + 3 { Ok(()) } else { Err(now) }
    })
    .await;
    assert_eq!(errors(&traefik), [""; 0]);
    let cut = provider.instance("edge").await["holdCut"].take();
    assert_eq!(cut, Value::Null);
}

/// Sets the color at the begin of a hold of 4 s, and sees that Traefik has it before that hold would have run out.
async fn pushes(redis: &Redis, traefik: &Traefik, color: &str) {
    let set = Instant::now();
    redis.cli(&["SET", "active", color]).await;
    traefik.wait_for(HOSTS[0], color).await;
    let took = set.elapsed();
    assert!(
        took < Duration::from_secs(3),
        "{took:?}: no push, the hold ran out"
    );
}

/// How many polls came to the provider.
async fn polls(provider: &Provider) -> u64 {
    let metrics = provider.get("/metrics").await;
    let mut lines = metrics.text().lines();
    let line = lines.find_map(|line| line.strip_prefix("bluegreen_polls_total "));
    line.expect("a counter of polls").parse().unwrap()
}

#[tokio::test]
async fn at_sigterm_held_polls_get_the_whole_document_and_the_process_ends_well() {
    let (_redis, mut provider) = start(LONG).await;
    let whole = provider.get("/traefik").await;
    let mut pollers = Vec::new();
    for name in ["edge-1", "edge-2", "edge-3"] {
        pollers.push(held(&provider, name).await);
    }
    let status = provider.terminate().await;
    assert_eq!(status.code(), Some(0));
    for poller in &mut pollers {
        let answer = poller.receive().await;
        assert_eq!((answer.status, answer.text()), (200, whole.text()));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(poller.closed_within(SOON).await);
    }
    assert_eq!(provider.log().count("did not take their answer"), 0);
}

/// The grace is 5 s.
#[tokio::test]
async fn half_a_request_does_not_delay_the_end_beyond_the_grace() {
    let (_redis, mut provider) = start(LONG).await;
    let mut halves = Vec::new();
    for before in [&b""[..], b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut half = Poller::connect(provider.address()).await;
        half.send(before).await;
        half.send(b"GET /traefik HTTP/1.1\r\nHo").await;
        halves.push(half);
    }
    let silent = Poller::connect(provider.address()).await;
    let mut poller = held(&provider, "edge").await;
    let began = Instant::now();
    let status = provider.terminate().await;
    assert!(began.elapsed() < Duration::from_secs(8));
    assert_eq!(status.code(), Some(0));
    let answer = poller.receive().await;
    assert_eq!(answer.header("connection"), Some("close"));
    drop((halves, silent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_costs_no_request_and_no_wrong_answer() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let mut provider = stack.provider(&stack.config(), &redis).await;
    let traefik = stack.plain_traefik(&provider, "edge").await;
    let load = Load::on(traefik.web()).hosts(&HOSTS).start().await;
    let set = Instant::now();
    redis.cli(&["SET", "active", "green"]).await;
    load.reaches(set, "green").await;
    provider.instance_has("edge", "held", true).await;
    let all_green = Instant::now();
    for _ in 0..2 {
        assert_eq!(provider.terminate().await.code(), Some(0));
        load.goes_on(Instant::now(), 50).await;
        provider.restart().await;
        provider.instance_has("edge", "held", true).await;
    }
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(all_green, "green");
    redis.cli(&["SET", "active", "blue"]).await;
    traefik.wait_for(HOSTS[0], "blue").await;
}

/// As with a systemd socket unit: whoever polls while there is no process waits in the socket's queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_socket_that_is_passed_not_even_a_poll_is_refused() {
    let (stack, redis) = (Stack::start().await, Redis::start().await);
    let options = Options::new(&stack.config(), &redis.url()).socket_activated();
    let mut provider = options.start().await;
    let traefik = stack.plain_traefik(&provider, "edge").await;
    for color in ["green", "blue", "green"] {
        provider.instance_has("edge", "held", true).await;
        assert_eq!(provider.terminate().await.code(), Some(0));
        redis.cli(&["SET", "active", color]).await;
        // Traefik has polled again by now, and waits for whoever takes the socket over.
        let mut early = Poller::connect(provider.address()).await;
        early.send_poll(&[("X-Traefik-Instance", "early")]).await;
        provider.restart().await;
        assert_eq!(color_of(&early.receive().await.json()), color);
        traefik.wait_for(HOSTS[0], color).await;
    }
    assert_eq!(errors(&traefik), [""; 0]);
}
