//! What is answered to what:
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /traefik` | the document, held while it is what the connection was last sent; 503 while there is none |
//! | `GET /traefik/{stacks}` | the same of some stacks only, with commas between them; 404 where there is no such stack |
//! | `GET /status` | what runs, as JSON |
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 while there is a document to serve |
//! | `GET /metrics` | Prometheus text |
//! | `/stacks/{stack}/…` | the [API](super::api) |

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, RETRY_AFTER, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};

use super::answer::{Answer, json, plain, text_of};
use super::fleet::{Caller, ConnectionId};
use super::{Shared, access, api, hold, metrics, status};
use crate::document::{Document, Revision};
use crate::state::{NoShare, SHARES, Share};

/// The header by which an instance says who it is, set by Traefik's `providers.http.headers`.
const INSTANCE_HEADER: &str = "x-traefik-instance";

/// How often the log is told of polls without a token.
const REFUSAL_TOLD_EVERY: Duration = Duration::from_secs(60);

/// The longest name of an instance, in bytes.
const MAX_INSTANCE_NAME: usize = 128;

/// The paths that there are besides those of the API, for those who ask for another one.
const PATHS: &str = "/traefik, /traefik/{stacks}, /status, /healthz, /readyz, /metrics";

/// Answers one request.
///
/// # Errors
///
/// Never.
pub async fn answer(
    shared: &Arc<Shared>,
    connection: ConnectionId,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let path = request.uri().path();
    if path.starts_with(api::STACKS) {
        // What a change needs would be a part of every held poll's future otherwise.
        return Ok(Box::pin(api::answer(shared, peer, request)).await);
    }
    let share = path.strip_prefix(SHARES).filter(|names| !names.is_empty());
    let guarded = match path {
        "/healthz" | "/readyz" => false,
        "/traefik" | "/status" | "/metrics" => true,
        _ if share.is_some() => true,
        _ => {
            let text = format!(
                "there is nothing at `{path}`; there are {PATHS}, {}",
                api::PATHS
            );
            return Ok(plain(StatusCode::NOT_FOUND, &text));
        }
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Ok(not_allowed(path, "GET, HEAD"));
    }
    if guarded && !shared.access.may_read(request.headers()) {
        if share.is_some() || path == "/traefik" {
            tell_refusal(shared, peer);
        }
        return Ok(access::unauthorized());
    }
    let share = match share.map(|names| shared.state.share(names)).transpose() {
        Ok(share) => share,
        Err(error) => return Ok(no_share(&error)),
    };
    let path = if share.is_some() { "/traefik" } else { path };
    Ok(match path {
        // Whoever asks for the head alone gets no document, so it is no poll.
        "/traefik" if request.method() == Method::HEAD => {
            match document(shared, share.as_deref()) {
                Some(document) => answer_with(&document, &if_none_match(request.headers())),
                None => no_document(shared, share.as_deref()),
            }
        }
        "/traefik" => traefik(shared, connection, peer, share, request).await,
        "/status" => json(status::status(shared)),
        "/metrics" => {
            let text = metrics::text(shared);
            text_of(StatusCode::OK, metrics::CONTENT_TYPE, text)
        }
        "/readyz" if shared.state.serving().document.is_none() => not_ready(),
        _ => plain(StatusCode::OK, "ok"),
    })
}

const NOT_READY: &str = "no document to serve yet: the store has not told the traffic, and the state directory does not know it";

/// Whether an instance may call itself so: what is shown and written in so many places has no control characters, and the
/// paths of shares make names in the fleet.
fn is_name(name: &str) -> bool {
    let shown = |c: char| c.is_ascii_graphic() || c == ' ';
    let fits = !name.is_empty() && name.len() <= MAX_INSTANCE_NAME;
    fits && name.chars().all(shown) && !name.contains(SHARES)
}

/// What there is to serve now.
fn document(shared: &Shared, share: Option<&Share>) -> Option<Document> {
    match share {
        Some(share) => share.document(),
        None => shared.state.serving().document.clone(),
    }
}

/// There is nothing to serve, and nothing is guessed: not yet, or not any more.
fn no_document(shared: &Shared, share: Option<&Share>) -> Answer {
    let config = &shared.state.serving().config;
    match share.map(|share| share.check(config)) {
        Some(Err(error)) => no_share(&error),
        _ => not_ready(),
    }
}

/// There is no such share. Traefik keeps what it has.
fn no_share(error: &NoShare) -> Answer {
    let status = match error {
        NoShare::Unknown(..) => StatusCode::NOT_FOUND,
        NoShare::TooMany => StatusCode::SERVICE_UNAVAILABLE,
    };
    plain(status, &error.to_string())
}

/// A Traefik that shows no token stays on what it has, and only its own log says so: ours does too, now and then.
fn tell_refusal(shared: &Shared, peer: SocketAddr) {
    let mut told = shared
        .refusal_told
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if told.is_none_or(|told| told.elapsed() >= REFUSAL_TOLD_EVERY) {
        *told = Some(Instant::now());
        tracing::warn!(
            address = %peer.ip(),
            "a poll is refused, because it shows no read token or a wrong one: where that is a Traefik, set its \
             providers.http.headers.Authorization"
        );
    }
}

/// A poll of Traefik's HTTP provider, for the whole document or a share of it.
///
/// It ends with a change, with the end of the hold, or with the provider's stop; in each case with the whole document.
/// A peer that goes away drops it, and the fleet takes note.
async fn traefik(
    shared: &Arc<Shared>,
    connection: ConnectionId,
    peer: SocketAddr,
    share: Option<Arc<Share>>,
    request: Request<Incoming>,
) -> Answer {
    let headers = request.headers();
    let name = headers
        .get(INSTANCE_HEADER)
        .and_then(|name| name.to_str().ok())
        .map(str::trim);
    let caller = Caller {
        name: name.filter(|name| is_name(name)),
        address: peer.ip(),
        // It has shown the token by now, where there is one.
        trusted: shared.access.guards_reading(),
        by_go: headers
            .get(USER_AGENT)
            .is_some_and(|agent| agent.as_bytes().starts_with(b"Go-http-client")),
    };
    // Before the document is looked at, so that no change falls between the two.
    let mut revisions = match &share {
        Some(share) => share.revisions(),
        None => shared.state.revisions(),
    };
    revisions.mark_unchanged();
    let mut stopping = shared.stopping.subscribe();
    let mut poll = shared.fleet.arrive(connection, caller, share.as_ref());
    shared.polls.fetch_add(1, Ordering::Relaxed);
    let share = share.as_deref();
    let Some(mut document) = self::document(shared, share) else {
        return no_document(shared, share);
    };
    let mut ran_out = false;
    let asked = hold::asked(headers).or(shared.hold).unwrap_or(poll.best);
    let if_none_match = if_none_match(headers);
    // While it is there, so is the buffer that it was read into, and the connection takes another one.
    drop(request);
    let allowed = poll.cut.map_or(asked, |cut| cut.min(asked));
    if poll.last_sent.as_ref() == Some(&document.revision) && !allowed.is_zero() {
        poll.hold(allowed);
        tokio::select! {
            _ = revisions.wait_for(|revision| revision.as_ref() != Some(&document.revision)) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = tokio::time::sleep(allowed) => ran_out = true,
        }
        let Some(newest) = self::document(shared, share) else {
            poll.refuse();
            return no_document(shared, share);
        };
        document = newest;
    }
    poll.answer(&document.revision, ran_out);
    answer_with(&document, &if_none_match)
}

/// There is nothing to serve, and nothing is guessed.
fn not_ready() -> Answer {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, NOT_READY);
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn if_none_match(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(IF_NONE_MATCH).iter().cloned().collect()
}

/// The whole document, unless `If-None-Match` names it.
fn answer_with(document: &Document, if_none_match: &[HeaderValue]) -> Answer {
    let etag = format!("\"{}\"", document.revision);
    let unchanged = if_none_match
        .iter()
        .any(|value| names(value, &document.revision));
    let mut answer = if unchanged {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        let mut answer = Response::new(Full::new(document.bytes.clone()));
        answer
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    };
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        answer.headers_mut().insert(ETAG, etag);
    }
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// Whether `If-None-Match` names this revision, or any (RFC 9110, section 13.1.2: a weak comparison).
fn names(if_none_match: &HeaderValue, revision: &Revision) -> bool {
    let tags = if_none_match
        .to_str()
        .unwrap_or_default()
        .split(',')
        .map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .any(|tag| tag == "*" || tag.trim_matches('"') == revision.as_str())
}

/// The path is there, but not for this method.
fn not_allowed(path: &str, allowed: &'static str) -> Answer {
    let text = format!("{path} answers {allowed} only");
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, &text);
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
