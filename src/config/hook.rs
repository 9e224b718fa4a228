//! The hooks of a stack, resolved.

use hyper::Method;
use serde_json::{Map, Value};

use super::address;
use super::check::{command, time};
use super::path::Path;
use super::raw::{RawCall, RawHook, RawHookList, RawHooks};
use super::request::{Known, body, expected, header_values, method_named, templated};
use super::resolve::Resolver;
use crate::check::Body;
use crate::hook::{Action, Call, GIVEN, Hook, Hooks};
use crate::template;

/// Resolves the hooks of a stack.
pub(super) fn hooks(raw: RawHooks, path: &Path, resolver: &mut Resolver<'_>) -> Hooks {
    let RawHooks {
        before,
        after,
        back,
        stop,
    } = raw;
    let mut list = |raw, stage| list(raw, &path.key(stage), resolver);
    Hooks {
        before: list(before, "before"),
        after: list(after, "after"),
        back: list(back, "back"),
        stop: list(stop, "stop"),
    }
}

fn list(raw: Option<RawHookList>, path: &Path, resolver: &mut Resolver<'_>) -> Vec<Hook> {
    let hooks: Vec<_> = match raw {
        None => Vec::new(),
        Some(RawHookList::One(raw)) => vec![hook(*raw, path, resolver)],
        Some(RawHookList::Many(raw)) => {
            let hooks = raw.into_iter().enumerate();
            hooks
                .map(|(i, raw)| hook(raw, &path.index(i), resolver))
                .collect()
        }
    };
    hooks.into_iter().flatten().collect()
}

fn hook(raw: RawHook, path: &Path, resolver: &mut Resolver<'_>) -> Option<Hook> {
    let RawHook {
        command: raw_command,
        http,
        timeout,
    } = raw;
    let timeout = time(timeout, &path.key("timeout"), resolver);
    let action = match (raw_command, http) {
        (Some(raw), None) => Action::Command(command(raw, &path.key("command"), resolver)),
        (None, Some(raw)) => Action::Call(call(raw, &path.key("http"), resolver)?),
        (Some(_), Some(_)) => {
            resolver
                .error(
                    &path.key("http"),
                    "a hook is a command or a request, not both",
                )
                .hint("make it two hooks, in a list");
            return None;
        }
        (None, None) => {
            if !resolver.findings.broken(path) {
                resolver
                    .error(path, "the hook does nothing")
                    .hint("give it a `command`, or `http`, a request");
            }
            return None;
        }
    };
    Some(Hook { action, timeout })
}

fn call(raw: RawCall, path: &Path, resolver: &mut Resolver<'_>) -> Option<Call> {
    let RawCall {
        method,
        url,
        headers,
        json,
        text,
        expect,
    } = raw;
    let known = Known::only(&GIVEN);
    let method = method_named(&method, &path.key("method"), resolver);
    let url_path = path.key("url");
    if !resolver.findings.broken(&url_path) {
        // As it is with some values.
        let values = GIVEN.map(|name| (name.to_owned(), name.into()));
        let filled = template::fill(&url, &values.into());
        resolver.usable(&url_path, &filled, address::request);
        templated(&url, &url_path, &known, resolver);
    }
    let headers = header_values(headers, &path.key("headers"), &known, resolver);
    let body = body(json, text, path, &known, resolver);
    let expect = expected(expect, &path.key("expect"), &known, resolver);
    let method = method?;
    Some(Call {
        url,
        headers,
        body: match body {
            Body::None if [Method::POST, Method::PUT, Method::PATCH].contains(&method) => all(),
            body => body,
        },
        method,
        expect,
    })
}

/// The body that has all values, each by its name.
fn all() -> Body {
    let values = GIVEN.map(|name| (name.to_owned(), format!("{{{name}}}").into()));
    Body::Json(Value::Object(Map::from_iter(values)))
}
