//! A step of a smoke test, resolved: a request, and what is expected of its answer.

use std::collections::BTreeMap;

use hyper::header::HeaderName;
use serde_json_path::JsonPath;

use super::Service;
use super::check::{Around, time};
use super::findings::{listed, nearest, shown};
use super::path::Path;
use super::raw::RawStep;
use super::request::{Known, body, expected, header_values, method_named, templated};
use super::resolve::Resolver;
use crate::check::{GIVEN, Source, Step};
use crate::template;

/// Resolves a step; `known` are the names of the values that there are before it, and after it.
pub(super) fn step(
    raw: RawStep,
    path: &Path,
    known: &mut Known,
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
    let method = method_named(&method, &path.key("method"), resolver);
    let asked_path = path.key("path");
    if !resolver.findings.broken(&asked_path) && !asked.starts_with('/') {
        resolver
            .error_at_value(&asked_path, "the path does not begin with `/`")
            .hint("write a path, such as `/deals?limit=1`");
    }
    templated(&asked, &asked_path, known, resolver);
    let body = body(json, text, path, known, resolver);
    let headers = header_values(headers, &path.key("headers"), known, resolver);
    let timeout = timeout.map(|raw| time(raw, &path.key("timeout"), resolver));
    let expect = expected(expect, &path.key("expect"), known, resolver);
    let save = saved(save, &path.key("save"), known, resolver);
    Some(Step {
        service,
        method: method?,
        path: asked,
        headers,
        body,
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

fn saved(
    raw: BTreeMap<String, String>,
    path: &Path,
    known: &mut Known,
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
        known.names.insert(name);
    }
    saved
}
