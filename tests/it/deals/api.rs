//! The API: the life of a deal, and what the database may do to it.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::support::deals::{Deployment, Service, command};
use crate::support::http::Answer;
use crate::support::postgres::Postgres;
use crate::support::{eventually, http};

/// A database, and the API of blue (version 1) on it.
async fn blue() -> (Service, Postgres) {
    let postgres = Postgres::start().await;
    let mut blue = Service::api("blue", "1", &postgres.url());
    blue.start().await;
    (blue, postgres)
}

async fn post(api: &Service, path: &str, body: Value) -> Answer {
    api.send(Method::POST, path, &body).await
}

/// What takes no body.
async fn act(api: &Service, id: i64, action: &str) -> Answer {
    let path = format!("/deals/{id}/{action}");
    api.send(Method::POST, &path, &Value::Null).await
}

async fn approve(api: &Service, id: i64, approver: &str) -> Answer {
    let path = format!("/deals/{id}/approve");
    post(api, &path, json!({"approver": approver, "note": "fine"})).await
}

async fn create(api: &Service) -> i64 {
    let deal = json!({"title": "a dozen machines", "amount": 125_000, "currency": "EUR"});
    let created = post(api, "/deals", deal).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.json()["id"].as_i64().unwrap()
}

async fn submitted(api: &Service) -> i64 {
    let id = create(api).await;
    assert_eq!(act(api, id, "submit").await.status, 200);
    id
}

/// The states of its history, each with the color and the version that did it.
fn history(deal: &Value) -> Vec<String> {
    let entries = deal["history"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or("nobody").to_owned();
    let shown = entries.map(|entry| {
        let [state, color, version, by] =
            ["state", "color", "version", "by"].map(|k| text(&entry[k]));
        format!("{state} by {by} on {color} {version}")
    });
    shown.collect()
}

#[tokio::test]
async fn a_deal_goes_from_draft_to_closed_and_remembers_who_did_what() {
    let (api, _postgres) = blue().await;
    let deal = json!({"title": "a dozen machines", "amount": 125_000, "currency": "EUR"});
    let created = post(&api, "/deals", deal).await;
    assert_eq!(created.status, 201, "{created:?}");
    let id = created.json()["id"].as_i64().unwrap();
    let path = format!("/deals/{id}");
    assert_eq!(created.header("location"), Some(path.as_str()));
    let deal = api.get(&path).await.json();
    for (field, value) in [
        ("title", json!("a dozen machines")),
        ("amount", json!(125_000)),
        ("currency", json!("EUR")),
        ("state", json!("draft")),
        ("approval", Value::Null),
    ] {
        assert_eq!(deal[field], value, "{deal}");
    }

    assert_eq!(act(&api, id, "submit").await.json()["state"], "submitted");
    let approved = approve(&api, id, "ann").await.json();
    assert_eq!(approved["approval"]["approver"], "ann", "{approved}");
    assert_eq!(approved["approval"]["note"], "fine");
    let closed = act(&api, id, "close").await.json();
    assert_eq!(closed["state"], "closed");
    assert_eq!(closed["approval"], approved["approval"]);
    assert_eq!(
        history(&closed),
        [
            "draft by nobody on blue 1",
            "submitted by nobody on blue 1",
            "approved by ann on blue 1",
            "closed by nobody on blue 1",
        ]
    );
    assert_eq!(api.get(&path).await.json(), closed);

    let deleted = api.send(Method::DELETE, &path, &Value::Null).await;
    assert_eq!((deleted.status, deleted.text()), (204, ""));
    assert_eq!(api.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_rejection_is_in_the_history_and_the_list_has_the_newest_first() {
    let (api, _postgres) = blue().await;
    let (draft, rejected) = (create(&api).await, submitted(&api).await);
    let path = format!("/deals/{rejected}/reject");
    let deal = post(&api, &path, json!({"approver": "bob", "note": "too dear"})).await;
    let deal = deal.json();
    assert_eq!(
        (&deal["state"], &deal["approval"]),
        (&json!("rejected"), &Value::Null)
    );
    let last = &deal["history"][2];
    assert_eq!(
        (&last["by"], &last["note"]),
        (&json!("bob"), &json!("too dear"))
    );

    let ids = async |query: &str| {
        let listed = api.get(&format!("/deals{query}")).await.json();
        let deals = listed["deals"].as_array().unwrap().clone();
        assert!(
            deals.iter().all(|deal| deal.get("history").is_none()),
            "{listed}"
        );
        deals
            .iter()
            .map(|deal| deal["id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [rejected, draft]);
    assert_eq!(ids("?state=draft").await, [draft]);
    assert_eq!(ids("?limit=1").await, [rejected]);
    assert_eq!(ids("?state=approved").await, [0_i64; 0]);
}

#[tokio::test]
async fn what_a_state_does_not_allow_is_refused_with_what_it_allows() {
    let (api, _postgres) = blue().await;
    let id = create(&api).await;
    let refused = approve(&api, id, "ann").await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(
        refused.json(),
        json!({"error": "a draft deal can't be approved", "state": "draft", "allowed": ["submit", "delete"]})
    );
    let refused = act(&api, id, "close").await;
    assert_eq!(
        (refused.status, &refused.json()["allowed"]),
        (409, &json!(["submit", "delete"]))
    );

    act(&api, id, "submit").await;
    let refused = act(&api, id, "submit").await;
    assert_eq!(
        (refused.status, &refused.json()["allowed"]),
        (409, &json!(["approve", "reject"]))
    );
    let path = format!("/deals/{id}");
    let refused = api.send(Method::DELETE, &path, &Value::Null).await;
    assert_eq!(
        (refused.status, &refused.json()["state"]),
        (409, &json!("submitted"))
    );

    approve(&api, id, "ann").await;
    let refused = approve(&api, id, "bob").await;
    assert_eq!(
        (refused.status, &refused.json()["allowed"]),
        (409, &json!(["close"]))
    );
    let deal = api.get(&path).await.json();
    assert_eq!(deal["approval"]["approver"], "ann");
    assert_eq!(deal["history"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn all_wrong_fields_are_named_at_once() {
    let (api, _postgres) = blue().await;
    let fields = async |path: &str, body: Value| {
        let answer = post(&api, path, body).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        let answer = answer.json();
        assert!(answer["error"].is_string(), "{answer}");
        let fields = answer["fields"].as_object().unwrap();
        // The order is not what it is about.
        let mut names: Vec<_> = fields.keys().cloned().collect();
        names.sort();
        names.join(" ")
    };
    let wrong = json!({"title": " ", "amount": 0, "currency": "euros", "colour": "red"});
    assert_eq!(
        fields("/deals", wrong).await,
        "amount colour currency title"
    );
    assert_eq!(fields("/deals", json!({})).await, "amount currency title");
    let wrong = json!({"title": "x".repeat(201), "amount": 1.5, "currency": 7});
    assert_eq!(fields("/deals", wrong).await, "amount currency title");
    let id = submitted(&api).await;
    let path = format!("/deals/{id}/approve");
    assert_eq!(
        fields(&path, json!({"approver": " "})).await,
        "approver note"
    );
    let wrong = json!({"approver": "ann", "note": "x".repeat(2001), "by": "ann"});
    assert_eq!(fields(&path, wrong).await, "by note");
    assert_eq!(
        api.get(&format!("/deals/{id}")).await.json()["state"],
        "submitted"
    );
}

#[tokio::test]
async fn every_answer_is_json_and_says_who_gave_it() {
    let (api, _postgres) = blue().await;
    let id = create(&api).await;
    let big = json!({"title": "x".repeat(70_000)});
    let answers = [
        (200, api.get("/").await),
        (200, api.get("/health").await),
        (200, api.get("/deals").await),
        (404, api.get("/nothing/here").await),
        (404, api.get("/deals/4711").await),
        (404, api.get("/deals/seven").await),
        (404, act(&api, 4711, "submit").await),
        (405, api.send(Method::PUT, "/deals", &Value::Null).await),
        (405, api.get(&format!("/deals/{id}/submit")).await),
        (413, post(&api, "/deals", big).await),
        (409, act(&api, id, "close").await),
        (422, post(&api, "/deals", json!({})).await),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.color(), Some("blue"), "{answer:?}");
        assert_eq!(answer.header("x-version"), Some("1"), "{answer:?}");
        let is_error = answer.json()["error"].is_string();
        assert_eq!(is_error, status >= 400, "{answer:?}");
    }
    let headers = [("Content-Type", "application/json")];
    let mut connection = http::Connection::open(api.address()).await.unwrap();
    let broken = connection.send(
        Method::POST,
        "localhost",
        "/deals",
        &headers,
        "{\"title\":".into(),
    );
    assert_eq!(broken.await.unwrap().status, 400);
    let who = json!({"service": "api", "color": "blue", "version": "1"});
    assert_eq!(api.get("/").await.json(), who);
    let health = api.get("/health").await.json();
    assert_eq!(health["status"], "ok", "{health}");
    api.log()
        .contains("api blue, version 1, listens on http://")
        .await;
}

/// Both make the tables, at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_colors_start_at_once_on_an_empty_database() {
    let postgres = Postgres::start().await;
    let mut colors = [
        Service::api("blue", "1", &postgres.url()),
        Service::api("green", "2", &postgres.url()),
    ];
    for api in &mut colors {
        api.spawn();
    }
    for api in &mut colors {
        api.healthy().await;
    }
    let [blue, green] = &colors;
    let id = create(blue).await;
    let deal = act(green, id, "submit").await.json();
    assert_eq!(
        history(&deal),
        [
            "draft by nobody on blue 1",
            "submitted by nobody on green 2"
        ]
    );
    assert_eq!(postgres.log().count("ERROR"), 0, "{}", postgres.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_approvals_at_once_on_both_colors_exactly_one_wins() {
    let (blue, postgres) = blue().await;
    let mut green = Service::api("green", "2", &postgres.url());
    green.start().await;
    for _ in 0..30 {
        let id = submitted(&blue).await;
        let answers = tokio::join!(
            approve(&blue, id, "ann"),
            approve(&green, id, "bob"),
            approve(&blue, id, "cid"),
            approve(&green, id, "dan"),
        );
        let answers = [answers.0, answers.1, answers.2, answers.3];
        let mut codes = answers.each_ref().map(|answer| answer.status);
        codes.sort_unstable();
        assert_eq!(codes, [200, 409, 409, 409], "{answers:?}");
        let won = answers.iter().find(|answer| answer.status == 200).unwrap();
        let deal = green.get(&format!("/deals/{id}")).await.json();
        assert_eq!(deal["approval"], won.json()["approval"]);
        assert_eq!(deal["history"].as_array().unwrap().len(), 3, "{deal}");
        assert_eq!(deal["history"][2]["color"], won.color().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_it_is_unwell_and_it_recovers_by_itself() {
    let (mut api, mut postgres) = blue().await;
    let id = create(&api).await;
    postgres.kill().await;
    for path in ["/health", "/deals"] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        assert_eq!(answer.color(), Some("blue"));
    }
    let deal = json!({"title": "lost", "amount": 1, "currency": "EUR"});
    let answer = post(&api, "/deals", deal).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let health = api.get("/health").await.json();
    assert_eq!(health["status"], "unavailable", "{health}");
    assert!(health["why"].is_string(), "{health}");
    // What does not need it still answers.
    assert_eq!(api.get("/").await.status, 200);

    postgres.restart().await;
    api.healthy().await;
    assert_eq!(act(&api, id, "submit").await.status, 200);

    // A database that is there and silent is as bad as none.
    postgres.stop();
    assert_eq!(api.get("/health").await.status, 503);
    postgres.cont();
    api.healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_end_it_finishes_what_runs() {
    let (mut api, postgres) = blue().await;
    let id = submitted(&api).await;
    // The approval waits for this, and with it the end.
    let lock = postgres.lock(id).await;
    let approved = async {
        let answer = approve(&api, id, "ann").await;
        (answer.status, answer.json()["state"].clone())
    };
    let ended = async {
        postgres.somebody_waits().await;
        api.signal("TERM");
        eventually("the port is closed", Duration::from_secs(5), async || {
            let refused = http::Connection::open(api.address()).await;
            refused.map_or(Ok(()), |_| Err("open"))
        })
        .await;
        postgres.somebody_waits().await;
        lock.open().await;
    };
    let (approved, ()) = tokio::join!(approved, ended);
    assert_eq!(approved, (200, json!("approved")));
    let status = api.ended().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_health_check_without_curl_exits_by_the_answer() {
    let (mut api, mut postgres) = blue().await;
    let check = |api: &Service| {
        let mut check = command(&["healthcheck"]);
        check.env("LISTEN", api.address().to_string());
        check.output().unwrap().status.code()
    };
    assert_eq!(check(&api), Some(0));
    postgres.kill().await;
    assert_eq!(check(&api), Some(1));
    api.kill();
    assert_eq!(check(&api), Some(1));
}

#[tokio::test]
async fn the_others_are_as_well_as_their_own_colors_api() {
    let postgres = Postgres::start().await;
    let mut green = Deployment::new("green", "2", &postgres.url());
    green.start().await;
    for service in [&green.mcp, &green.dashboard] {
        let health = service.get("/health").await;
        assert_eq!((health.status, health.color()), (200, Some("green")));
        assert_eq!(service.get("/nothing/here").await.color(), Some("green"));
    }
    green.api.kill();
    for service in [&green.mcp, &green.dashboard] {
        let health = service.get("/health").await;
        assert_eq!(health.status, 503);
        assert_eq!(health.json()["status"], "unavailable");
        assert_eq!(health.header("x-version"), Some("2"));
    }
    green.api.start().await;
    green.stop().await;
}
