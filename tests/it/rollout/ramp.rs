//! `ramp`: the traffic moves by steps, and goes back to what was before all of them.

use std::time::Instant;

use crate::care::Site;
use crate::support::load;
use crate::support::stack::HOSTS;

/// `ramp green`, with more flags.
fn ramp<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    [&["ramp", "green"], flags].concat()
}

/// Long enough that no test waits for its end.
const LONG: [&str; 4] = ["--steps", "25,50,100", "--interval", "10m"];

/// Nothing was lost, and this color answers everything by now.
async fn all_is_well(load: load::Running, color: &str) {
    let returned = Instant::now();
    load.goes_on(returned, 2 * HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(returned, color);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_is_verified_set_confirmed_and_watched() {
    let site = Site::start().await;
    let load = site.load().await;
    let args = ramp(&[
        "--steps",
        "25,50,100",
        "--interval",
        "2s",
        "--bake",
        "2s",
        "--why",
        "v2",
    ]);
    let run = site
        .command(&args)
        .stdout("deals: blue → green, applied by 1 instance");
    let said = run.run().await.stderr;
    let mut rest = &*said;
    for part in [
        "step 1 of 3: blue:75,green:25",
        "verifying green",
        "verifying production",
        "and 4 s in the steps to come",
        "step 1 of 3: blue:75,green:25 passed",
        "step 2 of 3: blue:50,green:50",
        "verifying green",
        "and 2 s in the steps to come",
        "step 2 of 3: blue:50,green:50 passed",
        "step 3 of 3: green",
        "step 3 of 3: green passed",
    ] {
        let at = rest.find(part);
        let at = at.unwrap_or_else(|| panic!("no `{part}` in\n{rest}\nof\n{said}"));
        rest = &rest[at + part.len()..];
    }
    assert_eq!(
        site.moves().await,
        ["green", "blue:50,green:50", "blue:75,green:25"]
    );
    assert_eq!(site.history().await[0]["why"], "v2");
    let record = site.rollout_ends().await;
    assert_eq!(record["done"].as_array().unwrap().len(), 3, "{record}");
    let shown = site.command(&["rollout"]).any_stdout().run().await.stdout;
    assert!(
        shown.contains("ramp to green") && shown.contains("done at"),
        "{shown}"
    );
    all_is_well(load, "green").await;
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_below_the_share_that_the_color_has_are_left_out() {
    let site = Site::start().await;
    site.command(&["shift", "blue:50,green:50"])
        .any_stdout()
        .run()
        .await;
    let args = ramp(&["--steps", "5,50,75,100", "--interval", "0s"]);
    site.command(&args)
        .stdout("blue:50,green:50 → green")
        .run()
        .await;
    assert_eq!(
        site.moves().await,
        ["green", "blue:25,green:75", "blue:50,green:50"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_fails_goes_back_to_what_was_before_the_ramp() {
    let site = Site::start().await;
    site.command(&["shift", "blue:90,green:10"])
        .any_stdout()
        .run()
        .await;
    let args = ramp(&["--steps", "25,99,100", "--interval", "3s"]);
    let run = site.command(&args).code(4).start();
    run.says("step 2 of 3: blue:1,green:99").await;
    site.key_is("blue:1,green:99").await;
    // One in a hundred is well: that is not seen within the patience that a lost request has.
    site.services[1].set_status_in_public("green", 500);
    site.services[1].set_status_in_public("blue", 500);
    let said = run.end().await;
    for part in [
        "production fails on blue:1,green:99: answer mcp",
        "going back to blue:90,green:10",
        "rolled back to blue:90,green:10, which every instance has confirmed",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    assert_eq!(site.key().await, "blue:90,green:10");
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["effect"], "rolledBack", "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_color_that_is_not_ready_for_the_next_step_gives_back_the_first() {
    let site = Site::start().await;
    let load = site.load().await;
    let args = ramp(&["--steps", "25,100", "--interval", "2s", "--timeout", "4s"]);
    let run = site.command(&args).code(4).start();
    run.says("watching production").await;
    site.services[0].set_healthy("green", false);
    let said = run.end().await;
    assert!(said.contains("green is not ready: health api"), "{said}");
    assert!(said.contains("rolled back to blue, which"), "{said}");
    assert_eq!(site.moves().await, ["blue", "blue:75,green:25"]);
    all_is_well(load, "blue").await;
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_that_make_no_ramp_are_usage_mistakes() {
    let site = Site::start().await;
    let load = site.load().await;
    for steps in ["50,25,100", "25,25,100", "25,50", "100,100"] {
        let run = site.command(&ramp(&["--steps", steps])).code(2);
        run.stderr("--steps has to rise from step to step, up to 100")
            .run()
            .await;
    }
    for steps in ["0,100", "50,101", "half", ""] {
        let run = site.command(&ramp(&["--steps", steps])).code(2);
        run.stderr("--steps").run().await;
    }
    let run = site.command(&ramp(&["--no-wait"])).code(2);
    run.stderr("a ramp waits for every step").run().await;
    site.command(&["ramp", "purple"])
        .code(2)
        .stderr("purple")
        .run()
        .await;
    let run = site.command(&["ramp", "green", "--resume"]).code(2);
    run.stderr("cannot be used with").run().await;
    let run = site.command(&["ramp", "--resume"]).code(1);
    run.stderr("no rollout runs").run().await;
    let production = format!("    production: http://{}\n", site.traefik.web());
    site.reconfigure(&production, "");
    let run = site.command(&ramp(&[])).code(2);
    run.stderr("a ramp watches production").run().await;
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_during_a_ramp_supersedes_it() {
    let site = Site::start().await;
    let load = site.load().await;
    let run = site.command(&ramp(&LONG)).code(7).start();
    run.says("watching production").await;
    site.redis.cli(&["SET", "active", "blue"]).await;
    let said = run.end().await;
    assert!(
        said.contains("somebody else has changed `active` to `blue`"),
        "{said}"
    );
    assert_eq!(site.key().await, "blue");
    let record = site.rollout_ends().await;
    assert_eq!(record["outcome"]["end"], "conflict", "{record}");
    site.traefik.wait_for(HOSTS[0], "blue").await;
    all_is_well(load, "blue").await;
}

/// What has nothing to be verified before a step was seen in production after the step before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_without_health_and_checks_goes_through_all_steps() {
    let site = Site::start().await;
    for _ in HOSTS {
        site.reconfigure(" health: /health,", "");
    }
    let args = ramp(&["--steps", "25,50,100", "--interval", "0s"]);
    let run = site.command(&args).stdout("deals: blue → green");
    let run = run.stderr("note: nothing of green was verified");
    run.run().await;
    assert_eq!(
        site.moves().await,
        ["green", "blue:50,green:50", "blue:75,green:25"]
    );
}
