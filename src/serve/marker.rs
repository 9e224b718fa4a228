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
use tokio::sync::Semaphore;

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

/// After a longer pause than this a connection is made anew: others need the file meanwhile.
const LONGEST_KEPT: Duration = Duration::from_millis(16);

/// The most instances that are asked at once. Each takes a file, and of those few are left beside the polls.
const MOST_AT_ONCE: usize = 48;

/// As many more of those that did not answer when they were asked before: each takes until the time-out, and must not
/// delay those that answer.
const MOST_SILENT_AT_ONCE: usize = 16;

/// Between two looks at who is to be asked, for each instance.
const LOOK_PER_INSTANCE: Duration = Duration::from_micros(10);

/// A connection on which an instance is asked.
struct Connection {
    to: SocketAddr,
    sender: SendRequest<Empty<Bytes>>,
}

/// Places for those who are asked.
struct Places {
    answering: Semaphore,
    silent: Semaphore,
}

/// Asks each instance that has fetched the current document until it has applied it.
pub async fn ask_all(shared: Arc<Shared>) {
    let mut changes = shared.fleet.changes();
    let asked: Arc<Mutex<HashSet<String>>> = Arc::default();
    let places = Arc::new(Places {
        answering: Semaphore::new(MOST_AT_ONCE),
        silent: Semaphore::new(MOST_SILENT_AT_ONCE),
    });
    // It lasts as long as the fleet that tells of changes.
    while changes.changed().await.is_ok() {
        let serving = shared.state.serving();
        // Whoever is asked while it stops gives up at once, and would be asked again.
        if serving.config.marker.is_none() || *shared.stopping.borrow() {
            continue;
        }
        let whole = serving.document.as_ref().map(|document| &document.revision);
        for (id, revision) in shared.fleet.unapplied(whole) {
            let mut being_asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            if !being_asked.insert(id.clone()) {
                continue;
            }
            drop(being_asked);
            let (shared, asked) = (Arc::clone(&shared), Arc::clone(&asked));
            let places = Arc::clone(&places);
            tokio::spawn(async move {
                let applied = ask_until_applied(&shared, &places, &id, &revision).await;
                asked
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&id);
                // Also where it was not: what it has fetched meanwhile is to be asked for now.
                shared.fleet.asked(&id, applied.then_some(&revision));
            });
        }
        // Of thousands each is news of its own: they are looked at together. Few are not kept waiting.
        let instances = u32::try_from(shared.fleet.size()).unwrap_or(u32::MAX);
        let pause = LOOK_PER_INSTANCE * instances;
        if pause >= Duration::from_millis(1) {
            tokio::time::sleep(pause).await;
        }
    }
}

/// Asks one instance until it has applied the document, or there is a newer one, or it is gone.
async fn ask_until_applied(
    shared: &Shared,
    places: &Places,
    id: &str,
    revision: &Revision,
) -> bool {
    let mut pause = FIRST_PAUSE;
    let mut connection = None;
    let mut place = None;
    let mut silent = false;
    let mut warned = false;
    loop {
        if place.is_none() {
            let places = if silent {
                &places.silent
            } else {
                &places.answering
            };
            place = places.acquire().await.ok();
        }
        // Each time anew: it may have come back from elsewhere, or the marker's port may have been corrected.
        let Some(address) = address(shared, id, revision) else {
            return false;
        };
        let asked = tokio::time::timeout(TIMEOUT, ask(&mut connection, address, revision)).await;
        let error = match asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(true) => {
                // Before it counts as applied, so that who waits for that can rely on it.
                routers::look(shared, id, address, revision).await;
                return true;
            }
            Ok(false) => None,
            Err(error) => Some(error),
        };
        silent = error.is_some();
        if silent || pause > LONGEST_KEPT {
            connection = None;
            place = None;
        }
        if pause >= LONGEST_PAUSE && !std::mem::replace(&mut warned, true) {
            let error = error.map(|error| error.to_string());
            tracing::warn!(
                instance = id, %address, %revision, error,
                "the instance does not confirm the document at its marker: see its log for a rejected document, and check \
                 `marker.entryPoint` and `marker.port`"
            );
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Where the instance is to be asked for this document now; none where that is the current one no longer, the instance
/// is gone, or the provider stops.
fn address(shared: &Shared, id: &str, revision: &Revision) -> Option<SocketAddr> {
    let serving = shared.state.serving();
    let port = serving.config.marker.as_ref()?.port;
    let whole = serving.document.as_ref().map(|document| &document.revision);
    let (ip, current) = shared.fleet.wanted(id, whole)?;
    let wanted = current.as_ref() == Some(revision) && !*shared.stopping.borrow();
    wanted.then_some(SocketAddr::new(ip, port))
}

/// Asks once, over a connection that is kept for the next time.
async fn ask(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    revision: &Revision,
) -> io::Result<bool> {
    let usable = connection
        .take()
        .filter(|connection| connection.to == address && !connection.sender.is_closed());
    let connection = match usable {
        Some(usable) => connection.insert(usable),
        None => connection.insert(Connection::open(address).await?),
    };
    let (status, _) = connection.get(&format!("{MARKER_PATH}{revision}")).await?;
    if status == StatusCode::IM_A_TEAPOT {
        return Ok(true);
    }
    let path = format!("/api/http/routers/{MARKER_ROUTER}@http");
    let (status, body) = connection.get(&path).await?;
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

impl Connection {
    async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(driver);
        Ok(Self { to, sender })
    }

    async fn get(&mut self, path: &str) -> io::Result<(StatusCode, Bytes)> {
        self.sender.ready().await.map_err(io::Error::other)?;
        let request = Request::get(path)
            .header(HOST, self.to.to_string())
            .body(Empty::new())
            .map_err(io::Error::other)?;
        let answer = self
            .sender
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
}
