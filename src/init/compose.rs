//! Compose files: their services, as far as a switch has to do with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Notes;
use super::extends;
use super::ports::{self, Port, plain};
use super::source::{Source, name};
use super::variables::{Text, Values};

/// A compose file.
#[derive(Debug)]
pub(super) struct Compose {
    /// The file.
    pub(super) path: PathBuf,
    /// The name of its project, as it is written in bluegreen.yml.
    pub(super) project: Option<String>,
    /// Its services, by name.
    pub(super) services: Vec<Service>,
}

/// A service of a compose file.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    /// Its name.
    pub(super) name: String,
    /// The name of its file.
    pub(super) file: String,
    /// Its image, with the defaults of variables.
    pub(super) image: Option<String>,
    /// The name of its container.
    pub(super) container_name: Option<String>,
    /// Its TCP ports.
    pub(super) ports: Vec<Port>,
    /// Ports that only its network has.
    pub(super) expose: Vec<u16>,
    /// What its health check asks.
    pub(super) health: Option<Health>,
    /// Its labels, as they are written in bluegreen.yml.
    pub(super) labels: BTreeMap<String, String>,
    /// The variables of its rules that have no value.
    pub(super) unset: Vec<String>,
    /// The arguments of its command.
    pub(super) command: Vec<String>,
    /// Its environment.
    pub(super) environment: BTreeMap<String, String>,
    /// Whether it has the host's network for its own.
    pub(super) host_network: bool,
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// The path, with the query.
    pub(super) path: String,
    /// The port, where the URL names one.
    pub(super) port: Option<u16>,
}

impl Compose {
    /// Reads a compose file; what is left out is noted.
    pub(super) fn read(source: &Source, notes: &mut Notes) -> Self {
        let Source {
            path, root, values, ..
        } = source;
        let text = |value: &Value| Text::parse(&plain(value), values);
        if root.contains_key("include") {
            notes.add(format!(
                "{}: `include` is not followed; give those files too",
                source.name()
            ));
        }
        let services = root.get("services").and_then(Value::as_object);
        let services = services.into_iter().flatten().map(|(name, service)| {
            let service = extends::resolved(path, root, name, service, notes);
            Service::read(name, &service, path, values, notes)
        });
        Self {
            path: path.clone(),
            services: services.collect(),
            project: root
                .get("name")
                .and_then(|name| text(name).written())
                .filter(|name| !name.is_empty()),
        }
    }
}

impl Service {
    fn read(
        service_name: &str,
        fields: &Map<String, Value>,
        path: &Path,
        values: &Values,
        notes: &mut Notes,
    ) -> Self {
        let file = name(path);
        let value = |text: &str| Text::parse(text, values).value().unwrap_or_default();
        let text = |key: &str| {
            let text = fields.get(key).map(plain);
            text.map(|text| value(&text))
                .filter(|text| !text.is_empty())
        };
        if fields.contains_key("profiles") {
            notes.add(format!(
                "{file}: `{service_name}` has `profiles`, which are not looked at"
            ));
        }
        let mut read = Vec::new();
        for entry in list(fields.get("ports")) {
            match ports::read(&entry, values) {
                Ok(port) => read.extend(port),
                Err(problem) => notes.add(format!("{file}: `{service_name}`: {problem}")),
            }
        }
        let exposed = list(fields.get("expose"));
        let mut unset = Vec::new();
        let mut labels = BTreeMap::new();
        for (key, label) in pairs(fields.get("labels")) {
            let (key, label) = (value(&key), Text::parse(&label, values));
            let is_rule = key.to_ascii_lowercase().ends_with(".rule");
            match (label.written(), label.unknown()) {
                (Some(written), _) => {
                    labels.insert(key, written);
                }
                // The variable of a rule is a domain, more often than not.
                (None, Some(variable)) if is_rule => {
                    unset.push(variable.to_owned());
                    labels.extend(
                        label
                            .or_default("localhost")
                            .written()
                            .map(|label| (key, label)),
                    );
                }
                (None, variable) => notes.add(format!(
                    "{file}: `{service_name}`: the label {key} is left out: {} has no value",
                    variable.unwrap_or("a variable")
                )),
            }
        }
        let environment = pairs(fields.get("environment"));
        let command = match fields.get("command") {
            Some(Value::String(line)) => line.split_whitespace().map(value).collect(),
            other => list(other).iter().map(|part| value(&plain(part))).collect(),
        };
        Self {
            name: service_name.to_owned(),
            image: text("image"),
            container_name: text("container_name"),
            ports: read,
            expose: exposed
                .iter()
                .filter_map(|port| value(&plain(port)).parse().ok())
                .collect(),
            health: fields
                .get("healthcheck")
                .and_then(|check| health(check, &value)),
            labels,
            unset,
            command,
            environment: environment
                .into_iter()
                .map(|(key, text)| (key, value(&text)))
                .collect(),
            host_network: text("network_mode").as_deref() == Some("host"),
            file,
        }
    }

    /// What of another definition of it this one does not say.
    pub(super) fn complete(&mut self, other: &Self) {
        if self.ports.is_empty() {
            self.ports.clone_from(&other.ports);
        }
        if self.expose.is_empty() {
            self.expose.clone_from(&other.expose);
        }
        for (key, label) in &other.labels {
            self.labels
                .entry(key.clone())
                .or_insert_with(|| label.clone());
        }
        self.health = self.health.take().or_else(|| other.health.clone());
        self.image = self.image.take().or_else(|| other.image.clone());
    }
}

/// The entries of a list.
pub(super) fn list(value: Option<&Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(entries)) => entries.clone(),
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![one.clone()],
    }
}

/// The entries of what is written as a mapping, or as a list of `name=value`.
pub(super) fn pairs(value: Option<&Value>) -> BTreeMap<String, String> {
    match value {
        Some(Value::Object(entries)) => {
            let entries = entries.iter();
            entries
                .map(|(key, value)| (key.clone(), plain(value)))
                .collect()
        }
        value => list(value)
            .iter()
            .map(|entry| {
                let entry = plain(entry);
                let (key, value) = entry.split_once('=').unwrap_or((&entry, ""));
                (key.to_owned(), value.to_owned())
            })
            .collect(),
    }
}

/// What a health check asks over HTTP, if it does.
fn health(check: &Value, value: &dyn Fn(&str) -> String) -> Option<Health> {
    if check.get("disable") == Some(&Value::Bool(true)) {
        return None;
    }
    let words: Vec<_> = list(check.get("test")).iter().map(plain).collect();
    asked(&value(&words.join(" ")))
}

/// The first URL in a command; one of this host may have no scheme.
fn asked(command: &str) -> Option<Health> {
    let ends = |c: char| c.is_whitespace() || "\"'`|;&<>()\\,#".contains(c);
    let rest = ["http://", "https://", "localhost", "127.0.0.1", "[::1]"]
        .iter()
        .filter_map(|start| {
            let (before, after) = command.split_once(start)?;
            Some((
                before.len(),
                if start.ends_with('/') {
                    after
                } else {
                    &command[before.len()..]
                },
            ))
        })
        .min_by_key(|(at, _)| *at)?
        .1;
    // An `&` may well be in a query, but then within quotes, which a list of words has lost.
    let url = rest.split(ends).next()?;
    let (authority, path) = match url.find(['/', '?']) {
        Some(at) => url.split_at(at),
        None => (url, ""),
    };
    if authority.is_empty() {
        return None;
    }
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    let port = authority
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    Some(Health { path, port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_path_of_a_health_check_is_found_in_every_form() {
        for (test, path, port) in [
            (
                json!(["CMD", "curl", "-f", "http://localhost:8091/health"]),
                "/health",
                Some(8091),
            ),
            (
                json!([
                    "CMD-SHELL",
                    "curl -fsS http://127.0.0.1:80/a/b?x=1 || exit 1"
                ]),
                "/a/b?x=1",
                Some(80),
            ),
            (
                json!("wget -qO- 'http://localhost/ready' >/dev/null"),
                "/ready",
                None,
            ),
            (
                json!(["CMD", "wget", "--spider", "localhost:3000/up"]),
                "/up",
                Some(3000),
            ),
            (
                json!(["CMD-SHELL", "wget -q http://[::1]:9/h;exit"]),
                "/h",
                Some(9),
            ),
            (
                json!([
                    "CMD",
                    "node",
                    "-e",
                    "fetch('http://localhost:3000/live').then(r => r)"
                ]),
                "/live",
                Some(3000),
            ),
            (json!("curl http://localhost:3003"), "/", Some(3003)),
        ] {
            let found = health(&json!({ "test": test }), &|text| text.to_owned());
            assert_eq!(
                found,
                Some(Health {
                    path: path.to_owned(),
                    port
                }),
                "{test}"
            );
        }
        for check in [
            json!({ "test": ["NONE"] }),
            json!({ "test": ["CMD", "pg_isready", "--host=db"] }),
            json!({ "disable": true, "test": "curl http://localhost/" }),
            json!({}),
        ] {
            assert_eq!(health(&check, &|text| text.to_owned()), None, "{check}");
        }
    }
}
