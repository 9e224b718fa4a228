//! Rules: a router whose rule Traefik can't read is disabled, and answers 404.

use serde_json::{Map, Value};

use super::findings::{listed, nearest};
use super::node::Content;
use super::path::Path;
use super::resolve::Resolver;
use crate::traefik::rule::{self, MATCHERS, Mistake, v2};

/// What Traefik does with such a router.
const SO: &str = "Traefik would disable the router, and answer 404";

/// Checks the rule of a router that has these fields besides.
pub(super) fn check(
    rule: &str,
    router: &Map<String, Value>,
    path: &Path,
    resolver: &mut Resolver<'_>,
) {
    if resolver.findings.broken(path) {
        return;
    }
    if rule.trim().is_empty() {
        resolver
            .error_at_value(path, "the rule is empty")
            .hint("write one, such as ``Host(`api.example.com`)``");
        return;
    }
    // Traefik 3 still takes what such a router says, by a parser of its own.
    let old = router
        .get("ruleSyntax")
        .is_some_and(|syntax| syntax == "v2");
    let checked = match old {
        true => rule::parse(rule).map(drop),
        false => rule::check(rule),
    };
    if let Err(Mistake { at, problem }) = checked {
        let hint = hint(rule, at, old, path, resolver);
        let span = resolver.part(path, at);
        resolver.findings.error(span, path, problem).hint(hint);
    }
}

/// Checks the rules of the routers in the verbatim part.
pub(super) fn check_verbatim(traefik: &Map<String, Value>, resolver: &mut Resolver<'_>) {
    let routers = traefik.get("http").and_then(|http| http.get("routers"));
    let top = Path::of(&["traefik", "http", "routers"]);
    for (name, router) in routers.and_then(Value::as_object).into_iter().flatten() {
        if let Value::Object(router) = router
            && let Some(Value::String(rule)) = router.get("rule")
        {
            check(rule, router, &top.key(name).key("rule"), resolver);
        }
    }
}

fn hint(rule: &str, at: usize, old: bool, path: &Path, resolver: &Resolver<'_>) -> String {
    // As it is written, without the values of variables.
    let written = match resolver.tree.at(path).map(|node| &node.content) {
        Some(Content::Scalar(scalar)) => scalar.written.as_deref().unwrap_or(&scalar.text),
        _ => rule,
    };
    if let (Some(new), false) = (v2::translated(written), old) {
        return format!(
            "for Traefik 3 write {new}; or keep it, with `ruleSyntax: v2` among the fields of the router"
        );
    }
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let name = rule[at..].split(|c| !word(c)).next().unwrap_or_default();
    let known = MATCHERS.map(|(name, ..)| name);
    match nearest(name, known) {
        _ if name.is_empty() || known.contains(&name) => SO.to_owned(),
        Some(meant) => format!("did you mean `{meant}`? {SO}"),
        None => format!("its matchers are {}; {SO}", listed(known)),
    }
}
