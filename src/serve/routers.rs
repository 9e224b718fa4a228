//! Disabled routers: asking an instance which routers of the document it has disabled.
//!
//! A router that names something that is not there, such as a middleware of a container that was stopped, Traefik
//! disables alone: it answers 404 in its place, and the rest of the document is live. Only its API tells. It is asked
//! at the marker's port, which is often that of the entrypoint with `api.insecure`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::Shared;
use crate::document::Revision;
use crate::registry::{DisabledRouter, Routers};
use crate::verify::ask::Request;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How often an instance is asked where its document does not change: a router can be disabled later, too.
const EVERY: Duration = Duration::from_secs(10);

/// The least of that for each instance, so that asking a large fleet costs next to nothing.
const EACH: Duration = Duration::from_millis(10);

/// How many instances are asked at once.
const AT_ONCE: usize = 8;

/// How many routers of an instance are told by name, and how much of their errors, in characters: all of it is in the
/// list of instances in the store.
const TOLD: usize = 10;
const LONGEST: usize = 200;

/// How many pages of an answer are read, of a hundred routers each.
const PAGES: usize = 10;

/// What the names of our routers end with, for Traefik.
const OURS: &str = "@http";

/// Asks each instance that has applied a document, again and again.
pub async fn watch(shared: Arc<Shared>) {
    loop {
        let instances = shared.fleet.applied();
        let count = u32::try_from(instances.len()).unwrap_or(u32::MAX);
        tokio::time::sleep(EVERY.max(EACH.saturating_mul(count))).await;
        let Some(port) = shared
            .state
            .serving()
            .config
            .marker
            .as_ref()
            .map(|marker| marker.port)
        else {
            continue;
        };
        stream::iter(shared.fleet.applied())
            .for_each_concurrent(AT_ONCE, async |(id, address, revision)| {
                look(&shared, &id, SocketAddr::new(address, port), &revision).await;
            })
            .await;
    }
}

/// Asks an instance that routes by the document of this revision, and says in the log what is new.
pub(super) async fn look(shared: &Shared, id: &str, address: SocketAddr, revision: &Revision) {
    let now = ask(address, revision).await;
    let before = shared.fleet.set_routers(id, now.clone());
    let (Some(now), before) = (now, before.unwrap_or_default()) else {
        return;
    };
    if (&now.disabled, now.more) == (&before.disabled, before.more) {
        return;
    }
    for DisabledRouter { router, error } in &now.disabled {
        tracing::warn!(
            instance = id,
            router,
            error,
            "Traefik has disabled a router: it answers 404 in its place"
        );
    }
    match (now.disabled.is_empty(), now.more) {
        (true, _) => tracing::info!(instance = id, "Traefik has enabled every router again"),
        (false, 0) => {}
        (false, more) => tracing::warn!(instance = id, more, "Traefik has disabled more routers"),
    }
}

/// Asks an instance that routes by the document of this revision; none where its API can't be reached there.
async fn ask(address: SocketAddr, revision: &Revision) -> Option<Routers> {
    let mut disabled = Vec::new();
    let mut page = 1;
    for _ in 0..PAGES {
        let path =
            format!("/api/http/routers?status=disabled&search={OURS}&per_page=100&page={page}");
        let request = Request::get(&format!("http://{address}"), &path, TIMEOUT);
        let answer = request
            .ask()
            .await
            .ok()
            .filter(|answer| answer.status.is_success())?;
        let routers: Vec<Router> = serde_json::from_slice(&answer.body).ok()?;
        disabled.extend(routers.into_iter().filter_map(Router::disabled));
        let next = answer
            .headers
            .get("X-Next-Page")?
            .to_str()
            .ok()?
            .parse()
            .ok()?;
        // After the last page comes the first.
        if next <= page {
            break;
        }
        page = next;
    }
    let more = disabled.len().saturating_sub(TOLD);
    disabled.truncate(TOLD);
    Some(Routers {
        revision: revision.to_string(),
        disabled,
        more,
    })
}

/// A router as Traefik's API shows it (`pkg/api/handler_http.go`).
#[derive(Deserialize)]
struct Router {
    name: String,
    status: String,
    #[serde(default)]
    error: Vec<String>,
}

impl Router {
    /// It, where it is one of ours and disabled.
    fn disabled(self) -> Option<DisabledRouter> {
        let router = self.name.strip_suffix(OURS)?.to_owned();
        let error = self.error.join("; ").chars().take(LONGEST).collect();
        (self.status == "disabled").then_some(DisabledRouter { router, error })
    }
}
