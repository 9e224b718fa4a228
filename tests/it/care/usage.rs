//! What the flags promise: contradictions are refused, a dry run changes nothing, and the JSON object says it all.

use std::time::Duration;

use serde_json::{Value, json};

use super::site::Site;
use crate::support::eventually;
use crate::support::port::free_port;
use crate::support::process::guarded;
use crate::support::provider::clean_environment;

/// The kinds of the checks of a JSON object, and whether they are all good. What no API tells is not among them.
fn kinds(object: &Value) -> (Vec<&str>, bool) {
    let checks = object["checks"].as_array().unwrap().iter();
    let checks: Vec<_> = checks.filter(|check| check["kind"] != "routers").collect();
    let mut kinds: Vec<_> = checks
        .iter()
        .map(|check| check["kind"].as_str().unwrap())
        .collect();
    kinds.dedup();
    (
        kinds,
        checks.iter().all(|check| check["outcome"] == "passed"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bake_without_anything_to_watch_is_a_usage_mistake() {
    let site = Site::start().await;
    let load = site.load().await;
    for without in ["--no-verify", "--no-wait"] {
        let run = site.flip(&["--bake", "30s", without]).code(2);
        let rules_out = format!("--bake watches production, which {without} rules out");
        run.stderr(&rules_out).run().await;
    }
    site.flip(&["--bake", "soon"])
        .code(2)
        .stderr("--bake")
        .run()
        .await;
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_production_that_cant_be_asked_is_found_out_before_anything_is_changed() {
    let site = Site::start().await;
    let web = format!("http://{}", site.traefik.web());
    let nobody = format!("http://127.0.0.1:{}", free_port());
    site.reconfigure(&web, &nobody);
    let load = site.load().await;
    let run = site.flip(&["--timeout", "1"]).code(1);
    let run = run
        .stderr("Traefik can't be asked where production is")
        .stderr(&nobody);
    run.stderr("nothing was changed").run().await;
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_names_what_would_be_verified_and_changes_nothing() {
    let site = Site::start().await;
    let load = site.load().await;
    let dry = site.flip(&["--dry-run", "--bake", "30s"]);
    let dry = dry
        .stdout("would change blue to green")
        .stdout("would verify green before");
    let dry = dry.stdout("would wait for edge-1");
    let dry = dry.stdout("would verify production after, and watch it for 30s");
    dry.run().await;
    let dry = site.flip(&["--dry-run", "--no-verify"]).any_stdout();
    let said = dry.run().await.stdout;
    assert!(!said.contains("verify"), "{said}");
    site.is_untouched(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_takes_no_lease_and_minds_none() {
    let mut site = Site::start().await;
    site.services[0].stop("green").await;
    let first = site.flip(&[]).stdout("blue → green").start();
    first.says("waiting for health api").await;
    let lease = site.redis.cli(&["GET", "{active}:lease"]).await;
    let dry = site
        .flip(&["--dry-run"])
        .stdout("would change blue to green");
    dry.run().await;
    assert_eq!(site.redis.cli(&["GET", "{active}:lease"]).await, lease);
    site.services[0].restart("green").await;
    first.end().await;
    site.flip(&["--dry-run"]).any_stdout().run().await;
    assert!(!site.is_leased().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_object_of_a_flip_has_all_checks() {
    let site = Site::start().await;
    site.add_check("items", "color, production", "/items");
    let run = site.flip(&["--json"]).any_stdout().stderr_is("");
    let flipped = run.run().await.json();
    assert_eq!(flipped["exit"], 0);
    let instances = json!(["edge-1"]);
    assert_eq!(
        [
            &flipped["from"],
            &flipped["to"],
            &flipped["instances"],
            &flipped["changed"]
        ],
        [&json!("blue"), &json!("green"), &instances, &json!(true)]
    );
    let all = vec!["health", "check", "answer", "check"];
    assert_eq!(kinds(&flipped), (all, true), "{flipped}");
    let api = &flipped["checks"][0];
    for field in ["name", "detail", "seconds", "attempts"] {
        assert!(!api[field].is_null(), "{api}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_objects_of_failures_have_the_checks_too() {
    let site = Site::start().await;
    site.services[0].set_healthy("green", false);
    let run = site.flip(&["--json", "--timeout", "1"]).code(3);
    let refused = run.any_stdout().run().await.json();
    assert_eq!(refused["exit"], 3);
    assert_eq!(kinds(&refused), (vec!["health"], false), "{refused}");
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("nothing was changed"), "{error}");

    site.services[0].set_healthy("green", true);
    site.services[0].set_status_in_public("green", 500);
    let run = site.flip(&["--json"]).code(4);
    let back = run.any_stdout().run().await.json();
    assert_eq!(back["exit"], 4);
    assert_eq!(kinds(&back), (vec!["health", "answer"], false), "{back}");
    let failed = back["checks"].as_array().unwrap();
    let failed = failed.iter().find(|check| check["outcome"] == "failed");
    assert_eq!(failed.unwrap()["name"], "api");
    assert_eq!(site.key().await, "blue");
}

/// Nothing is said of what goes well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_flip_says_only_what_goes_wrong() {
    let site = Site::start().await;
    let run = site.flip(&["-q", "--bake", "1s"]).stderr_is("");
    run.run().await;
    site.command(&["rollback", "-q"]).stderr_is("").run().await;
    site.services[1].set_healthy("green", false);
    let run = site.flip(&["-q", "--timeout", "1"]).code(3);
    let said = run.stderr("health mcp").run().await.stderr;
    assert!(!said.contains("health api"), "{said}");
}

/// The README's line for operators is enough, and no more than it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_of_the_readmes_operator_are_enough_for_a_flip_with_its_lease() {
    let site = Site::start().await;
    let line = crate::readme::rights_of("operator");
    let words: Vec<_> = line.iter().map(String::as_str).collect();
    assert_eq!(site.redis.cli(&words).await, "OK");
    let port = site.redis.port();
    let store = format!("redis://operator:SECRET2@127.0.0.1:{port}");
    let run = site.flip(&["--bake", "10m"]).store(&store).code(7).start();
    run.says("watching production").await;
    assert!(site.is_leased().await);
    let second = site.flip(&[]).store(&store).code(7);
    second.stderr("is changing `active` already").run().await;
    let back = site.command(&["rollback"]).store(&store);
    back.stdout("green → blue").run().await;
    run.end().await;
    site.is_free().await;
    let again = site.flip(&[]).store(&store).stdout("blue → green");
    let said = again.run().await.stderr;
    assert!(!said.contains("WARN") && !said.contains("NOPERM"), "{said}");
    site.is_free().await;
    let denied = site.redis.cli(&["ACL", "LOG"]).await;
    assert_eq!(denied, "", "a right was missing");
    for args in [&["status"][..], &["history"]] {
        site.command(args).store(&store).any_stdout().run().await;
    }
}

/// Wherever it ends: what was verified until then is in the object.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_object_has_the_checks_wherever_a_flip_ends() {
    let site = Site::without_marker().await;
    let second = site.second_traefik().await;
    second.stop();
    let run = site.flip(&["--json", "--timeout", "1"]).code(5);
    let late = run.any_stdout().run().await.json();
    second.cont();
    site.has_instances(2).await;
    assert_eq!(kinds(&late), (vec!["health"], true), "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_that_is_neither_true_nor_false_is_a_usage_mistake() {
    let site = Site::start().await;
    let load = site.load().await;
    for variable in [
        "BLUEGREEN_NO_VERIFY",
        "BLUEGREEN_NO_WAIT",
        "BLUEGREEN_NO_ROLLBACK",
        "BLUEGREEN_DRY_RUN",
        "BLUEGREEN_JSON",
        "BLUEGREEN_QUIET",
    ] {
        let run = site.flip(&[]).env(variable, "maybe").code(2);
        run.stderr("neither `true` nor `false`").run().await;
    }
    site.is_untouched(load).await;
    let off = site
        .flip(&[])
        .env("BLUEGREEN_DRY_RUN", "no")
        .env("BLUEGREEN_JSON", "");
    off.stdout("blue → green").run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_did_it_can_be_said() {
    let mut site = Site::start().await;
    site.services[0].stop("green").await;
    let run = site
        .flip(&["--by", "ann@desk"])
        .stdout("blue → green")
        .start();
    run.says("waiting for health api").await;
    let lease = site.redis.cli(&["GET", "{active}:lease"]).await;
    assert!(lease.contains("ann@desk"), "{lease}");
    site.services[0].restart("green").await;
    run.end().await;
    let back = site.command(&["rollback"]).env("BLUEGREEN_BY", "ben@ci");
    back.stdout("green → blue").run().await;
    let by: Vec<_> = site
        .history()
        .await
        .iter()
        .map(|entry| entry["by"].clone())
        .collect();
    assert_eq!(by, ["ben@ci", "ann@desk"]);
}

/// Runs a command of the site whose stdout takes nothing; its exit code and what it says.
async fn without_stdout(site: &Site, args: &[&str]) -> (Option<i32>, String) {
    let full = std::fs::File::options();
    let full = full.clone().write(true).open("/dev/full").unwrap();
    let mut command = guarded(env!("CARGO_BIN_EXE_bluegreen"));
    clean_environment(&mut command);
    command
        .args(args)
        .env("BLUEGREEN_CONFIG", site.provider.config())
        .env("BLUEGREEN_STORE", site.provider.store())
        .stdout(full)
        .stderr(std::process::Stdio::piped());
    let started = tokio::process::Command::from(command).spawn().unwrap();
    let output = started.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("stdout can't be written"), "{said}");
    assert!(!said.contains("nothing was changed"), "{said}");
    site.is_free().await;
    (output.status.code(), said)
}

/// What was done stands, whether anybody can read of it or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stdout_that_takes_nothing_changes_neither_what_was_done_nor_what_is_said_of_it() {
    let site = Site::start().await;
    let (code, said) = without_stdout(&site, &["flip", "green"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("blue → green"), "{said}");
    assert_eq!(site.key().await, "green");
    site.services[0].set_status_in_public("blue", 500);
    let (code, said) = without_stdout(&site, &["flip", "blue", "--json"]).await;
    assert_eq!(code, Some(4), "{said}");
    assert_eq!(site.key().await, "green");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_fails_for_monitoring_where_something_is_wrong() {
    let mut site = Site::start().await;
    let status = |site: &Site| site.command(&["status", "--check"]).any_stdout();
    status(&site).run().await;
    site.redis.cli(&["SET", "active", "purple"]).await;
    status(&site).code(3).stderr("`purple`").run().await;
    site.redis.cli(&["SET", "active", "blue"]).await;
    site.has_instances(1).await;
    site.services[0].set_healthy("blue", false);
    status(&site)
        .code(3)
        .stderr("blue has traffic, but api")
        .run()
        .await;
    let json = site
        .command(&["status", "--check", "--json"])
        .any_stdout()
        .code(3);
    let json = json.run().await.json();
    let wrong = json["stacks"]["deals"]["wrong"].as_array().unwrap();
    assert_eq!(wrong.len(), 1, "{json}");
    site.services[0].set_healthy("blue", true);
    // Nobody asks the idle color for more than it has.
    site.services[0].set_healthy("green", false);
    status(&site).run().await;
    site.redis.cli(&["SET", "other", "purple"]).await;
    let config = std::fs::read_to_string(site.provider.config()).unwrap();
    let servers = "{ blue: 'http://127.0.0.1:9', green: 'http://127.0.0.1:9' }";
    site.reconfigure(
        "stacks:\n",
        &format!("stacks:\n  other: {{ key: other, services: {{ web: {{ rule: 'Host(`o`)', servers: {servers} }} }} }}\n"),
    );
    let waits = eventually("the config waits", Duration::from_secs(15), async || {
        let run = status(&site)
            .env("BLUEGREEN_STACK", "deals")
            .any_code()
            .run()
            .await;
        match run.stderr.contains("is not in force: it waits") {
            true => Ok(run.code),
            false => Err(run.stderr),
        }
    });
    assert_eq!(waits.await, 3);
    site.provider.write_config(&config);
    site.provider.kill();
    let gone = eventually("no provider runs", Duration::from_secs(15), async || {
        let run = status(&site).any_code().run().await;
        if run.stderr.contains("the providers (none runs)") {
            Ok(run.code)
        } else {
            Err(run.stderr)
        }
    });
    assert_eq!(gone.await, 3);
    site.redis.kill();
    site.command(&["status", "--check"]).code(6).run().await;
}

/// Nothing refuses it: it says who will see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollback_without_a_provider_sets_the_key_and_says_so() {
    let mut site = Site::start().await;
    site.flip(&[]).stdout("blue → green").run().await;
    site.provider.terminate().await;
    let flip = site.command(&["flip", "blue", "--no-verify"]).code(1);
    flip.stderr("nobody would bring the change to Traefik")
        .run()
        .await;
    let back = site.command(&["rollback"]);
    back.stdout("green → blue; no provider runs: the next one that starts serves it")
        .run()
        .await;
    assert_eq!(site.key().await, "blue");
    site.traefik.wait_for("api.localhost", "green").await;
    site.provider.restart().await;
    site.traefik.wait_for("api.localhost", "blue").await;
}
