//! Verbatim: what of a dynamic file is not switched, and goes on as it is.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::colors;
use super::draft::Draft;
use super::matching::Matching;
use super::names::valid_name;
use super::target::Target;
use super::traefik::{Dynamic, Route};

impl Matching<'_> {
    /// Routers that always show one color: they go on doing so.
    pub(super) fn aside(&mut self, routes: Vec<(Route, Target)>, draft: &mut Draft) {
        for (route, target) in routes {
            let stack = &draft.stack.value;
            let Some(service) = draft.on().find(|s| valid_name(&target.base) == s.name) else {
                self.notes.add(format!(
                    "the router `{}` to {} is left out",
                    route.name, target.active
                ));
                continue;
            };
            let mut fields = route.fields;
            fields.insert("rule".to_owned(), route.rule.into());
            let name = format!("{stack}-{}-{}", service.name, target.active);
            fields.insert("service".to_owned(), name.into());
            if !route.entry_points.is_empty() {
                fields.insert("entryPoints".to_owned(), route.entry_points.into());
            }
            self.notes.add(format!(
                "the router `{}` goes on showing {}",
                route.name, target.active
            ));
            insert(
                &mut draft.traefik,
                &["http", "routers", &route.name],
                fields.into(),
            );
        }
    }

    /// Copies what of a dynamic file is not switched.
    pub(super) fn verbatim(
        &mut self,
        dynamic: &Dynamic,
        routes: &[&Route],
        used: &BTreeSet<String>,
        draft: &mut Draft,
    ) {
        merge(&mut draft.traefik, &dynamic.rest);
        for route in routes {
            if let Some(router) = dynamic.written_routes.get(&route.name) {
                insert(
                    &mut draft.traefik,
                    &["http", "routers", &route.name],
                    router.clone(),
                );
                self.notes.add(format!(
                    "{}: the router `{}` is copied as it is: its service has no color",
                    dynamic.file, route.name
                ));
            }
        }
        let of_a_color = |name: &str| colors::of_name(name, self.colors).is_some();
        let mut kept: BTreeSet<&String> = dynamic
            .written_services
            .keys()
            .filter(|name| {
                let routed = routes.iter().any(|route| route.service == **name);
                routed || !used.contains(*name) && !of_a_color(name)
            })
            .collect();
        // What is kept may be made of others, as a mirror is.
        loop {
            let parts = dynamic.written_services.keys().filter(|name| {
                let service = |kept: &&String| &dynamic.written_services[kept.as_str()];
                !kept.contains(name) && kept.iter().map(service).any(|s| mentions(s, name))
            });
            let parts: Vec<_> = parts.collect();
            if parts.is_empty() {
                break;
            }
            kept.extend(parts);
        }
        for name in kept {
            let service = dynamic.written_services[name].clone();
            insert(&mut draft.traefik, &["http", "services", name], service);
        }
        if let Some(tls) = dynamic.rest.get("tls")
            && tls
                .pointer("/stores/default/defaultCertificate")
                .or(tls.pointer("/stores/default/defaultGeneratedCert"))
                .is_some()
        {
            draft.certificate = Some(dynamic.file.clone());
        }
    }
}

/// Whether a service names another one.
fn mentions(service: &Value, name: &str) -> bool {
    match service {
        Value::String(text) => text.strip_suffix("@file").unwrap_or(text) == name,
        Value::Array(values) => values.iter().any(|value| mentions(value, name)),
        Value::Object(map) => map.values().any(|value| mentions(value, name)),
        _ => false,
    }
}

/// Puts a value into nested mappings.
pub(super) fn insert(map: &mut Map<String, Value>, path: &[&str], value: Value) {
    let [key, rest @ ..] = path else { return };
    if rest.is_empty() {
        map.insert((*key).to_owned(), value);
        return;
    }
    let below = map.entry(*key).or_insert_with(|| Map::new().into());
    if let Value::Object(below) = below {
        insert(below, rest, value);
    }
}

/// Adds the values of another mapping; what is in both stays.
fn merge(map: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (key, value) in other {
        match (map.get_mut(key), value) {
            (None, value) => {
                map.insert(key.clone(), value.clone());
            }
            (Some(Value::Object(map)), Value::Object(other)) => merge(map, other),
            (Some(Value::Array(values)), Value::Array(others)) => {
                values.extend(others.iter().cloned())
            }
            _ => {}
        }
    }
}
