//! Applied: asking an instance by which document it routes.
//!
//! A Traefik that rejects a document polls on just the same. So where the config has a marker, the document has a
//! router that names its own revision; the instance that answers it with 418 has applied that document.
//!
//! On an entrypoint with `api.insecure` Traefik's dashboard takes every path before any router of ours; there its API
//! is asked for the marker's router instead.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::{Shared, routers};
use crate::document::{MARKER_PATH, MARKER_ROUTER, Revision};

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The pause before the second question; each further one is twice as long, up to the longest. Traefik takes a few
/// milliseconds to apply a document.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// More than any answer that is expected has, in bytes.
const MAX_BODY: usize = 64 * 1024;

type Sender = SendRequest<Empty<Bytes>>;

/// Asks each instance that has fetched the current document until it has applied it.
pub async fn ask_all(shared: Arc<Shared>) {
    let mut changes = shared.fleet.changes();
    let asked: Arc<Mutex<HashSet<String>>> = Arc::default();
    // It lasts as long as the fleet that tells of changes.
    while changes.changed().await.is_ok() {
        let serving = shared.state.serving();
        let (Some(marker), Some(document)) = (&serving.config.marker, &serving.document) else {
            continue;
        };
        for (id, address) in shared.fleet.unapplied(&document.revision) {
            let mut being_asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            if !being_asked.insert(id.clone()) {
                continue;
            }
            drop(being_asked);
            let (shared, asked) = (Arc::clone(&shared), Arc::clone(&asked));
            let address = SocketAddr::new(address, marker.port);
            let revision = document.revision.clone();
            tokio::spawn(async move {
                let applied = ask_until_applied(&shared, &id, address, &revision).await;
                asked
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&id);
                if applied {
                    // Before it counts as applied, so that who waits for that can rely on it.
                    routers::look(&shared, &id, address, &revision).await;
                }
                // Also where it was not: what it has fetched meanwhile is to be asked for now.
                shared.fleet.asked(&id, applied.then_some(&revision));
            });
        }
    }
}

/// Asks one instance until it has applied the document, or there is a newer one, or it is gone.
async fn ask_until_applied(
    shared: &Shared,
    id: &str,
    address: SocketAddr,
    revision: &Revision,
) -> bool {
    let mut pause = FIRST_PAUSE;
    let mut connection = None;
    let mut warned = false;
    loop {
        let asked = tokio::time::timeout(TIMEOUT, ask(&mut connection, address, revision)).await;
        let error = match asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(true) => return true,
            Ok(false) => None,
            Err(error) => {
                connection = None;
                Some(error)
            }
        };
        if pause >= LONGEST_PAUSE && !std::mem::replace(&mut warned, true) {
            let error = error.map(|error| error.to_string());
            tracing::warn!(
                instance = id, %address, %revision, error,
                "the instance does not answer for the document: has it rejected it (see its log), \
                 and is the marker's entrypoint there?"
            );
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        let current = shared
            .state
            .serving()
            .document
            .as_ref()
            .is_some_and(|document| document.revision == *revision);
        if !current || !shared.fleet.knows(id) || *shared.stopping.borrow() {
            return false;
        }
    }
}

/// Asks once, over a connection that is kept for the next time.
async fn ask(
    connection: &mut Option<Sender>,
    address: SocketAddr,
    revision: &Revision,
) -> io::Result<bool> {
    if connection.as_ref().is_none_or(SendRequest::is_closed) {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(driver);
        *connection = Some(sender);
    }
    let Some(sender) = connection else {
        return Err(io::ErrorKind::NotConnected.into());
    };
    let (status, _) = get(sender, address, &format!("{MARKER_PATH}{revision}")).await?;
    if status == StatusCode::IM_A_TEAPOT {
        return Ok(true);
    }
    let (status, body) = get(
        sender,
        address,
        &format!("/api/http/routers/{MARKER_ROUTER}@http"),
    )
    .await?;
    let router: ApiRouter = match status {
        StatusCode::OK => serde_json::from_slice(&body).unwrap_or_default(),
        _ => return Ok(false),
    };
    Ok(router.status == "enabled" && router.rule.contains(revision.as_str()))
}

/// A router as Traefik's API shows it (`pkg/api/handler_http.go`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct ApiRouter {
    status: String,
    rule: String,
}

async fn get(
    sender: &mut Sender,
    address: SocketAddr,
    path: &str,
) -> io::Result<(StatusCode, Bytes)> {
    sender.ready().await.map_err(io::Error::other)?;
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .body(Empty::new())
        .map_err(io::Error::other)?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_BODY)
        .collect()
        .await
        .map_err(io::Error::other)?;
    Ok((status, body.to_bytes()))
}
