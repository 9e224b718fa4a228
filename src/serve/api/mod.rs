//! The API, by which stacks are looked at and changed from elsewhere:
//!
//! | route | answer |
//! | --- | --- |
//! | `POST /stacks/{stack}/traffic` | sets the key: `traffic` |
//! | `GET /stacks/{stack}/history` | who changed the traffic, when and why: `history` |
//!
//! What it does not do it says as a `problem`. Who may look may look at every stack; who may change, only at those of
//! their token.

mod history;
mod idempotency;
mod problem;
mod traffic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, Request};

use super::Shared;
use super::routes::Answer;
use crate::config::Stack;
use crate::state::Serving;
use crate::token::Token;
pub(super) use idempotency::Remembered;
use problem::{Kind, Problem};

/// What every path of the API begins with.
pub(super) const STACKS: &str = "/stacks/";

/// The paths that there are, for those who ask for another one.
pub(super) const PATHS: &str = "/stacks/{stack}/traffic, /stacks/{stack}/history";

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a path below a stack is for.
enum Route {
    Traffic,
    History,
}

impl Route {
    /// The route of a path, and the stack in it.
    fn of(path: &str) -> Option<(&str, Self)> {
        let (stack, rest) = path.strip_prefix(STACKS)?.split_once('/')?;
        let route = match rest {
            "traffic" => Self::Traffic,
            "history" => Self::History,
            _ => return None,
        };
        (!stack.is_empty()).then_some((stack, route))
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
    let nothing = || {
        let detail = format!("there is nothing at `{path}`; there are {PATHS}");
        Problem::new(Kind::NotFound, detail)
    };
    let (stack, route) = Route::of(&path).ok_or_else(nothing)?;
    let method = request.method();
    let reads = method == Method::GET || method == Method::HEAD;
    match route {
        Route::Traffic if method == Method::POST => {
            change(shared, peer, &path, stack, request).await
        }
        Route::Traffic => Err(Problem::method(&path, "POST")),
        Route::History if reads => {
            if !shared.access.may_read(request.headers()) {
                return Err(Problem::may_not_read());
            }
            history::list(shared, stack, request.uri().query()).await
        }
        Route::History => Err(Problem::method(&path, "GET, HEAD")),
    }
}

/// Answers what changes something: once, where it has a key.
async fn change(
    shared: &Arc<Shared>,
    peer: SocketAddr,
    path: &str,
    stack: &str,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    let caller = Caller::of(shared, peer, stack, &request)?;
    let key = idempotency::key(request.headers())?;
    let (head, body) = request.into_parts();
    let post = Post {
        caller,
        stack: stack.to_owned(),
        headers: head.headers,
        body: whole(body, traffic::MAX_BODY).await?,
    };
    let Some(key) = key else {
        return traffic::change(shared, &post).await;
    };
    let why = post.headers.get(traffic::WHY_HEADER);
    let why = why.map_or(&b""[..], HeaderValue::as_bytes);
    let print = idempotency::print(&[path.as_bytes(), why, &post.body]);
    let owner = post.caller.token.name.clone();
    let of_work = Arc::clone(shared);
    let work = async move { traffic::change(&of_work, &post).await };
    shared.remembered.once(owner, key, print, work).await
}

/// What asks for a change.
struct Post {
    caller: Caller,
    stack: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Who asks for a change, and may.
struct Caller {
    token: Arc<Token>,
    address: SocketAddr,
}

impl Caller {
    fn of(
        shared: &Shared,
        address: SocketAddr,
        stack: &str,
        request: &Request<Incoming>,
    ) -> Result<Self, Problem> {
        match shared.access.may_change(request.headers(), stack) {
            Ok(token) => Ok(Self { token, address }),
            Err(denied) => Err(Problem::may_not_change(&denied, stack)),
        }
    }

    /// As the history says it.
    fn by(&self) -> String {
        let address = self.address.ip();
        match &self.token.name {
            Some(name) => format!("{name} over http from {address}"),
            None => format!("http from {address}"),
        }
    }
}

/// The config of a stack.
fn stack_of<'a>(serving: &'a Serving, name: &str) -> Result<&'a Stack, Problem> {
    serving.config.stacks.get(name).ok_or_else(|| {
        let stacks: Vec<_> = serving.config.stacks.keys().map(String::as_str).collect();
        let stacks = stacks.join(", ");
        let detail = format!("there is no stack `{name}`; there are: {stacks}");
        Problem::new(Kind::UnknownStack, detail).stack(name)
    })
}

/// The whole body, of at most so many bytes.
async fn whole(body: Incoming, most: usize) -> Result<Bytes, Problem> {
    let body = Limited::new(body, most).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        _ => {
            let detail = format!("the body did not come, or has more than {most} bytes");
            Err(Problem::new(Kind::InvalidRequest, detail))
        }
    }
}
