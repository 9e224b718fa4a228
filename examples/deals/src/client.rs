//! The API of the own color, as the MCP server and the dashboard use it.

use std::error::Error;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;

use crate::health;

/// The longest that an answer takes. The API itself gives up sooner, and says why.
pub(crate) const LIMIT: Duration = Duration::from_secs(6);

/// Reads the API's address: it is inside the deployment, so there is no TLS.
///
/// # Errors
///
/// Anything but `http://` and a host.
pub(crate) fn address(text: &str) -> Result<Url, String> {
    let url: Url = text
        .parse()
        .map_err(|error| format!("it is no URL: {error}"))?;
    if url.scheme() == "http" && url.has_host() {
        Ok(url)
    } else {
        Err("it has to be like `http://127.0.0.1:8091`".to_owned())
    }
}

/// The Deal Lifecycle API at one address.
#[derive(Clone, Debug)]
pub(crate) struct DealsApi {
    url: Url,
    client: reqwest::Client,
}

/// Why there is no answer to use.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The API has refused, and said why.
    Refused(Value),
    /// The API is away, or answers something else.
    Away(String),
}

impl DealsApi {
    /// # Errors
    ///
    /// The system lends no connections.
    pub(crate) fn new(url: Url) -> Result<Self, reqwest::Error> {
        // What serves the same color is never behind a proxy.
        let client = reqwest::Client::builder().timeout(LIMIT).no_proxy();
        Ok(Self {
            url,
            client: client.build()?,
        })
    }

    /// Asks for a path, such as `/deals/7/submit`.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let answer = self.send(method, path, body).await.map_err(Failure::Away)?;
        let status = answer.status();
        let body: Result<Value, _> = answer.json().await;
        match body {
            Ok(body) if status.is_success() => Ok(body),
            Ok(body) if status.is_client_error() => Err(Failure::Refused(body)),
            body => {
                let body = body.unwrap_or_default();
                let why = body["error"].as_str().unwrap_or("it does not say why");
                let why = format!("the API answers {status}: {why}");
                Err(Failure::Away(why))
            }
        }
    }

    /// Whether the API is well.
    ///
    /// # Errors
    ///
    /// It does not answer with 200 soon enough.
    pub(crate) async fn health(&self) -> Result<(), String> {
        let answer = self.send(Method::GET, "/health", None);
        match tokio::time::timeout(health::PATIENCE, answer).await {
            Ok(Ok(answer)) if answer.status() == StatusCode::OK => Ok(()),
            Ok(Ok(answer)) => Err(format!("the API answers {}", answer.status())),
            Ok(Err(why)) => Err(why),
            Err(_) => Err("the API does not answer".to_owned()),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Response, String> {
        let away = |why: String| format!("the API can't be asked: {why}");
        let url = self
            .url
            .join(path)
            .map_err(|error| away(error.to_string()))?;
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.map_err(|error| away(root(&error)))
    }
}

/// The innermost cause: the others only repeat what was asked for, and that it failed.
fn root(error: &dyn Error) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}
