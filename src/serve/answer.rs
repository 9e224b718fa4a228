//! The forms of an answer: a line of text, or JSON.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::printable::{self, Printable};

/// An answer. All of them are small or shared, and complete at once.
pub type Answer = Response<Full<Bytes>>;

/// An answer of one line, for people.
pub(super) fn plain(status: StatusCode, line: &str) -> Answer {
    let line = format!("{}\n", Printable(line));
    text_of(status, "text/plain; charset=utf-8", line)
}

/// An answer of JSON, which people look at, too.
pub(super) fn json(value: impl serde::Serialize) -> Answer {
    json_of(StatusCode::OK, "application/json", value)
}

/// The same with a status and a kind of JSON of its own.
pub(super) fn json_of(
    status: StatusCode,
    kind: &'static str,
    value: impl serde::Serialize,
) -> Answer {
    match serde_json::to_string_pretty(&value) {
        Ok(text) => text_of(status, kind, printable::json(&text) + "\n"),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// An answer of text.
pub(super) fn text_of(status: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
