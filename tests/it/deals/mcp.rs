//! The MCP server behind the switch: what a client with a session, or without one, sees of a flip.

use std::time::Duration;

use hyper::Method;
use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};

use crate::support::cli::Cli;
use crate::support::deals::Site;
use crate::support::http::{Answer, Connection};
use crate::support::poll::Poller;
use crate::support::{eventually, http};

const HOST: &str = "mcp.localhost";

/// The newest protocol that has sessions.
const WITH_SESSIONS: &str = "2025-11-25";

/// An answer that takes longer is lost.
const LOST_AFTER: Duration = Duration::from_secs(3);

type Client = RunningService<RoleClient, ()>;

/// Asks, and once more where the answer is lost: of what changes nothing. With a session, about one answer of a thousand
/// is lost on its way through Traefik: it cuts a stream now and then, and resuming that does not always bring the answer.
async fn surely<T>(ask: impl AsyncFn() -> T) -> T {
    match tokio::time::timeout(LOST_AFTER, ask()).await {
        Ok(answer) => answer,
        Err(_) => ask().await,
    }
}

/// A client through Traefik, that either makes a session or does without.
async fn client(site: &Site, lifecycle: ClientLifecycleMode) -> Client {
    let web = site.traefik.web();
    let client = surely(async || {
        // Not every system resolves names below localhost.
        let http = reqwest::Client::builder().no_proxy().resolve(HOST, web);
        let url = format!("http://{HOST}:{}/mcp", web.port());
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        let transport = StreamableHttpClientTransport::with_client(http.build().unwrap(), config);
        ().serve_with_lifecycle(transport, lifecycle.clone()).await
    });
    let client = client.await;
    client.unwrap_or_else(|error| panic!("{error}\n{}", site.blue.mcp.log()))
}

fn newest_protocol() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::LATEST],
    }
}

async fn try_call(
    client: &Client,
    tool: &'static str,
    arguments: Value,
) -> Result<CallToolResult, String> {
    let arguments = arguments.as_object().unwrap().clone();
    let call = CallToolRequestParams::new(tool).with_arguments(arguments);
    client
        .call_tool(call)
        .await
        .map_err(|error| error.to_string())
}

/// The structured result of a call that is to succeed.
///
/// Where the answer is [lost](surely), a careful client asks what has become of the deal.
async fn call(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let asked = json!({"id": arguments["id"]});
    let first = tokio::time::timeout(LOST_AFTER, try_call(client, tool, arguments.clone())).await;
    let result = match first {
        Ok(result) => result,
        Err(_) if tool == "list_deals" => try_call(client, tool, arguments).await,
        Err(_) => try_call(client, "show_deal", asked).await,
    };
    let result = result.unwrap();
    assert_ne!(result.is_error, Some(true), "{result:?}");
    assert!(
        !result.content.is_empty(),
        "there is text for those who read no structure: {result:?}"
    );
    result.structured_content.unwrap()
}

/// What a server calls itself.
fn who(client: &Client) -> String {
    format!("{:?}", client.peer_info().unwrap())
}

async fn flip(site: &Site, color: &str) {
    let run = Cli::new(&["flip", color, "--no-verify"]).of(&site.provider);
    run.stdout(color).run().await;
}

/// One message, by hand, in a session.
async fn post(site: &Site, session: Option<&str>, message: &Value) -> Answer {
    let mut headers = vec![
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    if let Some(session) = session {
        headers.extend([
            ("Mcp-Session-Id", session),
            ("Mcp-Protocol-Version", WITH_SESSIONS),
        ]);
    }
    let mut connection = Connection::open(site.traefik.web()).await.unwrap();
    let message = message.to_string();
    let answer = connection.send(Method::POST, HOST, "/mcp", &headers, message.into());
    answer.await.unwrap()
}

/// Makes a session by hand, and returns its id.
async fn session(site: &Site) -> String {
    let client = json!({"name": "test", "version": "1"});
    let params =
        json!({"protocolVersion": WITH_SESSIONS, "capabilities": {}, "clientInfo": client});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let answer = post(site, None, &hello).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.header("mcp-session-id").unwrap().to_owned();
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let answer = post(site, Some(&id), &ready).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    id
}

async fn list_tools(site: &Site, session: &str) -> Answer {
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    post(site, Some(session), &list).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tool_works_on_both_colors() {
    let site = Site::start().await;
    for (color, version) in [("blue", "1"), ("green", "2")] {
        flip(&site, color).await;
        for lifecycle in [ClientLifecycleMode::Initialize, newest_protocol()] {
            let client = client(&site, lifecycle).await;
            let who = who(&client);
            assert!(who.contains(color) && who.contains(version), "{who}");
            let tools = surely(async || client.list_all_tools().await)
                .await
                .unwrap();
            let mut names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
            names.sort_unstable();
            assert_eq!(
                names,
                ["approve_deal", "list_deals", "show_deal", "submit_deal"]
            );

            let deal = json!({"title": "by a tool", "amount": 1, "currency": "EUR"});
            let created = site.send("api", Method::POST, "/deals", &deal).await;
            let id = created.json()["id"].clone();
            let drafts = call(&client, "list_deals", json!({"state": "draft"})).await;
            assert_eq!(drafts["deals"][0]["id"], id, "{drafts}");
            assert_eq!(drafts["deals"].as_array().unwrap().len(), 1, "{drafts}");
            let shown = call(&client, "show_deal", json!({"id": id})).await;
            assert_eq!(shown["title"], "by a tool");

            // What the API refuses is the tool's error, in the API's words; the client may go on.
            let approval = json!({"id": id, "approver": "ann", "note": "fine"});
            let refused =
                surely(async || try_call(&client, "approve_deal", approval.clone()).await);
            let refused = refused.await.unwrap();
            assert_eq!(refused.is_error, Some(true), "{refused:?}");
            let words = format!("{refused:?}");
            assert!(words.contains("a draft deal can't be approved"), "{words}");
            let missing = json!({"id": 4711});
            let missing = surely(async || try_call(&client, "show_deal", missing.clone()).await);
            let missing = missing.await.unwrap();
            assert_eq!(missing.is_error, Some(true), "{missing:?}");

            let submitted = call(&client, "submit_deal", json!({"id": id})).await;
            assert_eq!(submitted["state"], "submitted");
            let approved = call(&client, "approve_deal", approval).await;
            assert_eq!(approved["approval"]["approver"], "ann", "{approved}");
            assert_eq!(approved["history"][2]["color"], color, "{approved}");
            client.cancel().await.unwrap();
        }
    }
}

/// By hand: what is on the wire. A session belongs to the process that made it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_unknown_to_the_other_color_and_good_again_after_a_rollback() {
    let site = Site::start().await;
    let blue = session(&site).await;
    assert!(blue.starts_with("blue-"), "{blue}");
    let listed = list_tools(&site, &blue).await;
    assert_eq!((listed.status, listed.color()), (200, Some("blue")));
    assert!(listed.text().contains("approve_deal"), "{listed:?}");

    flip(&site, "green").await;
    let lost = list_tools(&site, &blue).await;
    assert_eq!(
        (lost.status, lost.color()),
        (404, Some("green")),
        "{lost:?}"
    );
    let green = session(&site).await;
    assert!(green.starts_with("green-"), "{green}");
    assert_eq!(list_tools(&site, &green).await.status, 200);

    flip(&site, "blue").await;
    let listed = list_tools(&site, &blue).await;
    assert_eq!((listed.status, listed.color()), (200, Some("blue")));
    assert_eq!(list_tools(&site, &green).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_a_session_makes_a_new_one_by_itself_after_a_flip() {
    let site = Site::start().await;
    let client = client(&site, ClientLifecycleMode::Initialize).await;
    let id = site.submitted("begun on blue").await;
    assert_eq!(
        call(&client, "show_deal", json!({"id": id})).await["state"],
        "submitted"
    );

    flip(&site, "green").await;
    let approval = json!({"id": id, "approver": "ann", "note": "fine"});
    let approved = call(&client, "approve_deal", approval).await;
    assert_eq!(approved["history"][2]["color"], "green", "{approved}");
    // What it was told of the server at its start stays as it was.
    assert!(who(&client).contains("blue"), "{}", who(&client));

    flip(&site, "blue").await;
    let shown = call(&client, "show_deal", json!({"id": id})).await;
    assert_eq!(shown["state"], "approved");
    client.cancel().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_sessions_notices_nothing() {
    let mut site = Site::start().await;
    let client = client(&site, newest_protocol()).await;
    assert_eq!(
        client.peer_info().unwrap().protocol_version,
        ProtocolVersion::LATEST
    );
    let id = site.submitted("begun on blue").await;
    assert_eq!(
        call(&client, "show_deal", json!({"id": id})).await["state"],
        "submitted"
    );
    flip(&site, "green").await;
    site.blue.stop().await;
    let approval = json!({"id": id, "approver": "ann", "note": "fine"});
    let approved = call(&client, "approve_deal", approval).await;
    assert_eq!(approved["history"][2]["color"], "green", "{approved}");
    client.cancel().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_opened_on_blue_stays_there_until_blue_ends() {
    let mut site = Site::start().await;
    let id = session(&site).await;
    let mut stream = Poller::connect(site.traefik.web()).await;
    let get = format!(
        "GET /mcp HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {id}\r\n\
         Mcp-Protocol-Version: {WITH_SESSIONS}\r\n\r\n"
    );
    stream.send(get.as_bytes()).await;
    // Its head comes with the first event, or at once; its end comes with blue's.
    assert!(stream.within(Duration::from_millis(200)).await.is_none());
    flip(&site, "green").await;
    let answer = http::get(site.traefik.web(), HOST, "/", &[]).await.unwrap();
    assert_eq!(answer.color(), Some("green"));
    assert!(stream.within(Duration::from_millis(500)).await.is_none());
    // Its end is a regular one, soon, and not a cut.
    let began = std::time::Instant::now();
    site.blue.stop().await;
    let whole = stream.receive().await;
    assert_eq!((whole.status, whole.header("x-color")), (200, Some("blue")));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

/// Approves a deal by a call that takes until `meanwhile` is over; it begins on blue.
async fn approve_meanwhile(
    site: &Site,
    client: &Client,
    id: i64,
    meanwhile: impl AsyncFnOnce(),
) -> Result<CallToolResult, String> {
    let lock = site.postgres.lock(id).await;
    let meanwhile = async {
        site.postgres.somebody_waits().await;
        meanwhile().await;
        // The approval still runs.
        site.postgres.somebody_waits().await;
        lock.open().await;
    };
    let approval = json!({"id": id, "approver": "ann", "note": "fine"});
    tokio::join!(try_call(client, "approve_deal", approval), meanwhile).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_runs_on_blue_during_a_flip_is_answered_from_there() {
    let site = Site::start().await;
    for lifecycle in [ClientLifecycleMode::Initialize, newest_protocol()] {
        flip(&site, "blue").await;
        let client = client(&site, lifecycle).await;
        let id = site.submitted("slow").await;
        let approved = approve_meanwhile(&site, &client, id, async || {
            flip(&site, "green").await;
            assert_eq!(site.get("mcp", "/").await.color(), Some("green"));
        });
        let approved = approved.await.unwrap().structured_content.unwrap();
        assert_eq!(approved["history"][2]["color"], "blue", "{approved}");
        // The next one is green's.
        let shown = call(&client, "show_deal", json!({"id": id})).await;
        assert_eq!(shown["state"], "approved");
        client.cancel().await.unwrap();
    }
}

/// A new session is the end of the old one: what the client still waits for there is done, but it is not told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_call_after_a_flip_takes_the_answer_of_the_first_one_from_a_client_with_a_session()
{
    let site = Site::start().await;
    for (lifecycle, heard) in [
        (ClientLifecycleMode::Initialize, false),
        (newest_protocol(), true),
    ] {
        flip(&site, "blue").await;
        let client = client(&site, lifecycle).await;
        let id = site.submitted("slow").await;
        let approved = approve_meanwhile(&site, &client, id, async || {
            flip(&site, "green").await;
            let shown = call(&client, "show_deal", json!({"id": id})).await;
            assert_eq!(shown["state"], "submitted");
        });
        match approved.await {
            Ok(_) => assert!(heard),
            Err(error) => {
                assert!(!heard, "{error}");
                assert!(error.contains("session was re-initialized"), "{error}");
            }
        }
        eventually("it is approved", Duration::from_secs(15), async || {
            let deal = call(&client, "show_deal", json!({"id": id})).await;
            let by = &deal["history"][2]["color"];
            if by == "blue" { Ok(()) } else { Err(deal) }
        })
        .await;
        client.cancel().await.unwrap();
    }
}
