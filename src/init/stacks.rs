//! Stacks: the services of the compose files, each with its colors.

use std::collections::{BTreeMap, BTreeSet};

use super::Notes;
use super::colors;
use super::compose::{Compose, Service};
use super::draft::Said;
use super::edge::Edge;
use super::labels::Labels;
use super::ports::{Port, Published};
use crate::color::Color;

/// Images that are no services of an application. What is in front of the tag, without the registry and the user.
const INFRASTRUCTURE: &[&str] = &[
    "adminer",
    "alertmanager",
    "bluegreen",
    "cadvisor",
    "cassandra",
    "clickhouse-server",
    "cockroach",
    "consul",
    "couchdb",
    "docker-socket-proxy",
    "dragonfly",
    "elasticsearch",
    "etcd",
    "grafana",
    "influxdb",
    "jaeger",
    "kafka",
    "keydb",
    "localstack",
    "loki",
    "mailhog",
    "mailpit",
    "mariadb",
    "meilisearch",
    "memcached",
    "minio",
    "mongo",
    "mongodb",
    "mysql",
    "nats",
    "node-exporter",
    "opensearch",
    "opentelemetry-collector",
    "pgadmin4",
    "pgbouncer",
    "pgvector",
    "portainer",
    "postgis",
    "postgres",
    "postgresql",
    "prometheus",
    "promtail",
    "rabbitmq",
    "redis",
    "redis-stack",
    "redis-stack-server",
    "redpanda",
    "tempo",
    "timescaledb",
    "traefik",
    "valkey",
    "vault",
    "watchtower",
    "zookeeper",
];

/// A service in its colors.
pub(super) type Group = BTreeMap<Color, Service>;

/// The services of all compose files.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Those that have a color, by their name without it.
    pub(super) colored: BTreeMap<String, Group>,
    /// The compose project of each color.
    pub(super) projects: BTreeMap<Color, String>,
    /// Whether colors are in one file, and so in one project.
    pub(super) together: bool,
    /// The middlewares that the labels of containers without a color define.
    pub(super) lasting: BTreeSet<String>,
}

/// How a dynamic file names a server of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By the name of the service.
    Service,
    /// By the name of its container.
    Container,
    /// By the port on the host.
    Port,
}

impl Groups {
    /// Sorts the services of the files; those of Traefik go to the edge.
    pub(super) fn of(
        files: Vec<Compose>,
        colors: &[Color],
        edge: &mut Edge,
        notes: &mut Notes,
    ) -> Self {
        let mut groups = Self::default();
        let mut shared: Vec<Service> = Vec::new();
        for file in files {
            let file_color = colors::of_file(&file.path, colors);
            let mut here: Vec<Color> = file_color.clone().into_iter().collect();
            for service in file.services {
                if is_image(&service, &["traefik"]) {
                    let labels = Labels::of(&service);
                    groups.lasting.extend(labels.middlewares.into_keys());
                    edge.add_service(&service);
                    continue;
                }
                let named = colors::of_name(&service.name, colors);
                let (color, base) = match (named, &file_color) {
                    (Some((color, base)), _) if !base.is_empty() => (color, base),
                    (_, Some(color)) => (color.clone(), service.name.clone()),
                    (_, None) => {
                        shared.push(service);
                        continue;
                    }
                };
                if is_image(&service, INFRASTRUCTURE) && Labels::of(&service).routes.is_empty() {
                    notes.add(format!(
                        "{}: `{}` is left out: {} is shared, not switched",
                        service.file,
                        service.name,
                        service.image.as_deref().unwrap_or_default()
                    ));
                    continue;
                }
                if !here.contains(&color) {
                    here.push(color.clone());
                }
                let group = groups.colored.entry(base).or_default();
                match group.get_mut(&color) {
                    // A second file of the color, such as an override.
                    Some(first) => first.complete(&service),
                    None => {
                        group.insert(color, service);
                    }
                }
            }
            groups.together |= here.len() > 1;
            if let (Some(project), [color]) = (file.project, here.as_slice()) {
                groups.projects.insert(color.clone(), project);
            }
        }
        groups.share(shared, notes);
        groups
    }

    /// What is in no color completes the services of that name, or is left out.
    fn share(&mut self, shared: Vec<Service>, notes: &mut Notes) {
        for service in shared {
            if let Some(group) = self.colored.get_mut(&service.name) {
                for colored in group.values_mut() {
                    colored.complete(&service);
                }
                continue;
            }
            let labels = Labels::of(&service);
            self.lasting.extend(labels.middlewares.into_keys());
            if !is_image(&service, INFRASTRUCTURE) && service.name != "bluegreen" {
                notes.add(format!(
                    "{}: `{}` is left out: neither its name nor its file's has a color",
                    service.file, service.name
                ));
            } else {
                notes.add(format!(
                    "{}: `{}` is left out: it is shared, not switched",
                    service.file, service.name
                ));
            }
        }
    }

    /// Which service in which color a host and port of a dynamic file are.
    pub(super) fn find(&self, host: &str, port: Option<u16>) -> Option<(&str, &Color, Way)> {
        let all = || {
            self.colored.iter().flat_map(|(base, group)| {
                group
                    .iter()
                    .map(move |(color, service)| (base.as_str(), color, service))
            })
        };
        let only = |way: Way, is: &dyn Fn(&Service) -> bool| {
            let mut found = all().filter(|(_, _, service)| is(service));
            let (base, color, _) = found.next()?;
            // Two of that name: which one Traefik reaches is not for a file to tell.
            found.next().is_none().then_some((base, color, way))
        };
        let named = only(Way::Container, &|s| {
            s.container_name.as_deref() == Some(host)
        });
        let named = named.or_else(|| only(Way::Service, &|s| s.name == host));
        named.or_else(|| {
            let local = host == "localhost"
                || host.ends_with(".docker.internal")
                || host
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .parse::<std::net::IpAddr>()
                    .is_ok();
            let port = port?;
            let published = |s: &Service| s.ports.iter().any(|p| p.number() == Some(port));
            if local {
                only(Way::Port, &published)
            } else {
                None
            }
        })
    }
}

fn is_image(service: &Service, images: &[&str]) -> bool {
    let Some(image) = &service.image else {
        return false;
    };
    let last = image.rsplit('/').next().unwrap_or_default();
    let name = last.split([':', '@']).next().unwrap_or_default();
    images.contains(&name)
}

/// The server of a color, as it is named where its sibling's is `scheme://host:port`.
pub(super) fn sibling(
    way: Way,
    url: (&str, &str, Option<u16>),
    known: &Service,
    other: &Service,
) -> Option<Said> {
    let (scheme, host, port) = url;
    if way == Way::Port {
        let at = known.ports.iter().position(|p| p.number() == port)?;
        let counterpart = counterpart(known, at, other)?;
        return match &counterpart.published {
            Published::At { port, .. } => Some(Said::plain(format!("{scheme}://{host}:{port}"))),
            _ => None,
        };
    }
    let host = match way {
        Way::Container => other.container_name.as_ref().unwrap_or(&other.name),
        _ => &other.name,
    };
    let at = known
        .ports
        .iter()
        .position(|p| port.is_some() && p.target == port);
    let counterpart = at.and_then(|at| counterpart(known, at, other)?.target);
    // A port that no file names is probably the same one within every container.
    Some(Said::plain(match counterpart.or(port) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }))
}

/// The port of the other color that is this one's counterpart.
fn counterpart<'a>(known: &Service, at: usize, other: &'a Service) -> Option<&'a Port> {
    let target = known.ports[at].target;
    let mut same = other
        .ports
        .iter()
        .filter(|p| p.target == target && target.is_some());
    match (same.next(), same.next()) {
        (Some(port), None) => Some(port),
        _ => other.ports.get(at),
    }
}

/// What containers of its network call a service.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// Its name, where the files tell it.
    pub(super) sure: Option<String>,
    /// Its container's usual name.
    pub(super) usual: String,
}

/// Where a service is, told from its compose file alone.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Its URL.
    pub(super) url: Said,
    /// Host and port as this host has it, with the default of a variable for the port; and by name, in its network.
    pub(super) reached: Option<(String, String)>,
}

/// Where a service is; `None` where it has no port at all.
pub(super) fn address(service: &Service, named: &Named) -> Option<Address> {
    let labels = Labels::of(service);
    let scheme = labels.scheme.as_deref().unwrap_or("http");
    let wanted = labels
        .port
        .or(service.health.as_ref().and_then(|health| health.port));
    let is = |wanted: Option<u16>| move |p: &&Port| wanted.is_some() && p.target == wanted;
    let published = |p: &&Port| matches!(p.published, Published::At { .. });
    let ports = || service.ports.iter();
    let port = ports()
        .find(is(wanted))
        .or_else(|| ports().find(published))
        .or_else(|| ports().next());
    let sure = service.container_name.as_deref().or(named.sure.as_deref());
    let inner = port
        .and_then(|p| p.target)
        .or(wanted)
        .or(service.expose.first().copied());
    match port.map(|port| &port.published) {
        Some(Published::At {
            written,
            host,
            number,
            ..
        }) => {
            let by_name = sure.map(|name| format!("{name}:{}", inner.unwrap_or(*number)));
            Some(Address {
                url: Said::plain(format!("{scheme}://{written}")),
                reached: by_name.map(|by_name| (format!("{host}:{number}"), by_name)),
            })
        }
        Some(Published::Unknown(variable)) => {
            let port = inner.unwrap_or(80);
            let url = format!("{scheme}://127.0.0.1:${{{variable}:-{port}}}");
            let comment =
                format!("not found in the files: {variable} has no value there; which port is it?");
            Some(Address {
                url: Said::with(url, comment),
                reached: None,
            })
        }
        Some(Published::No) | None => {
            let port = inner?;
            let (host, comment) = match sure {
                _ if service.host_network => {
                    ("127.0.0.1", "it has this host's network; is this its port?")
                }
                Some(name) => (
                    name,
                    "not published on this host: only what is in its network reaches it",
                ),
                None => (
                    named.usual.as_str(),
                    "not found in the files: is this its container, by which Traefik reaches it?",
                ),
            };
            Some(Address {
                url: Said::with(format!("{scheme}://{host}:{port}"), comment),
                reached: None,
            })
        }
    }
}
