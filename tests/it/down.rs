//! `down`: a color is stopped only where nobody is sent to it.

use crate::care::Site;
use crate::support::cli::Cli;

/// A site whose config stops a color by this command.
async fn site(down: &str) -> Site {
    let site = Site::start().await;
    let keys = format!("    down: '{down}'\n    services:\n");
    site.reconfigure("    services:\n", &keys);
    site
}

fn down(site: &Site, color: &str, flags: &[&str]) -> Cli {
    site.command(&[&["down", color], flags].concat())
}

/// What the command has written into the folder of the config.
fn stopped(site: &Site) -> String {
    let file = site.provider.config().with_file_name("stopped");
    std::fs::read_to_string(file).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_color_is_stopped_and_one_with_traffic_is_not() {
    let site = site("echo {color} $COLOR $STACK >> stopped").await;
    let busy = "refused: blue is not stopped: it has traffic (blue)";
    for flags in [&[][..], &["--dry-run"]] {
        let run = down(&site, "blue", flags).code(3).stderr(busy);
        run.stderr("flip away from it first: `bluegreen flip green`")
            .run()
            .await;
    }
    site.flip(&[]).stdout("blue → green").run().await;
    let run = down(&site, "blue", &["--dry-run"]);
    run.stdout("deals: blue can be stopped: it has no traffic")
        .stdout("would run echo blue $COLOR $STACK >> stopped")
        .run()
        .await;
    assert_eq!(stopped(&site), "");
    let run = down(&site, "blue", &[]).stdout("deals: blue is stopped");
    run.run().await;
    assert_eq!(stopped(&site), "blue blue deals\n");
    site.is_free().await;

    site.redis.cli(&["SET", "active", "blue:1,green:99"]).await;
    for color in ["blue", "green"] {
        let run = down(&site, color, &[]).code(3);
        run.stderr("it has traffic (blue:1,green:99)").run().await;
    }
    down(&site, "purple", &[]).code(2).run().await;
    assert_eq!(stopped(&site), "blue blue deals\n");
}

/// The key says that nobody is sent there; what Traefik does is another thing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_may_still_get_requests_is_not_stopped() {
    let mut site = site("touch stopped").await;
    let refused = |why: &str| {
        let run = down(&site, "blue", &[]).code(3);
        run.stderr("green has the traffic, but blue may still get requests: ")
            .stderr(why)
    };
    site.traefik.stop();
    site.redis.cli(&["SET", "active", "green"]).await;
    refused("edge-1").run().await;
    site.traefik.cont();
    site.has_instances(1).await;
    down(&site, "blue", &["--dry-run"]).any_stdout().run().await;

    // Without a provider, nobody knows what Traefik serves.
    site.provider.kill();
    crate::support::eventually(
        "no provider runs",
        crate::support::cli::PATIENCE,
        async || {
            let run = down(&site, "blue", &[]).any_code().any_stdout().run().await;
            if run.stderr.contains("the providers (none runs)") {
                Ok(())
            } else {
                Err(run.stderr)
            }
        },
    )
    .await;
    // And where the key tells nothing, nobody knows who has the traffic.
    site.redis.cli(&["FLUSHALL"]).await;
    site.redis.cli(&["SET", "active", "chartreuse"]).await;
    let run = down(&site, "blue", &[]).code(3);
    run.stderr("refused: blue is not stopped: it is not known which traffic is in force")
        .run()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_flips_to_a_color_while_it_is_stopped_and_a_bare_set_is_seen() {
    let site = site("echo it has $((1 + 1)); until test -e go; do sleep 0.05; done").await;
    let run = down(&site, "green", &[]).code(7);
    let run = run
        .stderr("somebody else has given green traffic (green) while it was stopped")
        .start();
    run.says("it has 2").await;
    let flip = site.flip(&[]).code(7);
    flip.stderr("(down green, process").run().await;
    site.redis.cli(&["SET", "active", "green"]).await;
    std::fs::write(site.provider.config().with_file_name("go"), "").unwrap();
    run.end().await;
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_fails_or_is_missing_is_told() {
    let site = site("echo no such project >&2; exit 3").await;
    let run = down(&site, "green", &[]).code(1);
    run.stderr("no such project")
        .stderr("`down` of green failed: echo no such project >&2; exit 3: exit status: 3")
        .run()
        .await;
    site.reconfigure(
        "down: 'echo no such project >&2; exit 3'",
        "down: sleep 600",
    );
    let run = down(&site, "green", &["--timeout", "1s"]).code(1);
    run.stderr("`down` of green is not done after 1s")
        .run()
        .await;
    site.is_free().await;

    site.reconfigure("    down: sleep 600\n", "");
    let run = down(&site, "green", &[]).code(2);
    run.stderr("add `down: docker compose").run().await;
    let run = down(&site, "green", &["--dry-run"]);
    run.stdout_is("deals: green can be stopped: it has no traffic\n")
        .run()
        .await;
}
