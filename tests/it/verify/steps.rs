//! Smoke tests of steps.

use super::desk::Desk;
use super::{Verify, service};

/// A stack with one service, `desk`, and these checks, as YAML in flow style.
fn with_checks(desk: &Desk, checks: &str) -> Verify {
    let services = service("desk", &desk.url());
    Verify::of(&format!(
        "    services:\n{services}    checks: [{checks}]\n"
    ))
}

/// A check `try` of these steps.
async fn of_steps(steps: &str) -> (Desk, Verify) {
    let desk = Desk::open().await;
    let verify = with_checks(&desk, &format!("{{ name: try, steps: [{steps}] }}"));
    (desk, verify)
}

#[tokio::test]
async fn values_travel_from_step_to_step_with_their_types() {
    let (desk, verify) = of_steps(
        "{ service: desk, method: POST, path: '/items?run={run}', json: { title: 'of {color} in {stack}', note: 5 },
           expect: { status: 200, json: { $.body.title: of green in s, $.body.note: 5.0, $.type: application/json } },
           save: { id: $.n, token: 'header:X-Token', path: $.path } },
         { service: desk, method: PUT, path: '/items/{id}', headers: { X-Token: '{token}', Host: public.example }, json: { id: '{id}', text: 'no. {id}' },
           expect: { json: { $.method: PUT, $.path: '/items/{id}', $.token: '{token}', $.host: public.example, $.body.id: '{id}', $.body.text: 'no. {id}' } } },
         { service: desk, method: POST, path: /, text: '{path} { not } {}', expect: { contains: ['/items?run=', '{ not } {}'], headers: { X-Color: '{color}' } } }",
    )
    .await;
    verify
        .green(&[])
        .stdout("passed      check       try")
        .run()
        .await;
    verify
        .green(&["--timeout", "0.5s"])
        .any_stdout()
        .run()
        .await;
    let asked = desk.asked();
    assert_eq!(asked.len(), 6, "{asked:?}");
    assert_eq!(asked[1], "PUT /items/1");
    assert!(asked[0].len() > "POST /items?run=".len(), "{asked:?}");
    assert_ne!(asked[0], asked[3], "a run is like no other");
}

#[tokio::test]
async fn a_step_that_is_not_answered_as_expected_says_what_was_asked_expected_and_got() {
    for (step, said) in [
        (
            "path: /status/500",
            "GET URL/status/500: expected 2xx, got 500 Internal Server Error: `the desk is closed`",
        ),
        (
            "path: /, expect: { status: [201, 204] }",
            "expected 201 or 204, got 200 OK",
        ),
        (
            "path: /, expect: { headers: { X-Color: blue } }",
            "expected the header `x-color: blue`, which is [\"green\"]",
        ),
        (
            "path: /, expect: { headers: { X-None: a } }",
            "expected the header `x-none: a`, which is not there",
        ),
        ("path: /, expect: { contains: 'run {run}' }", "in the body"),
        (
            "path: /, expect: { json: { $.n: 7 } }",
            "expected $.n to be 7, which is 1",
        ),
        (
            "path: /, expect: { json: { $.none: null } }",
            "expected $.none to be null, which is not there",
        ),
        (
            "path: /status/200, expect: { json: { $.n: 1 } }",
            "expected JSON",
        ),
        ("path: /, save: { a: $.none }", "expected a value at $.none"),
        (
            "path: /, save: { a: 'header:X-None' }",
            "expected the header `x-none`",
        ),
        (
            "path: /silent, timeout: 200ms",
            "GET URL/silent: no answer within 200ms",
        ),
    ] {
        let (desk, verify) = of_steps(&format!("{{ service: desk, {step} }}")).await;
        let run = verify.green(&["--timeout", "1"]).code(3);
        let output = run.any_stdout().run().await;
        let said = said.replace("URL", &desk.url());
        assert!(
            output.stdout.contains("failed      check       try"),
            "{step}: {output:?}"
        );
        assert!(output.stdout.contains("step 1: "), "{step}: {output:?}");
        assert!(output.stdout.contains(&said), "{step}: {said}: {output:?}");
    }
}

#[tokio::test]
async fn the_first_step_that_fails_is_the_last_and_cleanup_is_done_all_the_same() {
    let desk = Desk::open().await;
    let verify = with_checks(
        &desk,
        "{ name: try, steps: [
             { service: desk, path: /made, save: { id: $.n } }, { service: desk, path: /status/500 }, { service: desk, path: /never, save: { more: $.n } } ],
           cleanup: [ { service: desk, method: DELETE, path: '/items/{id}' }, { service: desk, method: DELETE, path: '/more/{more}' } ] }",
    );
    let run = verify.green(&["--timeout", "0.5s"]).code(3).any_stdout();
    let output = run.run().await;
    assert!(output.stdout.contains("step 2: GET"), "{output:?}");
    assert_eq!(
        desk.asked(),
        ["GET /made", "GET /status/500", "DELETE /items/1"]
    );
}

#[tokio::test]
async fn a_cleanup_that_fails_fails_the_check() {
    let desk = Desk::open().await;
    let verify = with_checks(
        &desk,
        "{ name: try, steps: [ { service: desk, path: / } ], cleanup: [ { service: desk, path: /status/404 } ] }",
    );
    let run = verify.green(&["--timeout", "0.5s"]).code(3).any_stdout();
    let output = run.run().await;
    assert!(output.stdout.contains("cleanup, step 1: GET"), "{output:?}");
}

#[tokio::test]
async fn the_last_event_of_a_stream_is_its_json() {
    let (_desk, verify) =
        of_steps("{ service: desk, path: /events, expect: { json: { $.n: 2 } } }").await;
    verify.green(&[]).any_stdout().run().await;
}

#[tokio::test]
async fn each_replica_is_checked_and_none_while_one_is_not_well() {
    let (one, two) = (Desk::open().await, Desk::open().await);
    let checks = "    checks: [{ name: try, steps: [{ service: desk, path: / }] }]\n";
    let services = service("desk", &format!("[{}, {}]", one.url(), two.url()));
    let verify = Verify::of(&format!("    services:\n{services}{checks}"));
    let run = verify.green(&[]).stdout("try (replica 1)");
    run.stdout("try (replica 2)").run().await;
    assert_eq!((one.asked().len(), two.asked().len()), (1, 1));

    let services = services + &service("other", "http://127.0.0.1:1");
    let verify = Verify::of(&format!("    services:\n{services}{checks}"));
    let run = verify.green(&["--timeout", "0.3s"]).code(3);
    let why = "not run, because health other http://127.0.0.1:1 is not well";
    run.stdout(&format!("skipped     check       try (replica 1): {why}"))
        .run()
        .await;
    assert_eq!((one.asked().len(), two.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_check_of_a_service_that_only_traefik_knows_is_skipped() {
    let desk = Desk::open().await;
    let services = service("desk", &desk.url()) + &service("far", "far-green@docker");
    let checks = "    checks: [{ name: try, steps: [{ service: far, path: / }] }]\n";
    let verify = Verify::of(&format!("    services:\n{services}{checks}"));
    let run = verify.green(&[]);
    run.stdout("skipped     check       try: where far is, only Traefik knows")
        .run()
        .await;
}
