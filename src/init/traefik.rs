//! Traefik's own files: the routers and services of a dynamic file.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Notes;
use super::source::Source;
use super::variables::escaped;

/// A router: what is routed to a service.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    /// Its name.
    pub(super) name: String,
    /// Its rule; empty where it has none.
    pub(super) rule: String,
    /// The service that it names.
    pub(super) service: String,
    /// Its entrypoints.
    pub(super) entry_points: Vec<String>,
    /// Its other fields.
    pub(super) fields: Map<String, Value>,
}

/// What is behind a service of a dynamic file.
#[derive(Clone, Debug)]
pub(super) enum Backend {
    /// Servers, and the other fields of their load balancer.
    Servers(Vec<String>, Map<String, Value>),
    /// Other services, with their weights.
    Weighted(Vec<(String, u64)>),
    /// Something else, such as a mirror.
    Other,
}

/// A dynamic file. All texts are as they are written in bluegreen.yml.
#[derive(Debug)]
pub(super) struct Dynamic {
    /// Its name.
    pub(super) file: String,
    /// Its HTTP routers.
    pub(super) routes: Vec<Route>,
    /// Its HTTP services.
    pub(super) services: BTreeMap<String, Backend>,
    /// Its HTTP routers, as they are written.
    pub(super) written_routes: Map<String, Value>,
    /// Its HTTP services, as they are written.
    pub(super) written_services: Map<String, Value>,
    /// All but its HTTP routers and services.
    pub(super) rest: Map<String, Value>,
}

/// The value of a key, in whatever case: Traefik does not mind it.
pub(super) fn field<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let entry = map.iter().find(|(k, _)| k.eq_ignore_ascii_case(key));
    entry.map(|(_, value)| value)
}

/// Removes a key, in whatever case.
fn take(map: &mut Map<String, Value>, key: &str) -> Option<Value> {
    let found = map.keys().find(|k| k.eq_ignore_ascii_case(key)).cloned()?;
    map.remove(&found)
}

fn mapping(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Names that are given twice count once.
pub(super) fn once(names: &mut Vec<String>) {
    let mut seen = Vec::new();
    names.retain(|name| {
        let new = !seen.contains(name);
        seen.push(name.clone());
        new
    });
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let values = match value {
        Some(Value::Array(values)) => values.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let texts = values.iter().filter_map(Value::as_str);
    texts.map(ToOwned::to_owned).collect()
}

impl Dynamic {
    /// Reads a dynamic file; what is left out is noted.
    pub(super) fn read(source: &Source, notes: &mut Notes) -> Self {
        let file = source.name();
        let mut templated = false;
        let mut rest = mapping(Some(converted(
            &Value::Object(source.root.clone()),
            &mut templated,
        )));
        if templated {
            notes.add(format!(
                "{file}: templates, `{{{{ … }}}}`, are copied as they are; replace them"
            ));
        }
        let mut http = mapping(take(&mut rest, "http"));
        let written_routes = mapping(take(&mut http, "routers"));
        let written_services = mapping(take(&mut http, "services"));
        if !http.is_empty() {
            rest.insert("http".to_owned(), http.into());
        }
        let routes = written_routes
            .iter()
            .map(|(name, router)| route(name, router));
        let services = written_services.iter().map(|(name, service)| {
            let backend = backend(name, service, &file, notes);
            (name.clone(), backend)
        });
        Self {
            services: services.collect(),
            routes: routes.collect(),
            written_routes,
            written_services,
            rest,
            file,
        }
    }
}

fn route(name: &str, router: &Value) -> Route {
    let mut fields = mapping(Some(router.clone()));
    let mut text = |key: &str| match take(&mut fields, key) {
        Some(Value::String(text)) => text.trim().to_owned(),
        _ => String::new(),
    };
    let (rule, service) = (text("rule"), text("service"));
    let mut entry_points = texts(take(&mut fields, "entryPoints").as_ref());
    once(&mut entry_points);
    // Of the service it does not matter whether the file's own provider is named.
    let service = service.trim_end_matches("@file").to_owned();
    Route {
        name: name.to_owned(),
        rule,
        service,
        entry_points,
        fields,
    }
}

fn backend(name: &str, service: &Value, file: &str, notes: &mut Notes) -> Backend {
    let Some(service) = service.as_object() else {
        return Backend::Other;
    };
    if let Some(Value::Object(balancer)) = field(service, "loadBalancer") {
        let mut fields = balancer.clone();
        let servers = take(&mut fields, "servers");
        let servers = servers.as_ref().and_then(Value::as_array);
        let mut urls = Vec::new();
        for server in servers.into_iter().flatten().filter_map(Value::as_object) {
            if server.len() > 1 {
                notes.add(format!(
                    "{file}: of the servers of `{name}` only the `url` is taken"
                ));
            }
            let Some(url) = field(server, "url").and_then(Value::as_str) else {
                continue;
            };
            let (plain, path) = without_path(url);
            if !path.is_empty() {
                notes.add(format!(
                    "{file}: `{name}`: the path of `{url}` is left out; the middleware `addPrefix` adds one"
                ));
            }
            if !urls.contains(&plain) {
                urls.push(plain);
            }
        }
        return Backend::Servers(urls, fields);
    }
    let weighted = field(service, "weighted").and_then(Value::as_object);
    let services = weighted.and_then(|w| field(w, "services")?.as_array());
    match services {
        Some(services) => Backend::Weighted(
            services
                .iter()
                .filter_map(|service| {
                    let name = service.get("name")?.as_str()?.trim_end_matches("@file");
                    let weight = service.get("weight").and_then(Value::as_u64);
                    Some((name.to_owned(), weight.unwrap_or(1)))
                })
                .collect(),
        ),
        None => Backend::Other,
    }
}

/// A server's URL without its path, and the path.
fn without_path(url: &str) -> (String, &str) {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let (host, path) = match url[begin..].find(['/', '?', '#']) {
        Some(at) => url.split_at(begin + at),
        None => (url, ""),
    };
    (host.to_owned(), path.trim_start_matches('/'))
}

/// The value with its texts as they are written in bluegreen.yml.
fn converted(value: &Value, templated: &mut bool) -> Value {
    match value {
        Value::String(text) => {
            *templated |= text.contains("{{");
            Value::String(escaped(text))
        }
        Value::Array(values) => values.iter().map(|v| converted(v, templated)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), converted(value, templated)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}
