//! A step of a smoke test, resolved: a request, and what is expected of its answer.

use std::collections::{BTreeMap, BTreeSet};

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::Service;
use super::check::{Around, time};
use super::findings::{listed, nearest, shown};
use super::path::Path;
use super::raw::{RawExpect, RawStatus, RawStep, RawTexts};
use super::resolve::Resolver;
use crate::check::{Body, Expect, GIVEN, Source, Step};
use crate::template;

/// Resolves a step; `known` are the names of the values that there are before it, and after it.
pub(super) fn step(
    raw: RawStep,
    path: &Path,
    known: &mut BTreeSet<String>,
    around: &Around<'_>,
    resolver: &mut Resolver<'_>,
) -> Option<Step> {
    let RawStep {
        service,
        method,
        path: asked,
        headers,
        json,
        text,
        timeout,
        expect,
        save,
    } = raw;
    service_named(&service, &path.key("service"), around.services, resolver);
    let method_path = path.key("method");
    let method = match Method::from_bytes(method.as_bytes()) {
        Ok(method) if method.as_str().chars().all(|c| !c.is_ascii_lowercase()) => Some(method),
        _ => {
            resolver
                .error_at_value(
                    &method_path,
                    format!(
                        "`{}` is not a method",
                        resolver.shown(&method_path, &method)
                    ),
                )
                .hint("write it in capitals, such as `POST`");
            None
        }
    };
    let asked_path = path.key("path");
    if !resolver.findings.broken(&asked_path) && !asked.starts_with('/') {
        resolver
            .error_at_value(&asked_path, "the path does not begin with `/`")
            .hint("write a path, such as `/deals?limit=1`");
    }
    templated(&asked, &asked_path, known, resolver);
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
    let headers = header_values(headers, &path.key("headers"), known, resolver);
    let timeout = timeout.map(|raw| time(raw, &path.key("timeout"), resolver));
    let expect = expected(expect, &path.key("expect"), known, resolver);
    let save = saved(save, &path.key("save"), known, resolver);
    Some(Step {
        service,
        method: method?,
        path: asked,
        headers,
        body: match (json, text) {
            (Some(json), _) => Body::Json(json),
            (None, Some(text)) => Body::Text(text),
            (None, None) => Body::None,
        },
        timeout,
        expect,
        save,
    })
}

/// Checks that the stack has a service of this name.
pub(super) fn service_named(
    name: &str,
    path: &Path,
    services: &BTreeMap<String, Service>,
    resolver: &mut Resolver<'_>,
) {
    if resolver.findings.broken(path) || services.contains_key(name) {
        return;
    }
    let known = services.keys().map(String::as_str);
    let hint = match nearest(name, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("it has {}", listed(known)),
    };
    resolver
        .error_at_value(
            path,
            format!("the stack has no service `{}`", resolver.shown(path, name)),
        )
        .hint(hint);
}

fn expected(
    raw: RawExpect,
    path: &Path,
    known: &BTreeSet<String>,
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

fn saved(
    raw: BTreeMap<String, String>,
    path: &Path,
    known: &mut BTreeSet<String>,
    resolver: &mut Resolver<'_>,
) -> Vec<(String, Source)> {
    let mut saved = Vec::new();
    for (name, text) in raw {
        let at = path.key(&name);
        if !template::is_name(&name) {
            resolver
                .error(
                    &at,
                    format!("`{}` can't be the name of a value", shown(&name)),
                )
                .hint("letters, digits, `-` and `_` make a name, which begins with a letter");
        } else if GIVEN.contains(&name.as_str()) {
            resolver
                .error(
                    &at,
                    format!("`{name}` is a value that every check has already"),
                )
                .hint("choose another name");
        }
        let source = match text.strip_prefix("header:") {
            Some(header) => HeaderName::from_bytes(header.trim().as_bytes())
                .map(Source::Header)
                .map_err(|_| "this is not the name of a header".to_owned()),
            None => JsonPath::parse(&text)
                .map(Source::Json)
                .map_err(|error| format!("this is not a JSONPath: {}", error.message())),
        };
        match source {
            Ok(source) => saved.push((name.clone(), source)),
            Err(message) => {
                resolver
                    .error_at_value(&at, message)
                    .hint("write a JSONPath (RFC 9535), such as `$.id`, or `header:NAME`");
            }
        }
        known.insert(name);
    }
    saved
}

fn header_values(
    raw: BTreeMap<String, String>,
    path: &Path,
    known: &BTreeSet<String>,
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

/// Checks that every `{name}` in a text is known by then.
fn templated(text: &str, path: &Path, known: &BTreeSet<String>, resolver: &mut Resolver<'_>) {
    for (at, name) in template::names(text) {
        if known.contains(name) {
            continue;
        }
        let span = resolver.part(path, at);
        let names = known.iter().map(String::as_str);
        let hint = match nearest(name, names.clone()) {
            Some(meant) => format!("did you mean `{{{meant}}}`?"),
            None => format!(
                "known here are {}; `save` in an earlier step adds to them",
                listed(names)
            ),
        };
        resolver
            .findings
            .error(span, path, format!("there is no value `{}`", shown(name)))
            .hint(hint);
    }
}

/// The same for all texts in a JSON value.
fn templated_json(
    json: &Value,
    path: &Path,
    known: &BTreeSet<String>,
    resolver: &mut Resolver<'_>,
) {
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
