//! The edge: the Traefik of the files, with its entrypoints and where the host reaches them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::compose::Service;
use super::ports::{Port, Published};
use super::source::Source;
use super::traefik::field;

/// The port of Traefik's own entrypoint where nothing else is said.
const API_PORT: u16 = 8080;

/// What the files say of Traefik.
#[derive(Debug, Default)]
pub(super) struct Edge {
    /// The file that has it.
    pub(super) file: String,
    /// The TCP ports of its entrypoints.
    pub(super) entry_points: BTreeMap<String, u16>,
    /// Whether it runs in a container, with a network of its own.
    pub(super) in_container: bool,
    /// Whether it polls an HTTP provider already.
    pub(super) polls: bool,
    ports: Vec<Port>,
}

impl Edge {
    /// Adds what a compose service says that is a Traefik.
    pub(super) fn add_service(&mut self, service: &Service) {
        self.file.clone_from(&service.file);
        self.in_container |= !service.host_network;
        self.ports.extend(service.ports.iter().cloned());
        let flags = service.command.iter().filter_map(|flag| {
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            Some((name.strip_prefix("--")?.to_ascii_lowercase(), value))
        });
        let variables = service.environment.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix("TRAEFIK_")?;
            Some((name.to_ascii_lowercase().replace('_', "."), value.as_str()))
        });
        for (name, value) in flags.chain(variables) {
            self.polls |= name.starts_with("providers.http.");
            if name.starts_with("api.insecure") && value != "false" {
                self.entry_points
                    .entry("traefik".to_owned())
                    .or_insert(API_PORT);
            }
            let entry_point = name
                .strip_prefix("entrypoints.")
                .and_then(|name| name.strip_suffix(".address"));
            if let (Some(entry_point), Some(port)) = (entry_point, port(value)) {
                self.entry_points.insert(entry_point.to_owned(), port);
            }
        }
        let api = |port: &Port| port.target == Some(API_PORT);
        if service.ports.iter().any(api) && !self.entry_points.values().any(|p| *p == API_PORT) {
            self.entry_points
                .entry("traefik".to_owned())
                .or_insert(API_PORT);
        }
    }

    /// Adds what Traefik's own configuration says.
    pub(super) fn add_static(&mut self, source: &Source) {
        if self.file.is_empty() {
            self.file = source.name();
        }
        let providers = field(&source.root, "providers").and_then(Value::as_object);
        self.polls |= providers.is_some_and(|providers| field(providers, "http").is_some());
        let api = field(&source.root, "api").and_then(Value::as_object);
        if api.and_then(|api| field(api, "insecure")) == Some(&Value::Bool(true)) {
            self.entry_points
                .entry("traefik".to_owned())
                .or_insert(API_PORT);
        }
        let entry_points = field(&source.root, "entryPoints").and_then(Value::as_object);
        for (name, entry_point) in entry_points.into_iter().flatten() {
            let address = entry_point
                .as_object()
                .and_then(|fields| field(fields, "address"));
            if let Some(port) = address.and_then(Value::as_str).and_then(port) {
                self.entry_points.insert(name.clone(), port);
            }
        }
    }

    /// The entrypoint at which the users come in, as far as that can be told.
    pub(super) fn main(&self) -> Option<&str> {
        let named = |name: &str| self.entry_points.get_key_value(name);
        let on = |port: u16| self.entry_points.iter().find(|(_, p)| **p == port);
        let other = || {
            self.entry_points
                .iter()
                .find(|(name, _)| *name != "traefik")
        };
        let found = named("web").or_else(|| on(80)).or_else(other);
        found.map(|(name, _)| name.as_str())
    }

    /// Where this host reaches an entrypoint, as it is written in bluegreen.yml.
    pub(super) fn production(&self, entry_point: &str) -> Option<String> {
        let known = self.entry_points.get(entry_point).copied();
        let port = known.or_else(|| (entry_point == "web").then_some(80))?;
        let scheme = if port == 443 || entry_point == "websecure" {
            "https"
        } else {
            "http"
        };
        let published = self.ports.iter().find_map(|p| match &p.published {
            Published::At { written, .. } if p.target == Some(port) => Some(written.clone()),
            _ => None,
        });
        let here = || (!self.in_container && known.is_some()).then(|| format!("127.0.0.1:{port}"));
        published.or_else(here).map(|at| format!("{scheme}://{at}"))
    }

    /// The entrypoint of Traefik's own, for the marker.
    pub(super) fn marker(&self) -> Option<(&str, u16)> {
        let own = self.entry_points.get_key_value("traefik");
        own.map(|(name, port)| (name.as_str(), *port))
    }
}

/// The port of an entrypoint's address, such as `:80` or `0.0.0.0:443/tcp`; none for UDP.
fn port(address: &str) -> Option<u16> {
    let address = match address.split_once('/') {
        Some((_, "udp")) => return None,
        Some((address, _)) => address,
        None => address,
    };
    address.rsplit_once(':')?.1.parse().ok()
}
