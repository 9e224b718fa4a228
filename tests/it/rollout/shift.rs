//! `shift`: weights, with the care of a flip.

use std::time::Instant;

use crate::care::Site;
use crate::support::stack::HOSTS;

/// Asserts that green answers so many of a hundred requests for the API; where a round begins is Traefik's business.
async fn green_answers(site: &Site, expected: usize) {
    let mut green = 0;
    for _ in 0..100 {
        let answer = site.traefik.get(HOSTS[0], "/").await;
        assert_eq!(answer.status, 200);
        green += usize::from(answer.color() == Some("green"));
    }
    assert!(green.abs_diff(expected) <= 1, "{green} and not {expected}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_are_set_verified_and_confirmed_with_no_request_lost() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = site.command(&["shift", "green:10,blue:90", "--why", "a few"]);
    let run = run.stdout("deals: blue → blue:90,green:10, applied by 1 instance");
    let said = run.run().await.stderr;
    for part in ["verifying green", "green is ready", "verifying production"] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    assert!(!said.contains("verifying blue"), "{said}");
    assert_eq!(site.key().await, "blue:90,green:10");
    load.stop().await.assert_no_failures();
    green_answers(&site, 10).await;

    // Who gains is verified, and not who gives.
    site.services[1].set_healthy("green", false);
    let run = site.command(&["shift", "blue:95,green:5"]);
    let said = run.stdout("blue:90,green:10 → blue:95,green:5").run().await;
    assert!(said.stderr.contains("verifying blue"), "{}", said.stderr);
    green_answers(&site, 5).await;
    site.services[1].set_healthy("green", true);

    let all = site.command(&["shift", "green", "--json"]).any_stdout();
    let all = all.run().await.json();
    assert_eq!(
        (&all["from"], &all["to"]),
        (&"blue:95,green:5".into(), &"green".into())
    );
    green_answers(&site, 100).await;
    assert_eq!(
        site.moves().await,
        ["green", "blue:95,green:5", "blue:90,green:10"]
    );
    assert_eq!(site.history().await[2]["why"], "a few");
    let again = site
        .command(&["shift", "green"])
        .stdout("green already has the traffic");
    again.run().await;
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_is_not_ready_gets_no_share() {
    let site = Site::start().await;
    let load = site.load().await;
    site.services[2].set_healthy("green", false);
    let run = site.command(&["shift", "blue:99,green:1", "--timeout", "1s"]);
    let run = run.code(3).stderr("green is not ready: health dashboard");
    run.stderr("nothing was changed").run().await;
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_that_production_does_not_bear_are_taken_back() {
    let site = Site::start().await;
    site.command(&["shift", "blue:80,green:20"])
        .any_stdout()
        .run()
        .await;
    let load = site.load().await;
    site.services[0].set_status_in_public("green", 500);
    site.services[0].set_status_in_public("blue", 500);
    let run = site.command(&["shift", "blue:1,green:99"]).code(4);
    let run = run.stderr("production fails on blue:1,green:99: answer api");
    run.stderr("rolled back to blue:80,green:20, which every instance has confirmed")
        .run()
        .await;
    let returned = Instant::now();
    assert_eq!(site.key().await, "blue:80,green:20");
    load.goes_on(returned, HOSTS.len()).await;
    // Whatever failed, the servers themselves have answered with their error.
    for failure in load.stop().await.failures() {
        let answer = failure.outcome.as_ref().unwrap();
        assert_eq!(
            (answer.status, &*failure.host),
            (500, HOSTS[0]),
            "{failure:?}"
        );
    }
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_traffic_of_the_stack_is_a_usage_mistake() {
    let site = Site::start().await;
    let load = site.load().await;
    for (traffic, said) in [
        ("purple", "`purple` is not a color of this stack"),
        ("blue:1,purple:1", "`purple` is not a color of this stack"),
        ("blue,green", "`blue` has no weight"),
        ("blue:0,green:0", "every weight is 0"),
        ("blue:-1,green:2", "`-1` is not a weight"),
        ("blue:1,blue:2", "`blue` is named twice"),
        ("", "the value is empty"),
    ] {
        site.command(&["shift", traffic])
            .code(2)
            .stderr(said)
            .run()
            .await;
    }
    let run = site.command(&["shift", "green", "--bake", "1s", "--no-verify"]);
    run.code(2).stderr("--bake watches production").run().await;
    site.is_untouched(load).await;
}
