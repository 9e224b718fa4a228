//! Labels: what a compose service tells Traefik's Docker provider.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::compose::Service;
use super::middlewares::{Fields, docker_names};
use super::traefik::{Route, once};

/// What the labels of a service say.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Its routers.
    pub(super) routes: Vec<Route>,
    /// The port at which Traefik reaches it.
    pub(super) port: Option<u16>,
    /// How Traefik talks to it.
    pub(super) scheme: Option<String>,
    /// The path that Traefik's health check asks.
    pub(super) health: Option<String>,
    /// Its middlewares.
    pub(super) middlewares: BTreeMap<String, Fields>,
    /// The labels that are not taken.
    pub(super) left: Vec<String>,
}

impl Labels {
    /// Reads the labels of a service.
    pub(super) fn of(service: &Service) -> Self {
        let mut read = Self::default();
        let mut routes: BTreeMap<String, Route> = BTreeMap::new();
        for (label, value) in &service.labels {
            let parts: Vec<_> = label.split('.').collect();
            let lower: Vec<_> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
            let lower: Vec<_> = lower.iter().map(String::as_str).collect();
            let taken = match lower.as_slice() {
                ["traefik", "http", "routers", _, rest @ ..] => {
                    let route = routes.entry(parts[3].to_owned()).or_insert_with(|| Route {
                        name: parts[3].to_owned(),
                        ..Route::default()
                    });
                    router(route, rest, value)
                }
                ["traefik", "http", "services", _, "loadbalancer", rest @ ..] => match rest {
                    ["server", "port"] => {
                        read.port = value.parse().ok();
                        true
                    }
                    ["server", "scheme"] => {
                        read.scheme = Some(value.clone());
                        true
                    }
                    ["healthcheck", "path"] => {
                        read.health = Some(value.clone());
                        true
                    }
                    _ => false,
                },
                ["traefik", "enable"] => true,
                ["traefik", "http", "middlewares", _, _, ..] => {
                    let way = parts[4..].iter().map(|part| (*part).to_owned()).collect();
                    let fields = read.middlewares.entry(parts[3].to_owned()).or_default();
                    fields.push((way, value.clone()));
                    true
                }
                ["traefik", ..] => false,
                _ => true,
            };
            if !taken {
                read.left.push(label.clone());
            }
        }
        for route in routes.values_mut() {
            once(&mut route.entry_points);
        }
        read.routes = routes
            .into_values()
            .filter(|r| !r.rule.is_empty())
            .collect();
        read
    }
}

/// Takes a label of a router.
fn router(route: &mut Route, field: &[&str], value: &str) -> bool {
    let words = || {
        value
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
    };
    match field {
        ["rule"] => value.clone_into(&mut route.rule),
        ["entrypoints"] => route.entry_points = words().map(ToOwned::to_owned).collect(),
        ["service"] => value.clone_into(&mut route.service),
        ["middlewares"] => {
            // They are defined by labels too, which the Docker provider reads.
            let names = docker_names(value);
            route.fields.insert("middlewares".to_owned(), names);
        }
        ["priority"] => match value.parse::<i64>() {
            Ok(priority) => {
                route.fields.insert("priority".to_owned(), json!(priority));
            }
            Err(_) => return false,
        },
        ["tls"] if value == "true" => {
            route.fields.entry("tls").or_insert_with(|| json!({}));
        }
        ["tls"] if value == "false" => {}
        ["tls", "certresolver"] => tls(route, "certResolver", json!(value)),
        ["tls", "options"] => tls(route, "options", json!(value)),
        _ => return false,
    }
    true
}

fn tls(route: &mut Route, field: &str, value: Value) {
    let tls = route.fields.entry("tls").or_insert_with(|| json!({}));
    if let Some(fields) = tls.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}
