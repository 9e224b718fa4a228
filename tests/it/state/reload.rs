//! A config file that changes while the provider runs.

use std::fs;

use super::*;
use crate::support::cli::Cli;
use crate::support::poll::Poller;

const IN_FORCE: &str = "the new config is in force";
const REFUSED: &str = "the new config is refused";

/// The stack `deals` with one service more.
fn with_dashboard() -> String {
    deals()
        + "      dashboard:
        rule: Host(`dashboard.localhost`)
        servers: { blue: http://127.0.0.1:3003, green: http://127.0.0.1:3004 }
"
}

/// Waits until the document has a router of this name, or has none.
async fn has_router(provider: &Provider, name: &str, expected: bool) {
    let what = format!("router {name}: {expected}");
    eventually(&what, SOON, async || {
        let document = provider.get("/traefik").await.json();
        let has = map(&document["http"]["routers"]).contains_key(name);
        if has == expected {
            Ok(())
        } else {
            Err(document)
        }
    })
    .await;
}

#[tokio::test]
async fn a_changed_config_reaches_a_held_poll() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    let witness = Witness::of(&provider).await;
    let mut poller = Poller::connect(provider.address()).await;
    poller.poll(&[]).await;
    poller.send_poll(&[("Prefer", "wait=20")]).await;

    provider.write_config(&with_dashboard());
    let answer = poller.within(SOON).await.expect("an answer at once");
    let services = answer.json()["http"]["routers"]["deals-dashboard"]["service"].clone();
    assert_eq!(services, "deals-dashboard-green");
    logged(&provider, IN_FORCE, 1).await;

    // An editor that writes into the file is seen as well as one that replaces it.
    fs::write(provider.config(), deals()).unwrap();
    has_router(&provider, "deals-dashboard", false).await;
    assert_eq!(metric(&provider, "bluegreen_config_reloads_total").await, 2);
    witness.saw(&["green"]).await;
}

#[tokio::test]
async fn a_config_with_a_mistake_changes_nothing() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    let before = provider.get("/traefik").await;
    let bad =
        with_dashboard().replace("      dashboard:\n", "      dashboard:\n        helth: /\n");
    let line = 1 + bad.lines().position(|line| line.contains("helth")).unwrap();

    provider.write_config(&bad);
    provider.log_contains(REFUSED).await;
    let at = format!("bluegreen.yml:{line}:9");
    provider.log_contains(&at).await;
    provider.log_contains("helth").await;
    assert_eq!(metric(&provider, "bluegreen_config_refused_total").await, 1);
    assert_eq!(provider.get("/traefik").await.body, before.body);
    // It follows its key as before.
    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    has_router(&provider, "deals-dashboard", false).await;

    provider.write_config(&with_dashboard());
    has_router(&provider, "deals-dashboard", true).await;
    serves(&provider, "green").await;
    // One that vanishes is refused, too.
    fs::remove_file(provider.config()).unwrap();
    logged(&provider, REFUSED, 2).await;
    has_router(&provider, "deals-dashboard", true).await;
}

#[tokio::test]
async fn sighup_reads_a_config_whose_change_was_not_seen() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("real.yml");
    fs::write(&real, deals()).unwrap();
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    fs::remove_file(provider.config()).unwrap();
    fs::rename(&link, provider.config()).unwrap();

    provider.signal("HUP");
    provider
        .log_contains("the config is the same as before")
        .await;
    assert_eq!(metric(&provider, "bluegreen_config_reloads_total").await, 0);

    fs::write(&real, with_dashboard()).unwrap();
    provider.signal("HUP");
    has_router(&provider, "deals-dashboard", true).await;

    // Each time that it is asked for, it tells what is wrong.
    fs::write(&real, "stacks: {}\n").unwrap();
    for times in 1..=2 {
        provider.signal("HUP");
        logged(&provider, REFUSED, times).await;
    }
    has_router(&provider, "deals-dashboard", true).await;
}

#[tokio::test]
async fn a_color_that_has_traffic_is_not_taken_away() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    let before = provider.get("/traefik").await;
    let without_blue = with_dashboard()
        .replace(
            "    key: active\n",
            "    key: active\n    colors: [green, red]\n",
        )
        .replace("blue:", "red:");
    provider.write_config(&without_blue);
    logged(&provider, REFUSED, 1).await;
    provider.log_contains("color=blue").await;
    assert_eq!(provider.get("/traefik").await.body, before.body);
    assert_eq!(metric(&provider, "bluegreen_config_refused_total").await, 1);

    // As soon as the color has none any more the same file is good.
    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    provider.signal("HUP");
    has_router(&provider, "deals-dashboard", true).await;
    serves(&provider, "green").await;
    redis.cli(&["SET", "active", "red"]).await;
    serves(&provider, "red").await;
}

#[tokio::test]
async fn a_new_stack_waits_until_the_store_tells_its_traffic() {
    let mut redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    redis
        .cli(&["MSET", "active", "green", "shop:color", "green"])
        .await;
    let provider = provider(&redis).await;
    let before = provider.get("/traefik").await;
    let witness = Witness::of(&provider).await;
    redis.kill();
    connected(&provider, false).await;

    let three = [("deals", "active"), ("shop", "shop:color"), ("new", "new")];
    provider.write_config(&config_of(&three));
    provider.log_contains("the new config waits").await;
    assert_eq!(provider.get("/traefik").await.body, before.body);
    assert_eq!(provider.get("/readyz").await.status, 200);

    redis.restart().await;
    has_router(&provider, "shop-api", true).await;
    stack_serves(&provider, "deals", "green").await;
    stack_serves(&provider, "shop", "green").await;
    stack_serves(&provider, "new", "blue").await;
    redis.cli(&["SET", "new", "green"]).await;
    stack_serves(&provider, "new", "green").await;
    witness.saw(&["green"]).await;
}

#[tokio::test]
async fn a_stack_that_goes_and_comes_back_never_shows_what_it_had_long_ago() {
    let mut redis = Redis::start().await;
    let mut provider = provider(&redis).await;
    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    // Green is on disk now, and known from there.
    provider.terminate().await;
    provider.restart().await;
    redis.cli(&["SET", "active", "blue"]).await;
    serves(&provider, "blue").await;

    let other = config_of(&[("shop", "shop:color")]);
    let both = config_of(&[("deals", "active"), ("shop", "shop:color")]);
    provider.write_config(&other);
    has_router(&provider, "deals-api", false).await;

    // With Redis: at once what the key says now, not first what it said at the start.
    redis.cli(&["SET", "active", "blue:1,green:1"]).await;
    let mut poller = Poller::connect(provider.address()).await;
    poller.poll(&[]).await;
    poller.send_poll(&[("Prefer", "wait=20")]).await;
    provider.write_config(&both);
    let answer = poller.within(SOON).await.expect("an answer at once");
    let router = answer.json()["http"]["routers"]["deals-api"].clone();
    assert_eq!(router["service"], "deals-api", "{router}");

    // Without Redis: the newest that was known here.
    provider.write_config(&other);
    has_router(&provider, "deals-api", false).await;
    redis.kill();
    connected(&provider, false).await;
    provider.write_config(&both);
    has_router(&provider, "deals-api", true).await;
    assert_eq!(serves_now(&provider).await, "blue:1,green:1");
}

/// Whatever comes into force is checked against the traffic at that moment.
#[tokio::test]
async fn a_config_that_waits_takes_away_no_color_that_got_the_traffic_meanwhile() {
    let redis = Redis::start().await;
    redis.cli(&["MSET", "active", "blue", "shop", "gren"]).await;
    let provider = provider(&redis).await;
    let witness = Witness::of(&provider).await;
    let both = config_of(&[("deals", "active"), ("shop", "shop")]);
    let without_green = both
        .replacen(
            "    key: active\n",
            "    key: active\n    colors: [blue, red]\n",
            1,
        )
        .replacen("green:", "red:", 2);
    let new = format!("defaultCertificate: generated\n{without_green}");
    provider.write_config(&new);
    let status = status_says(&provider, "the new config waits", |status| {
        status["waitingConfig"]["stacks"][0]["problem"].is_string()
    })
    .await;
    let wanted = &status["waitingConfig"]["stacks"][0];
    assert_eq!(
        (&wanted["stack"], &wanted["key"]),
        (&"shop".into(), &"shop".into())
    );
    assert!(
        wanted["problem"].as_str().unwrap().contains("`gren`"),
        "{status}"
    );
    let shown = async |text: &str| {
        eventually(text, SOON, async || {
            let run = Cli::new(&["status"]).of(&provider).any_stdout().run().await;
            if run.stdout.contains(text) {
                Ok(())
            } else {
                Err(run.stdout)
            }
        })
        .await;
    };
    shown("for the traffic of shop (key `shop`").await;

    redis.cli(&["SET", "active", "green"]).await;
    serves(&provider, "green").await;
    // A certificate of a config that is not in force is not served, though the document is a new one.
    assert!(provider.get("/traefik").await.json()["tls"].is_null());
    redis.cli(&["SET", "shop", "green"]).await;
    logged(&provider, REFUSED, 1).await;
    reads(&redis, 2).await;
    serves(&provider, "green").await;
    has_router(&provider, "shop-api", false).await;
    status_says(&provider, "it is refused", |status| {
        let reason = status["refusedConfig"]["reason"].as_str();
        status["waitingConfig"].is_null()
            && reason.is_some_and(|reason| reason.contains("green of deals"))
    })
    .await;
    shown("its new config is refused").await;
    assert_eq!(provider.log().count("answers 503"), 0);
    witness.saw(&["blue", "green"]).await;

    redis.cli(&["SET", "active", "blue"]).await;
    serves(&provider, "blue").await;
    provider.signal("HUP");
    has_router(&provider, "shop-api", true).await;
    stack_serves(&provider, "shop", "green").await;
    status_says(&provider, "nothing is refused", |status| {
        status["refusedConfig"].is_null()
    })
    .await;
    assert!(!provider.get("/traefik").await.json()["tls"].is_null());
}
