//! The way a release goes: from blue, over a look at green, to green; and back.

use hyper::Method;
use serde_json::json;

use crate::support::cli::Cli;
use crate::support::deals::Site;
use crate::support::stack::HOSTS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deal_that_began_on_blue_is_approved_on_green() {
    let mut site = Site::with_blue().await;

    // Green comes up beside blue, and is looked at directly; nobody outside sees it yet.
    site.green.start().await;
    for service in [&site.green.api, &site.green.mcp, &site.green.dashboard] {
        let health = service.get("/health").await.json();
        assert_eq!(
            (&health["color"], &health["version"]),
            (&json!("green"), &json!("2"))
        );
    }
    let page = site.green.dashboard.get("/").await;
    assert_eq!((page.status, page.color()), (200, Some("green")));
    for service in ["api", "mcp", "dashboard"] {
        assert_eq!(site.get(service, "/health").await.color(), Some("blue"));
    }

    let id = site.submitted("a dozen machines").await;
    let path = format!("/deals/{id}");
    let seen = site.green.api.get(&path).await.json();
    assert_eq!(seen["state"], "submitted", "both colors have one database");

    // The flip returns once Traefik routes to green.
    let flip = Cli::new(&["flip", "green", "--no-verify"]).of(&site.provider);
    flip.stdout("blue → green").run().await;
    for service in ["api", "mcp", "dashboard"] {
        let answer = site.get(service, "/health").await;
        assert_eq!(
            (answer.color(), answer.header("x-version")),
            (Some("green"), Some("2"))
        );
    }
    let body = json!({"approver": "ann", "note": "fine"});
    let approve = format!("{path}/approve");
    let approved = site.send("api", Method::POST, &approve, &body).await;
    assert_eq!((approved.status, approved.color()), (200, Some("green")));
    let deal = site.get("api", &path).await.json();
    let colors: Vec<_> = deal["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {}", entry["color"], entry["version"]).replace('"', ""))
        .collect();
    assert_eq!(colors, ["blue 1", "blue 1", "green 2"]);

    let shown = site.get("dashboard", "/deals.json").await.json();
    assert_eq!(
        (&shown["color"], &shown["version"]),
        (&json!("green"), &json!("2"))
    );
    assert_eq!(shown["deals"][0]["state"], "approved", "{shown}");

    // Back: blue reads what green wrote. Then green may go.
    let rollback = Cli::new(&["rollback"]).of(&site.provider);
    rollback.stdout("green → blue").run().await;
    for host in HOSTS {
        let answer = site.traefik.get(host, "/health").await;
        assert_eq!((answer.status, answer.color()), (200, Some("blue")));
    }
    site.green.stop().await;
    let deal = site.get("api", &path).await;
    assert_eq!(
        (deal.color(), &deal.json()["state"]),
        (Some("blue"), &json!("approved"))
    );
    let shown = site.get("dashboard", "/deals.json").await.json();
    assert_eq!(shown["color"], "blue");
}
