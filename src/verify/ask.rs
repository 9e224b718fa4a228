//! One HTTP request, and its answer.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, redirect};
use serde_json::Value;

/// More of a body is not read.
const MAX_BODY: usize = 1 << 20;

/// How much of a body is shown, in characters.
const SHOWN: usize = 200;

/// What asks: a connection for each request, no redirects, no proxy. Certificates are not judged: who shows them is not
/// what is verified.
pub(super) struct Client(Result<reqwest::Client, String>);

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Scheme, host and port.
    pub(super) server: String,
    /// The path, with a query where there is one.
    pub(super) path: String,
    /// The name that is asked for, where it is not the server's own.
    pub(super) host: Option<String>,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Option<String>,
    /// How long the answer may take.
    pub(super) timeout: Duration,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// Nobody could be asked.
    Unreachable(String),
    /// Who was asked did not answer, or not in full.
    Broken(String),
}

impl NoAnswer {
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Unreachable(why) | Self::Broken(why) => why,
        }
    }
}

impl Request {
    /// A GET.
    pub(super) fn get(server: &str, path: &str, timeout: Duration) -> Self {
        Self {
            method: Method::GET,
            server: server.to_owned(),
            path: path.to_owned(),
            host: None,
            headers: Vec::new(),
            body: None,
            timeout,
        }
    }

    /// It in words: `GET http://127.0.0.1:80/health (api.localhost)`.
    pub(super) fn shown(&self) -> String {
        let host = self.host.as_ref().map(|host| format!(" ({host})"));
        let Self {
            method,
            server,
            path,
            ..
        } = self;
        format!("{method} {server}{path}{}", host.unwrap_or_default())
    }
}

impl Client {
    pub(super) fn new() -> Self {
        let client = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .tls_danger_accept_invalid_certs(true)
            .user_agent(concat!("bluegreen/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(client.map_err(|error| cause(&error)))
    }

    /// Asks.
    pub(super) async fn ask(&self, request: &Request) -> Result<Answer, NoAnswer> {
        let unreachable = |error: &dyn Error| NoAnswer::Unreachable(cause(error));
        let client = self.0.as_ref();
        let client = client.map_err(|error| NoAnswer::Unreachable(error.clone()))?;
        let url = format!("{}{}", request.server, request.path);
        let mut builder = client.request(request.method.clone(), url);
        builder = builder.timeout(request.timeout);
        if let Some(host) = &request.host {
            builder = builder.header(HOST, host);
        }
        for (name, value) in &request.headers {
            let value = HeaderValue::from_str(value).map_err(|error| unreachable(&error))?;
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let mut response = builder.send().await.map_err(|error| match &error {
            error if error.is_timeout() && !error.is_connect() => request.late(),
            error if error.is_connect() || error.is_builder() => unreachable(error),
            error => NoAnswer::Broken(cause(error)),
        })?;
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_BODY => body.extend(chunk),
                Ok(Some(_)) => {
                    let why = format!("the body has more than {MAX_BODY} bytes");
                    return Err(NoAnswer::Broken(why));
                }
                Ok(None) => break,
                Err(error) if error.is_timeout() => return Err(request.late()),
                Err(error) => {
                    let why = format!("the answer broke off: {}", cause(&error));
                    return Err(NoAnswer::Broken(why));
                }
            }
        }
        Ok(Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }
}

impl Request {
    fn late(&self) -> NoAnswer {
        NoAnswer::Broken(format!("no answer within {:?}", self.timeout))
    }
}

impl Answer {
    /// The JSON of the body; of an event stream, that of its last event that has some.
    pub(super) fn json(&self) -> Option<Value> {
        let kind = self.headers.get(CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if !is_stream {
            return serde_json::from_slice(&self.body).ok();
        }
        let text = String::from_utf8_lossy(&self.body).replace("\r\n", "\n");
        let events = text.split("\n\n").map(|event| {
            let data = event.lines().filter_map(|line| line.strip_prefix("data:"));
            data.collect::<Vec<_>>().join("\n")
        });
        let jsons: Vec<_> = events
            .filter_map(|data| serde_json::from_str(&data).ok())
            .collect();
        jsons.into_iter().next_back()
    }

    /// The status and the first of the body, for a message.
    pub(super) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4 * SHOWN)]);
        let text = text.trim();
        if text.is_empty() {
            return self.status.to_string();
        }
        let first: String = text.chars().take(SHOWN).collect();
        let more = if first.len() < text.len() { "…" } else { "" };
        format!("{}: `{}{more}`", self.status, first.escape_debug())
    }
}

/// The innermost cause of an error: what is around it only repeats the URL.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
