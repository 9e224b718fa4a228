//! The API, by which stacks are looked at and changed from elsewhere:
//!
//! | route | answer |
//! | --- | --- |
//! | `POST /stacks/{stack}/traffic` | sets the key: `traffic` |
//! | `GET /stacks/{stack}/history` | who changed the traffic, when and why: `history` |
//! | `POST /stacks/{stack}/rollouts` | begins a change of traffic with care: `rollouts` |
//! | `GET /stacks/{stack}/rollouts` | the one that runs, or the last one |
//! | `GET /stacks/{stack}/rollouts/{id}` | that one |
//! | `POST /stacks/{stack}/rollouts/{id}/pause`, `resume`, `abort` | what is wanted of it |
//!
//! What it does not do it says as a `problem`. Who may look may look at every stack; who may change, only at those of
//! their token.

mod history;
mod idempotency;
mod post;
mod problem;
mod rollouts;
mod traffic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request};
use tokio::sync::Semaphore;

use super::Shared;
use super::answer::Answer;
use crate::rollout::record::Want;
use idempotency::Remembered;
use post::Post;
pub(super) use post::STACKS;
use problem::{Kind, Problem};

/// The paths that there are, for those who ask for another one.
pub(super) const PATHS: &str = "/stacks/{stack}/traffic, /stacks/{stack}/history, /stacks/{stack}/rollouts, \
    /stacks/{stack}/rollouts/{id}, /stacks/{stack}/rollouts/{id}/pause, …/resume, …/abort";

/// How many requests that look, and as many that change something, work with the store at once; the others wait. Each has
/// a connection, of which the store may not have many.
const MOST_AT_ONCE: usize = 16;

/// More bytes than any body has: a reason of the longest, with every character escaped.
const MAX_BODY: usize = 8 << 10;

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What the API shares among its requests.
pub(super) struct Api {
    remembered: Remembered,
    looks: Semaphore,
    /// Of their own: who has to go back waits for nobody who looks.
    changes: Semaphore,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            remembered: Remembered::default(),
            looks: Semaphore::new(MOST_AT_ONCE),
            changes: Semaphore::new(MOST_AT_ONCE),
        }
    }
}

/// What a path below a stack is good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Route {
    looks: Option<Look>,
    changes: Option<Change>,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Look {
    History,
    Rollouts,
    Rollout(String),
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Traffic,
    Begin,
    Act(String, Want),
}

impl Route {
    /// The route of a path, and the stack in it.
    fn of(path: &str) -> Option<(&str, Self)> {
        let mut parts = path.strip_prefix(STACKS)?.split('/');
        let stack = parts.next().filter(|stack| !stack.is_empty())?;
        let rest: Vec<_> = parts.collect();
        let act = |id: &str, what| (None, Some(Change::Act(id.to_owned(), what)));
        let (looks, changes) = match rest.as_slice() {
            ["traffic"] => (None, Some(Change::Traffic)),
            ["history"] => (Some(Look::History), None),
            ["rollouts"] => (Some(Look::Rollouts), Some(Change::Begin)),
            ["rollouts", "", ..] => return None,
            ["rollouts", id] => (Some(Look::Rollout((*id).to_owned())), None),
            ["rollouts", id, "pause"] => act(id, Want::Pause),
            ["rollouts", id, "resume"] => act(id, Want::Resume),
            ["rollouts", id, "abort"] => act(id, Want::Abort),
            _ => return None,
        };
        Some((stack, Self { looks, changes }))
    }

    /// The methods that it knows.
    const fn methods(&self) -> &'static str {
        match (&self.looks, &self.changes) {
            (Some(_), Some(_)) => "GET, HEAD, POST",
            (Some(_), None) => "GET, HEAD",
            (None, _) => "POST",
        }
    }
}

/// Answers a request of the API.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let answer = respond(shared, peer, request).await;
    answer.unwrap_or_else(Problem::answer)
}

async fn respond(
    shared: &Arc<Shared>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    let path = request.uri().path().to_owned();
    let Some((stack, route)) = Route::of(&path) else {
        let detail = format!("there is nothing at `{path}`; there are {PATHS}");
        return Err(Problem::new(Kind::NotFound, detail));
    };
    let methods = route.methods();
    let answer = match (request.method(), route.looks, route.changes) {
        (&Method::GET | &Method::HEAD, Some(what), _) => look(shared, stack, what, &request).await,
        (&Method::POST, _, Some(what)) => change(shared, peer, stack, what, request).await,
        _ => Err(Problem::method(&path, methods)),
    };
    answer.map_err(|problem| problem.stack(stack))
}

/// Answers what changes nothing.
async fn look(
    shared: &Shared,
    stack: &str,
    what: Look,
    request: &Request<Incoming>,
) -> Result<Answer, Problem> {
    if !shared.access.may_read(request.headers()) {
        return Err(Problem::may_not_read());
    }
    let _one_of_few = shared.api.looks.acquire().await;
    match what {
        Look::History => history::list(shared, stack, request.uri().query()).await,
        Look::Rollouts => rollouts::list(shared, stack).await,
        Look::Rollout(id) => rollouts::show(shared, stack, &id).await,
    }
}

/// Answers what changes something: once, where it has a key.
async fn change(
    shared: &Arc<Shared>,
    address: SocketAddr,
    stack: &str,
    what: Change,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    let token = shared.access.may_change(request.headers(), stack);
    let token = token.map_err(|denied| Problem::may_not_change(&denied, stack))?;
    let key = idempotency::key(request.headers())?;
    let (head, body) = request.into_parts();
    let post = Post {
        token,
        address,
        stack: stack.to_owned(),
        headers: head.headers,
        body: whole(body).await?,
        key: key.clone(),
    };
    let Some(key) = key else {
        return make(shared, &post, &what).await;
    };
    let why = post.headers.get(traffic::WHY_HEADER);
    let why = why.map_or(&b""[..], HeaderValue::as_bytes);
    let print = idempotency::print(&[head.uri.path().as_bytes(), why, &post.body]);
    let owner = post.token.name.clone();
    let of_work = Arc::clone(shared);
    let work = async move { make(&of_work, &post, &what).await };
    shared.api.remembered.once(owner, key, print, work).await
}

/// Makes a change.
async fn make(shared: &Shared, post: &Post, what: &Change) -> Result<Answer, Problem> {
    let _one_of_few = shared.api.changes.acquire().await;
    match what {
        Change::Traffic => traffic::change(shared, post).await,
        Change::Begin => rollouts::begin(shared, post).await,
        Change::Act(id, what) => rollouts::act(shared, post, id, *what).await,
    }
}

/// The whole body.
async fn whole(body: Incoming) -> Result<Bytes, Problem> {
    let body = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        _ => {
            let detail = format!("the body did not come, or has more than {MAX_BODY} bytes");
            Err(Problem::new(Kind::InvalidRequest, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_stack_and_what_is_there() {
        let methods =
            |path: &str| Route::of(path).map(|(stack, route)| (stack.to_owned(), route.methods()));
        for (path, expected) in [
            ("/stacks/shop/traffic", "POST"),
            ("/stacks/shop/history", "GET, HEAD"),
            ("/stacks/shop/rollouts", "GET, HEAD, POST"),
            ("/stacks/shop/rollouts/0f", "GET, HEAD"),
            ("/stacks/shop/rollouts/0f/pause", "POST"),
            ("/stacks/shop/rollouts/0f/resume", "POST"),
            ("/stacks/shop/rollouts/0f/abort", "POST"),
        ] {
            assert_eq!(methods(path), Some(("shop".to_owned(), expected)), "{path}");
        }
        for path in [
            "/stacks/",
            "/stacks/shop",
            "/stacks/shop/",
            "/stacks//traffic",
            "/stacks/shop/traffic/",
            "/stacks/shop/rollouts/",
            "/stacks/shop/rollouts//pause",
            "/stacks/shop/rollouts/0f/",
            "/stacks/shop/rollouts/0f/stop",
            "/stacks/shop/rollouts/0f/pause/x",
        ] {
            assert_eq!(methods(path), None, "{path}");
        }
    }
}
