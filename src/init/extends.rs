//! Extends: a service that builds on another one, of its own file or another.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Notes;
use super::compose::{list, pairs};
use super::source::{Source, name};

/// How many services may build on each other; more is a circle.
const MAX_DEPTH: usize = 8;

/// The fields of a service, with those of the services that it extends.
pub(super) fn resolved(
    path: &Path,
    root: &Map<String, Value>,
    service_name: &str,
    service: &Value,
    notes: &mut Notes,
) -> Map<String, Value> {
    follow(path, root, service_name, service, 0, notes)
}

fn follow(
    path: &Path,
    root: &Map<String, Value>,
    service_name: &str,
    service: &Value,
    depth: usize,
    notes: &mut Notes,
) -> Map<String, Value> {
    let own = service.as_object().cloned().unwrap_or_default();
    let (file, extended) = match own.get("extends") {
        None => return own,
        Some(Value::String(extended)) => (None, extended.as_str()),
        Some(extends) => {
            let text = |key: &str| extends.get(key).and_then(Value::as_str);
            (text("file"), text("service").unwrap_or(service_name))
        }
    };
    if depth == MAX_DEPTH {
        notes.add(format!("{}: `{service_name}` extends itself", name(path)));
        return own;
    }
    let base = match file {
        None => of(path, root, extended, depth, notes),
        Some(file) => {
            let other = path.parent().unwrap_or(Path::new("")).join(file);
            match Source::read(&other) {
                Ok(source) => of(&other, &source.root, extended, depth, notes),
                Err(problem) => {
                    notes.add(format!(
                        "{}: what `{service_name}` extends is not known: {}",
                        name(path),
                        problem.message
                    ));
                    None
                }
            }
        }
    };
    match base {
        Some(base) => merged(base, own),
        None => own,
    }
}

fn of(
    path: &Path,
    root: &Map<String, Value>,
    extended: &str,
    depth: usize,
    notes: &mut Notes,
) -> Option<Map<String, Value>> {
    let found = root
        .get("services")
        .and_then(|services| services.get(extended));
    if found.is_none() {
        notes.add(format!(
            "{} has no service `{extended}` to extend",
            name(path)
        ));
    }
    found.map(|service| follow(path, root, extended, service, depth + 1, notes))
}

/// The fields of a service over those that it extends: ports are added, mappings are merged, the rest is replaced.
fn merged(mut base: Map<String, Value>, own: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in own {
        let before = base.get(&key);
        let value = match key.as_str() {
            "ports" | "expose" => {
                let mut entries = list(before);
                entries.extend(list(Some(&value)));
                Value::Array(entries)
            }
            "labels" | "environment" => {
                let mut entries = pairs(before);
                entries.extend(pairs(Some(&value)));
                json!(entries)
            }
            "healthcheck" => {
                let mut fields = before
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                fields.extend(value.as_object().cloned().unwrap_or_default());
                Value::Object(fields)
            }
            _ => value,
        };
        base.insert(key, value);
    }
    base
}
