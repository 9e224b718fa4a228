//! `POST /stacks/{stack}/traffic`: a change of traffic from elsewhere, for whoever shows the token.
//!
//! The body is the traffic value, as text. It sets the key, only if it is still what it was, and writes the history; it
//! waits for no instance: `GET /status` tells who has it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

use super::routes::{Answer, json, plain};
use super::{Shared, access};
use crate::history::{self, Entry};
use crate::registry;
use crate::store::{Outcome, Reading, StoreError};
use crate::traffic::Traffic;

/// More bytes than any traffic value has.
const MAX_BODY: usize = 4096;

/// How long the body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The header that says why, for the history.
const WHY_HEADER: &str = "X-Why";

/// What was done.
#[derive(Serialize)]
struct Done<'a> {
    stack: &'a str,
    from: Option<String>,
    to: String,
    changed: bool,
}

/// The stack that a path names, where it is one of this route.
pub(super) fn stack_of(path: &str) -> Option<&str> {
    let stack = path.strip_prefix("/stacks/")?.strip_suffix("/traffic")?;
    (!stack.is_empty() && !stack.contains('/')).then_some(stack)
}

/// Answers a change.
pub(super) async fn switch(
    shared: &Arc<Shared>,
    peer: SocketAddr,
    stack: &str,
    request: Request<Incoming>,
) -> Answer {
    if let Err(denied) = shared.access.may_change(request.headers()) {
        return access::denied(denied);
    }
    let why = match reason(request.headers()) {
        Ok(why) => why,
        Err(text) => return plain(StatusCode::BAD_REQUEST, &format!("{WHY_HEADER}: {text}")),
    };
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    let Ok(Ok(body)) = tokio::time::timeout(BODY_TIMEOUT, body).await else {
        return plain(
            StatusCode::BAD_REQUEST,
            &format!("the body did not come, or has more than {MAX_BODY} bytes"),
        );
    };
    let serving = shared.state.serving();
    let Some(config) = serving.config.stacks.get(stack) else {
        let stacks: Vec<_> = serving.config.stacks.keys().map(String::as_str).collect();
        let text = format!(
            "there is no stack `{stack}`; there are: {}",
            stacks.join(", ")
        );
        return plain(StatusCode::NOT_FOUND, &text);
    };
    let to = match Traffic::parse(&body.to_bytes(), &config.colors) {
        Ok(to) => to,
        Err(error) => return plain(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let from = serving
        .stacks
        .get(stack)
        .map(|known| known.traffic.to_string());
    let entry = Entry {
        at: Timestamp::now(),
        from: from.clone().unwrap_or_default(),
        to: to.to_string(),
        by: format!("http from {}", peer.ip()),
        why,
    };
    match set(shared, stack, &config.key, &to, &config.colors, &entry).await {
        Ok(changed) => json(Done {
            stack,
            from,
            to: to.to_string(),
            changed,
        }),
        Err(Refusal::Conflict) => plain(
            StatusCode::CONFLICT,
            "somebody else changed the traffic at the same time; nothing was changed",
        ),
        Err(Refusal::OfAnother(other)) => plain(
            StatusCode::CONFLICT,
            &format!(
                "the key `{}` moves the traffic of `{}`, as another provider says, and not only that of `{stack}`: give \
                 the stack a key of its own; nothing was changed",
                config.key,
                other.escape_debug()
            ),
        ),
        Err(Refusal::Store(error @ StoreError::Unknown(_))) => {
            plain(StatusCode::GATEWAY_TIMEOUT, &error.to_string())
        }
        Err(Refusal::Store(error)) => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("the store: {error}; nothing was changed"),
        ),
    }
}

/// The reason that a change gives; empty where it gives none.
fn reason(headers: &HeaderMap) -> Result<String, String> {
    let Some(value) = headers.get(WHY_HEADER) else {
        return Ok(String::new());
    };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| "it is not UTF-8".to_owned())?;
    history::reason(text)
}

/// Why nothing was set.
enum Refusal {
    Conflict,
    /// A running provider serves the key under this name.
    OfAnother(String),
    Store(StoreError),
}

/// Sets the key unless it says so already; tells whether it was set.
async fn set(
    shared: &Shared,
    stack: &str,
    key: &str,
    to: &Traffic,
    colors: &[crate::color::Color],
    entry: &Entry,
) -> Result<bool, Refusal> {
    let mut session = shared.store.connect(key).await.map_err(Refusal::Store)?;
    let reports = match session.reports(key).await {
        // Without the right to it nothing is known of the others.
        Err(StoreError::Refused(_)) => Vec::new(),
        reports => reports.map_err(Refusal::Store)?,
    };
    if let Some(other) = registry::other_stack(&reports, stack) {
        return Err(Refusal::OfAnother(other.to_owned()));
    }
    let reading = session.read_one(key).await.map_err(Refusal::Store)?.reading;
    if matches!(&reading, Reading::Value(value) if Traffic::parse(value, colors).as_ref() == Ok(to))
    {
        return Ok(false);
    }
    match session
        .set(key, &reading, entry)
        .await
        .map_err(Refusal::Store)?
    {
        Outcome::Set => Ok(true),
        Outcome::Conflict(_) => Err(Refusal::Conflict),
    }
}
