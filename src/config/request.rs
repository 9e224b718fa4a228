//! Requests, and what is expected of their answers, as steps of smoke tests and hooks have them.

use std::collections::{BTreeMap, BTreeSet};

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::findings::{listed, nearest, shown};
use super::path::Path;
use super::raw::{RawExpect, RawStatus, RawTexts};
use super::resolve::Resolver;
use crate::check::{Body, Expect};
use crate::template;

/// The values that a text can refer to.
pub(super) struct Known {
    /// Their names.
    pub(super) names: BTreeSet<String>,
    /// Whether a step adds to them.
    grows: bool,
}

impl Known {
    /// These, to which each step adds what it saves.
    pub(super) fn and_saved(given: &[&str]) -> Self {
        Self {
            grows: true,
            ..Self::only(given)
        }
    }

    /// These, and no others.
    pub(super) fn only(given: &[&str]) -> Self {
        Self {
            names: given.iter().map(|name| (*name).to_owned()).collect(),
            grows: false,
        }
    }
}

/// The method of a request.
pub(super) fn method_named(
    method: &str,
    path: &Path,
    resolver: &mut Resolver<'_>,
) -> Option<Method> {
    match Method::from_bytes(method.as_bytes()) {
        Ok(method) if method.as_str().chars().all(|c| !c.is_ascii_lowercase()) => Some(method),
        _ => {
            let message = format!("`{}` is not a method", resolver.shown(path, method));
            resolver
                .error_at_value(path, message)
                .hint("write it in capitals, such as `POST`");
            None
        }
    }
}

/// The body of the request at this path.
pub(super) fn body(
    json: Option<Value>,
    text: Option<String>,
    path: &Path,
    known: &Known,
    resolver: &mut Resolver<'_>,
) -> Body {
    if json.is_some() && text.is_some() {
        resolver
            .error(
                &path.key("text"),
                "a request has one body, and this has two",
            )
            .hint("keep `json` or `text`");
    }
    if let Some(json) = &json {
        templated_json(json, &path.key("json"), known, resolver);
    }
    if let Some(text) = &text {
        templated(text, &path.key("text"), known, resolver);
    }
    match (json, text) {
        (Some(json), _) => Body::Json(json),
        (None, Some(text)) => Body::Text(text),
        (None, None) => Body::None,
    }
}

/// Headers, by name.
pub(super) fn header_values(
    raw: BTreeMap<String, String>,
    path: &Path,
    known: &Known,
    resolver: &mut Resolver<'_>,
) -> Vec<(HeaderName, String)> {
    let mut headers = Vec::new();
    for (name, value) in raw {
        let at = path.key(&name);
        templated(&value, &at, known, resolver);
        if HeaderValue::from_str(&value).is_err() {
            resolver
                .error_at_value(&at, "this can't be the value of a header")
                .hint("it is one line without control characters");
        }
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => headers.push((name, value)),
            Err(_) => {
                resolver
                    .error(
                        &at,
                        format!("`{}` can't be the name of a header", shown(&name)),
                    )
                    .hint("write one, such as `Content-Type`");
            }
        }
    }
    headers
}

/// What is expected of an answer.
pub(super) fn expected(
    raw: RawExpect,
    path: &Path,
    known: &Known,
    resolver: &mut Resolver<'_>,
) -> Expect {
    let RawExpect {
        status,
        headers,
        contains,
        json,
    } = raw;
    let at = path.key("contains");
    let contains = match contains {
        None => Vec::new(),
        Some(RawTexts::One(text)) => {
            templated(&text, &at, known, resolver);
            vec![text]
        }
        Some(RawTexts::Many(texts)) => {
            for (i, text) in texts.iter().enumerate() {
                templated(text, &at.index(i), known, resolver);
            }
            texts
        }
    };
    let at = path.key("json");
    let mut values = Vec::new();
    for (text, value) in json {
        let at = at.key(&text);
        templated_json(&value, &at, known, resolver);
        match JsonPath::parse(&text) {
            Ok(json_path) => values.push((json_path, value)),
            Err(error) => {
                resolver
                    .error(&at, format!("this is not a JSONPath: {}", error.message()))
                    .hint("write one (RFC 9535), such as `$.status` or `$.items[0].id`");
            }
        }
    }
    Expect {
        status: match status {
            None => Vec::new(),
            Some(RawStatus::One(status)) => vec![status],
            Some(RawStatus::Many(statuses)) => statuses,
        },
        headers: header_values(headers, &path.key("headers"), known, resolver),
        contains,
        json: values,
    }
}

/// Checks that every `{name}` in a text is known by then.
pub(super) fn templated(text: &str, path: &Path, known: &Known, resolver: &mut Resolver<'_>) {
    for (at, name) in template::names(text) {
        if known.names.contains(name) {
            continue;
        }
        let span = resolver.part(path, at);
        let names = known.names.iter().map(String::as_str);
        let hint = match (nearest(name, names.clone()), known.grows) {
            (Some(meant), _) => format!("did you mean `{{{meant}}}`?"),
            (None, true) => format!(
                "known here are {}; `save` in an earlier step adds to them",
                listed(names)
            ),
            (None, false) => format!("known here are {}", listed(names)),
        };
        resolver
            .findings
            .error(span, path, format!("there is no value `{}`", shown(name)))
            .hint(hint);
    }
}

/// The same for all texts in a JSON value.
fn templated_json(json: &Value, path: &Path, known: &Known, resolver: &mut Resolver<'_>) {
    match json {
        Value::String(text) => templated(text, path, known, resolver),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                templated_json(item, &path.index(i), known, resolver);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                templated_json(value, &path.key(name), known, resolver);
            }
        }
        _ => {}
    }
}
