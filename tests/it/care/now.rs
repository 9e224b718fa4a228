//! Production before the flip: a wrong address is found out before anybody is sent elsewhere, and a broken color is one
//! to flip away from.

use super::site::Site;
use crate::support::cli::Cli;
use crate::support::redis::Redis;
use crate::support::stack::{HOSTS, Stack};
use crate::support::traefik::Options;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_production_that_is_another_traefik_is_refused_before_anything_is_changed() {
    let site = Site::start().await;
    let files = tempfile::tempdir().unwrap();
    let other = Options::file(files.path()).start().await;
    let [ours, others] = [&site.traefik, &other].map(|traefik| format!("http://{}", traefik.web()));
    site.reconfigure(&ours, &others);
    let load = site.load().await;
    let run = site.flip(&["--timeout", "5"]).code(3);
    run.stderr("production is not where the traffic of this stack goes now")
        .stderr("404 page not found")
        .stderr("nothing was changed")
        .run()
        .await;
    site.is_untouched(load).await;
}

/// There the marker answers, and nothing else of ours: it says nothing of production.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_production_that_is_the_markers_entrypoint_is_refused_before_anything_is_changed() {
    let site = Site::start().await;
    let config = std::fs::read_to_string(site.provider.config()).unwrap();
    let (_, port) = config.split_once("entryPoint: marker, port: ").unwrap();
    let (port, _) = port.split_once(' ').unwrap();
    let ours = format!("http://{}", site.traefik.web());
    site.reconfigure(&ours, &format!("http://127.0.0.1:{port}"));
    let load = site.load().await;
    let run = site.flip(&["--timeout", "5"]).code(3);
    run.stderr("production is not where the traffic of this stack goes now")
        .stderr("nothing was changed")
        .run()
        .await;
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_production_of_the_other_color_is_refused_before_anything_is_changed() {
    let site = Site::start().await;
    for service in &site.services {
        service.says("blue", "green");
    }
    let run = site.flip(&["--timeout", "5"]).code(3);
    run.stderr("green answered (X-Color), and has no traffic")
        .run()
        .await;
    assert_eq!(site.key().await, "");
    site.flip(&["--no-verify"])
        .stdout("blue → green")
        .run()
        .await;
}

/// The reason to flip, at 3 a.m.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_is_broken_or_gone_is_flipped_away_from() {
    let mut site = Site::start().await;
    site.services[0].set_status_in_public("blue", 500);
    let run = site.flip(&[]).stdout("blue → green");
    run.stderr("note: production is not well now").run().await;
    for service in &mut site.services {
        service.set_status_in_public("blue", 200);
        service.stop("green").await;
    }
    let run = site.command(&["flip", "blue"]).stdout("green → blue");
    run.stderr("502 Bad Gateway").run().await;
    site.traefik.wait_for(HOSTS[0], "blue").await;
}

/// Traefik has no router for it then: it is our Traefik all the same, as the marker shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_whose_service_another_provider_has_lost_is_flipped_away_from() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let files = tempfile::tempdir().unwrap();
    let mut config = stack.config();
    while let Some(at) = config.find("blue: 'http") {
        let end = at + config[at..].find("',").unwrap() + 1;
        config.replace_range(at..end, "blue: gone@file");
    }
    let config = config.replace(", servers:", ", health: /health, servers:");
    let provider = stack.provider(&config, &redis).await;
    let options = Options::recommended(&provider.url(), "edge-1").and_files(files.path());
    let traefik = options.start().await;
    let production = format!("    production: http://{}\n    services:\n", traefik.web());
    provider.write_config(&config.replacen("    services:\n", &production, 1));
    crate::support::eventually(
        "it has come",
        std::time::Duration::from_secs(15),
        async || {
            let status = Cli::new(&["status"])
                .of(&provider)
                .any_stdout()
                .run()
                .await
                .stdout;
            if status.contains("edge-1") && status.contains(" confirmed") {
                Ok(())
            } else {
                Err(status)
            }
        },
    )
    .await;
    assert_eq!(traefik.get(HOSTS[0], "/").await.status, 404);
    let run = Cli::new(&["flip", "green"])
        .of(&provider)
        .stdout("blue → green");
    run.stderr("note: production is not well now").run().await;
    assert_eq!(traefik.get(HOSTS[0], "/").await.color(), Some("green"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_at_all_can_be_verified_it_is_refused() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let provider = stack.provider(&stack.config(), &redis).await;
    let _traefik = stack.plain_traefik(&provider, "edge-1").await;
    for flags in [&["flip", "green"][..], &["flip", "green", "--no-wait"]] {
        let run = Cli::new(flags).of(&provider).code(3);
        run.stderr("nothing of green or of production could be verified")
            .stderr("give the services a `health` path")
            .stderr("nothing was changed")
            .run()
            .await;
    }
    assert_eq!(redis.cli(&["GET", "active"]).await, "");
    let run = Cli::new(&["flip", "green", "--no-verify"]).of(&provider);
    run.stdout("blue → green").run().await;
}
