//! Hooks that are requests.

use bluegreen::hook::Stage;
use bluegreen::rollout::hook::{Cause, Told};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::receiver::{Got, Receiver};
use super::{Site, flip, green};
use crate::verify::tls::terminate;

/// A site whose `after` is this request; `SERVER` in it is the receiver's `http://127.0.0.1:PORT`.
fn site(receiver: &Receiver, call: &str) -> Site {
    let server = format!("http://{}", receiver.address);
    Site::of(&format!("      after: {{ http: {call} }}").replace("SERVER", &server))
}

fn well(_: &Got) -> (u16, String) {
    (204, String::new())
}

#[tokio::test]
async fn a_request_without_a_body_of_its_own_says_what_the_rollout_is() {
    let receiver = Receiver::start(well).await;
    let site = site(&receiver, "{ url: SERVER/hook }");
    site.run(Stage::After).await.unwrap();
    let green = green();
    let unknown = Told {
        from: None,
        ..flip(Stage::After, &green)
    };
    site.run_for(&unknown).await.unwrap();
    let got = receiver.got();
    assert_eq!(got[0].line, "POST /hook");
    let kind = "content-type: application/json".to_owned();
    assert!(got[0].headers.contains(&kind), "{got:?}");
    let body = |got: &Got| serde_json::from_str::<Value>(&got.body).unwrap();
    let mut told = json!({
        "stage": "after", "stack": "s", "color": "green", "from": "blue", "to": "green", "rollout": "r-1",
        "by": "ann@web1", "why": "release \"42\" & more",
    });
    assert_eq!(body(&got[0]), told);
    told["from"] = Value::Null;
    assert_eq!(body(&got[1]), told);
    let began = format!("# POST http://{}", receiver.address);
    assert_eq!(site.told(), [began.clone(), began]);
}

#[tokio::test]
async fn its_texts_have_the_values_each_as_it_has_to_be_written_there() {
    let receiver = Receiver::start(well).await;
    let call = "{ method: PUT, url: 'SERVER/{stack}/{why}?by={by}', headers: { X-Why: '{why}', Host: '{color}.example' },
        json: { text: '{from} → {to}: {why}', n: 1, id: '{rollout}' } }";
    site(&receiver, call).run(Stage::After).await.unwrap();
    let call = "{ method: GET, url: 'SERVER' }";
    site(&receiver, call).run(Stage::After).await.unwrap();
    let call = "{ url: SERVER, text: 'payload={stage}', headers: { Content-Type: text/plain } }";
    site(&receiver, call).run(Stage::After).await.unwrap();
    let got = receiver.got();
    assert_eq!(
        got[0].line,
        "PUT /s/release%20%2242%22%20%26%20more?by=ann%40web1"
    );
    for header in ["x-why: release \"42\" & more", "host: green.example"] {
        assert!(got[0].headers.contains(&header.to_owned()), "{got:?}");
    }
    let body: Value = serde_json::from_str(&got[0].body).unwrap();
    let text = "blue → green: release \"42\" & more";
    assert_eq!(body, json!({ "text": text, "n": 1, "id": "r-1" }));
    assert_eq!((&*got[1].line, &*got[1].body), ("GET /", ""));
    assert_eq!(got[2].body, "payload=after");
    assert!(
        got[2]
            .headers
            .contains(&"content-type: text/plain".to_owned())
    );
}

/// The worst of servers: it repeats everything that it is sent.
fn repeats(got: &Got) -> (u16, String) {
    (
        403,
        format!(
            "{} {} {}\x1b[31m",
            got.line,
            got.headers.join(" "),
            got.body
        ),
    )
}

#[tokio::test]
async fn an_answer_that_is_not_as_expected_fails_and_no_secret_is_shown() {
    let receiver = Receiver::start(repeats).await;
    let call = "{ url: SERVER/services/T0PSECRET, text: hello, headers: { Authorization: Bearer hunter2-token, X-Key: other-key } }";
    let failed = site(&receiver, call).run(Stage::After).await.unwrap_err();
    assert!(matches!(failed.cause, Cause::Answer(_)));
    assert_eq!(failed.what, format!("POST http://{}", receiver.address));
    let shown = format!("{failed} {failed:?}");
    for secret in ["hunter2", "other-key", "T0PSECRET"] {
        assert!(!shown.contains(secret), "{shown}");
        let got = receiver.got();
        assert!(format!("{got:?}").contains(secret), "{got:?}");
    }
    let start = format!(
        "the hook `after` failed: POST http://{}: expected 2xx, got 403 Forbidden: `POST … ",
        receiver.address
    );
    assert!(failed.to_string().starts_with(&start), "{failed}");
    assert!(!failed.to_string().contains('\x1b'), "{failed}");
}

#[tokio::test]
async fn what_is_expected_is_what_a_smoke_test_can_expect() {
    let receiver = Receiver::start(|_| (200, r#"{"ok":false}"#.to_owned())).await;
    let expecting = |expect: &str| site(&receiver, &format!("{{ url: SERVER, expect: {expect} }}"));
    let run = async |expect: &str| expecting(expect).run(Stage::After).await;
    assert_eq!(run("{ status: [200, 202] }").await, Ok(()));
    assert_eq!(run("{ json: { $.ok: false } }").await, Ok(()));
    for (expect, told) in [
        ("{ status: 202 }", "expected 202, got 200 OK"),
        (
            "{ json: { $.ok: true } }",
            "expected $.ok to be true, which is false",
        ),
        ("{ contains: '{rollout}' }", "expected `r-1` in the body"),
    ] {
        let failed = run(expect).await.unwrap_err().to_string();
        assert!(failed.contains(told), "{failed}");
    }
}

#[tokio::test]
async fn nobody_and_nothing_in_time_are_told() {
    let receiver = Receiver::start(well).await;
    let site_of_nobody = site(&receiver, "{ url: SERVER }");
    drop(receiver);
    let failed = site_of_nobody.run(Stage::After).await.unwrap_err();
    assert!(matches!(failed.cause, Cause::NoAnswer(_)), "{failed}");

    // Connections are taken by the kernel, and then by nobody.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site::of(&format!(
        "      back: {{ http: {{ url: 'http://{address}' }}, timeout: 200ms }}"
    ));
    let failed = site.run(Stage::Back).await.unwrap_err();
    assert_eq!(
        failed.to_string(),
        format!("the hook `back` failed: POST http://{address}: no answer within 200ms")
    );
}

#[tokio::test]
async fn a_server_with_a_certificate_that_this_host_does_not_trust_is_told_nothing() {
    // As `main` does it; another test may have done so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let receiver = Receiver::start(well).await;
    let address = terminate(receiver.address).await;
    let site = Site::of(&format!(
        "      after: {{ http: {{ url: 'https://{address}', headers: {{ Authorization: secret }} }} }}"
    ));
    let failed = site.run(Stage::After).await.unwrap_err();
    assert!(failed.to_string().contains("certificate"), "{failed}");
    assert!(receiver.got().is_empty());
}
