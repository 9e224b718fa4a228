//! What breaks, and what goes on all the same.

use std::time::{Duration, Instant};

use crate::support::cli::Cli;
use crate::support::deals::Site;
use crate::support::eventually;
use crate::support::load::{Load, Running};
use crate::support::stack::HOSTS;

async fn flip(site: &Site, color: &str) {
    let run = Cli::new(&["flip", color, "--no-verify"]).of(&site.provider);
    // After a restart it may have to wait, and says so.
    run.stdout(color).any_stderr().run().await;
}

/// All three services are asked through Traefik, all the time.
async fn load(site: &Site) -> Running {
    let load = Load::on(site.traefik.web()).hosts(&HOSTS).path("/health");
    load.pause(Duration::from_millis(5)).start().await
}

/// Each service through Traefik: the status and the color of `/health`.
async fn seen(site: &Site) -> [(u16, Option<String>); 3] {
    let mut seen = [const { (0, None) }; 3];
    for (seen, host) in seen.iter_mut().zip(HOSTS) {
        let answer = site.traefik.get(host, "/health").await;
        *seen = (answer.status, answer.color().map(str::to_owned));
    }
    seen
}

fn all(color: &str) -> [(u16, Option<String>); 3] {
    [const { 200 }; 3].map(|status| (status, Some(color.to_owned())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flips_under_load_lose_and_misroute_nothing() {
    let site = Site::start().await;
    let load = load(&site).await;
    let mut windows = Vec::new();
    for color in ["green", "blue"].iter().cycle().take(10) {
        flip(&site, color).await;
        let returned = Instant::now();
        load.goes_on(returned, 2 * HOSTS.len()).await;
        windows.push((returned, Instant::now(), *color));
    }
    let report = load.stop().await;
    report.assert_no_failures();
    let mut checked = 0;
    for (returned, next, color) in windows {
        let within = |start, end| start > returned && end < next;
        for sample in &report.samples {
            if within(sample.start, sample.end) {
                checked += 1;
                assert_eq!(sample.color(), Some(color), "{sample:?}");
            }
        }
    }
    assert!(checked >= 50, "{checked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_traffic_stands_while_redis_is_away_and_after_it_is_back() {
    let mut site = Site::start().await;
    flip(&site, "green").await;
    let load = load(&site).await;
    let killed = Instant::now();
    site.redis.kill();
    load.goes_on(killed, 100).await;
    site.redis.restart().await;
    assert_eq!(
        site.redis.cli(&["GET", "active"]).await,
        "green",
        "its log has the key"
    );
    site.provider
        .instance_has("edge-1", "confirmed", true)
        .await;
    eventually(
        "the store is seen again",
        Duration::from_secs(15),
        async || {
            let run = Cli::new(&["status"])
                .of(&site.provider)
                .any_stdout()
                .any_stderr();
            let output = run.run().await;
            if output.stdout.contains("deals: green") {
                Ok(())
            } else {
                Err(output.stdout)
            }
        },
    )
    .await;
    let back = Instant::now();
    load.goes_on(back, 20).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(killed, "green");
    flip(&site, "blue").await;
    assert_eq!(seen(&site).await, all("blue"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traefik_serves_on_without_the_provider_and_confirms_to_it_again() {
    let mut site = Site::start().await;
    flip(&site, "green").await;
    let load = load(&site).await;
    let killed = Instant::now();
    site.provider.kill();
    load.goes_on(killed, 100).await;
    site.provider.restart().await;
    site.provider
        .instance_has("edge-1", "confirmed", true)
        .await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(killed, "green");
    flip(&site, "blue").await;
    assert_eq!(seen(&site).await, all("blue"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_that_an_idle_colors_api_is_killed() {
    let mut site = Site::start().await;
    let load = load(&site).await;
    let killed = Instant::now();
    site.green.api.kill();
    load.goes_on(killed, 100).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(killed, "blue");
    assert_eq!(site.submitted("business as usual").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_active_colors_api_that_is_killed_takes_only_itself_away_until_a_rollback() {
    let mut site = Site::start().await;
    flip(&site, "green").await;
    let id = site.submitted("begun on green").await;
    site.green.api.kill();

    // The others still answer from their color, and say what they miss.
    let failed = site.get("api", &format!("/deals/{id}")).await;
    assert_eq!((failed.status, failed.color()), (502, None));
    let mcp = site.get("mcp", "/").await;
    assert_eq!((mcp.status, mcp.color()), (200, Some("green")));
    let page = site.get("dashboard", "/").await;
    assert_eq!((page.status, page.color()), (200, Some("green")));
    let data = site.get("dashboard", "/deals.json").await;
    assert_eq!((data.status, data.color()), (502, Some("green")));
    assert!(data.json()["error"].is_string(), "{data:?}");

    // Nothing is moved by itself: that takes somebody who knows why. Three polls later all is as it was.
    let last_seen = async || site.provider.instance("edge-1").await["lastSeen"].to_string();
    for _ in 0..3 {
        let before = last_seen().await;
        eventually(
            "Traefik goes on polling",
            Duration::from_secs(15),
            async || {
                let now = last_seen().await;
                if now == before { Err(now) } else { Ok(()) }
            },
        )
        .await;
    }
    assert_eq!(site.redis.cli(&["GET", "active"]).await, "green");
    assert_eq!(site.get("mcp", "/").await.color(), Some("green"));
    assert_eq!(site.get("api", "/health").await.status, 502);

    let rollback = Cli::new(&["rollback"]).of(&site.provider);
    rollback.stdout("green → blue").run().await;
    assert_eq!(seen(&site).await, all("blue"));
    let deal = site.get("api", &format!("/deals/{id}")).await;
    assert_eq!((deal.status, deal.color()), (200, Some("blue")));
    assert_eq!(deal.json()["history"][0]["color"], "green");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_stops_both_colors_and_both_come_back() {
    let mut site = Site::start().await;
    let id = site.submitted("kept").await;
    site.postgres.kill().await;
    for host in HOSTS {
        let health = site.traefik.get(host, "/health").await;
        assert_eq!(
            (health.status, health.color()),
            (503, Some("blue")),
            "{host}"
        );
    }
    site.postgres.restart().await;
    eventually("all are well", Duration::from_secs(15), async || {
        let seen = seen(&site).await;
        if seen == all("blue") {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    })
    .await;
    let deal = site.get("api", &format!("/deals/{id}")).await.json();
    assert_eq!(deal["state"], "submitted");
}
