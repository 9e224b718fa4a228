//! The API, `/stacks/{stack}/…`, asked over HTTP as anybody would.

mod history;
mod idempotency;
mod problem;
mod rollouts;
mod tokens;
mod traffic;

use hyper::Method;
use hyper::body::Bytes;

use crate::support::http::{Answer, Connection};
use crate::support::provider::Provider;

/// One request on a connection of its own.
async fn send(
    provider: &Provider,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut connection = Connection::open(provider.address()).await.unwrap();
    let answer = connection.send(method, "localhost", path, headers, body.into());
    answer
        .await
        .unwrap_or_else(|error| panic!("{path}: {error}\n{}", provider.log()))
}

/// A GET that shows a token, where there is one.
async fn get(provider: &Provider, path: &str, token: Option<&str>) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let header = bearer.as_deref().map(|bearer| ("Authorization", bearer));
    send(provider, Method::GET, path, header.as_slice(), "").await
}

/// A POST that shows a token.
async fn post(provider: &Provider, path: &str, token: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    send(provider, Method::POST, path, &headers, body.to_owned()).await
}
