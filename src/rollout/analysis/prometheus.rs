//! Prometheus: its API, which gives the value of a query.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::header::CONTENT_TYPE;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::{Position, Url, form_urlencoded};

use super::instances::MOST;
use crate::verify::ask::Request;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The Prometheus tells nothing.
    Silent(String),
    /// It does, but this query has no answer that could be used.
    Useless(String),
}

impl Unanswered {
    /// Why, in words.
    pub(super) fn why(self) -> String {
        match self {
            Self::Silent(why) | Self::Useless(why) => why,
        }
    }
}

/// What the API answers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    data: Data,
    error: String,
}

/// The result of a query.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Data {
    /// `vector`, `scalar` and so on.
    pub(super) result_type: String,
    /// What it is, in the form of its type.
    pub(super) result: Value,
}

/// An element of a vector.
#[derive(Deserialize)]
pub(super) struct Element {
    /// Its labels, and its name where it has one.
    pub(super) metric: BTreeMap<String, String>,
    /// When, and its value as text.
    pub(super) value: (f64, String),
}

/// Asks for the value of a query now.
pub(super) async fn ask(url: &str, query: &str) -> Result<Data, Unanswered> {
    let silent = |why: &str| Unanswered::Silent(why.to_owned());
    let url = Url::parse(url).map_err(|error| silent(&error.to_string()))?;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", query)
        .append_pair("timeout", &format!("{}s", TIMEOUT.as_secs()))
        .finish();
    let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
    let request = Request {
        method: Method::POST,
        headers: vec![(CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned())],
        body: Some(form),
        most: MOST,
        ..Request::get(&url[..Position::BeforePath], &path, TIMEOUT)
    };
    let answer = request.ask().await.map_err(|none| silent(none.why()))?;
    let envelope: Option<Envelope> = serde_json::from_slice(&answer.body).ok();
    match (answer.status, envelope) {
        (StatusCode::OK, Some(Envelope { data, .. })) => Ok(data),
        // The query is at fault.
        (
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY,
            Some(Envelope { error, .. }),
        ) => Err(Unanswered::Useless(error)),
        _ => Err(silent(&answer.shown())),
    }
}

/// A text as a string of PromQL, which is written as one of JSON.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
