//! `verify production`, through the real Traefik.

use super::Verify;
use crate::care::Site;
use crate::support::backend::Backend;
use crate::support::stack::HOSTS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_the_color_with_the_traffic_that_answers() {
    let site = Site::start().await;
    let verify = || site.command(&["verify", "production"]);
    let run = verify().stdout("passed      instances   blue");
    run.stdout("passed      answer      api  ")
        .stdout("200 OK, blue answered")
        .run()
        .await;
    site.redis.cli(&["SET", "active", "green"]).await;
    let run = verify().stdout("passed      instances   green");
    run.stdout("200 OK, green answered").run().await;
    // With weights each of the two may answer.
    site.redis.cli(&["SET", "active", "blue:1,green:1"]).await;
    let run = verify().stdout("passed      instances   blue:1,green:1");
    run.stdout("answered").run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_does_not_answer_and_one_of_the_wrong_color_fail_it() {
    let mut site = Site::start().await;
    site.services[0].stop("blue").await;
    site.services[1].says("blue", "green");
    let run = site.command(&["verify", "production", "--timeout", "1"]);
    let output = run.code(3).any_stdout().run().await;
    let web = site.traefik.web();
    for said in [
        "failed      answer      api".to_owned(),
        format!(
            "GET http://{web}/health ({}): expected 2xx, got 502 Bad Gateway",
            HOSTS[0]
        ),
        "failed      answer      mcp".to_owned(),
        "green answered (X-Color), and has no traffic: that is blue".to_owned(),
        "passed      answer      dashboard".to_owned(),
    ] {
        assert!(output.stdout.contains(&said), "{said}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_lags_fails_it_and_one_that_can_not_be_asked_is_unmeasured() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    second.stop();
    site.redis.cli(&["SET", "active", "green"]).await;
    let run = site
        .command(&["verify", "production", "--timeout", "2"])
        .code(3);
    let output = run.any_stdout().run().await;
    assert!(
        output.stdout.contains("failed      instances   green"),
        "{output:?}"
    );
    assert!(
        output.stdout.contains("green is not confirmed by edge-2"),
        "{output:?}"
    );
    second.cont();
    site.has_instances(2).await;

    let production = format!("http://{}", site.traefik.web());
    site.reconfigure(&production, "http://127.0.0.1:1");
    let run = site
        .command(&["verify", "production", "--timeout", "1"])
        .code(1);
    let output = run.any_stdout().run().await;
    assert!(
        output.stdout.contains("passed      instances   green"),
        "{output:?}"
    );
    assert!(
        output.stdout.contains("unmeasured  answer      api"),
        "{output:?}"
    );
    assert!(
        output
            .stderr
            .contains("3 of 5 checks could not be measured"),
        "{output:?}"
    );
    site.reconfigure("    production: http://127.0.0.1:1\n", "");
    let run = site.command(&["verify", "production"]);
    run.stdout(
        "skipped     answer      of every service: the config does not say where production is",
    )
    .run()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_store_it_is_exit_6() {
    let mut site = Site::start().await;
    site.redis.kill();
    let run = site.command(&["verify", "production"]).code(6);
    run.stderr("can't be reached").run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_of_production_go_through_traefik() {
    let site = Site::start().await;
    site.add_check("pages", "production", "/pages");
    let run = site.command(&["verify", "production"]);
    run.stdout("passed      check       pages").run().await;
    site.services[0].set_status("blue", "/pages", 404);
    let run = site.command(&["verify", "production", "--timeout", "1"]);
    let output = run.code(3).any_stdout().run().await;
    let said = "/pages (api.localhost): expected 2xx, got 404 Not Found";
    assert!(output.stdout.contains(said), "{output:?}");
    // It is not one of a color's.
    let verify = site.command(&["verify", "blue"]).any_stdout().run().await;
    assert!(!verify.stdout.contains("pages"), "{verify:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_made_from_the_rule() {
    let site = Site::start().await;
    let rule = |host: &str| format!("Host(`{host}`)");
    let narrowed = "'(Host(`no.example`) && ClientIP(`192.0.2.1`)) || (Host(`api.example`) && Header(`X-Tenant`, `t`))'";
    site.reconfigure(&format!("'{}'", rule(HOSTS[0])), narrowed);
    let prefixed = "'Host(`mcp.example`) && PathPrefix(`/v1`) && !Path(`/v1/x`)'";
    site.reconfigure(&format!("'{}'", rule(HOSTS[1])), prefixed);
    let unknown = "'HostRegexp(`^dash.*$`)'";
    site.reconfigure(&format!("'{}'", rule(HOSTS[2])), unknown);
    let verify = || site.command(&["verify", "production"]);
    let run = verify().code(1).any_stdout().run().await;
    for said in [
        "passed      answer      api  ",
        "passed      answer      mcp  ",
        "unmeasured  answer      dashboard  ",
        "which request its rule matches can't be told",
    ] {
        assert!(run.stdout.contains(said), "{said}: {run:?}");
    }
    // That is no reason to go back.
    let flip = site.flip(&[]).stdout("deals: blue → green");
    flip.stderr("unmeasured  answer      dashboard").run().await;
    let host = format!("{unknown}, production: {{ host: dash.example }}");
    site.reconfigure(unknown, &host);
    verify()
        .stdout("passed      answer      dashboard")
        .run()
        .await;
}

/// Production behind TLS, with a certificate that nobody has signed.
#[tokio::test]
async fn certificates_are_not_judged() {
    let api = Backend::start("api", &["green"]).await;
    let proxy = crate::verify::tls::terminate(api.address("green")).await;
    let url = format!("https://localhost:{}", proxy.port());
    let services = super::service("api", &url);
    let verify = Verify::of(&format!("    services:\n{services}"));
    verify
        .green(&[])
        .stdout(&format!("passed      health      api {url}"))
        .run()
        .await;
}
