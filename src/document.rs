//! The document: what the endpoint answers, rendered from the config and the traffic.
//!
//! Rendering is pure and byte-stable: the same config and traffic give the same bytes on every provider, because
//! Traefik applies anything that differs by a byte.
//!
//! The types follow Traefik's `pkg/config/dynamic`. Two traps of its decoder shape them: an empty map rejects the
//! whole document, so nothing empty is ever written, and an empty document wipes every route, so there is none.

pub(crate) mod preview;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use hyper::body::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::certificate::Certificate;
use crate::color::Color;
use crate::config::{Config, Marker, Servers, Service, Stack};
use crate::traffic::Traffic;

/// The path, before the revision, that the marker's router answers with 418.
pub const MARKER_PATH: &str = "/bluegreen/revision/";

/// The name of the marker's router.
pub const MARKER_ROUTER: &str = "bluegreen-marker";

/// The document: Traefik's dynamic configuration, as the bytes that go out, and their revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// JSON in UTF-8.
    pub bytes: Bytes,
    /// What names these bytes.
    pub revision: Revision,
}

/// The name of a document: the first 64 bits of the SHA-256 of its bytes, in hexadecimal.
///
/// The marker's router, which holds the revision itself, is left out of the hash; where it listens is not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    fn of(bytes: &[u8], marker: Option<&Marker>) -> Self {
        use fmt::Write;
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        hash.update(bytes);
        if let Some(marker) = marker {
            hash.update(marker.entry_point.as_bytes());
        }
        let digest = hash.finish();
        let mut hex = String::with_capacity(16);
        for byte in &digest.as_ref()[..8] {
            write!(hex, "{byte:02x}").expect("writing to a string can't fail");
        }
        Self(hex.into())
    }

    /// The revision as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Renders the document for a config and the traffic of each of its stacks.
///
/// A stack that `traffic` does not name gets its first color.
pub fn render(
    config: &Config,
    traffic: &BTreeMap<String, Traffic>,
    certificate: Option<&Certificate>,
) -> Document {
    let mut routers = verbatim(&config.traefik, "routers");
    let mut services = verbatim(&config.traefik, "services");
    for (name, stack) in &config.stacks {
        let first = Traffic::all_to(stack.colors[0].clone());
        let traffic = traffic.get(name).unwrap_or(&first);
        for (service_name, service) in &stack.services {
            let base = format!("{name}-{service_name}");
            render_service(&base, stack, service, traffic, &mut routers, &mut services);
            preview::render(&base, stack, service, traffic, &mut routers);
        }
    }
    let mut configuration = Configuration {
        http: Http {
            routers,
            services,
            rest: section(&config.traefik, "http", &["routers", "services"]),
        },
        tls: tls(&config.traefik, certificate),
        rest: config
            .traefik
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "http" | "tls"))
            .collect(),
    };
    let mut bytes = to_json(&configuration);
    let revision = Revision::of(&bytes, config.marker.as_ref());
    if let Some(marker) = &config.marker {
        let router = Router {
            entry_points: std::slice::from_ref(&marker.entry_point),
            rule: format!("Path(`{MARKER_PATH}{revision}`)").into(),
            // Traefik's own service that answers 418 to everything.
            service: "noop@internal".to_owned(),
            rest: Cow::Owned(Map::new()),
        };
        let routers = &mut configuration.http.routers;
        routers.insert(MARKER_ROUTER.to_owned(), Entry::Router(router));
        bytes = to_json(&configuration);
    }
    Document {
        bytes: bytes.into(),
        revision,
    }
}

/// One router that follows the traffic, and one service for each color, all of them always there: a service that
/// vanishes from Traefik's configuration loses its metrics.
fn render_service<'a>(
    base: &str,
    stack: &'a Stack,
    service: &'a Service,
    traffic: &Traffic,
    routers: &mut BTreeMap<String, Entry<'a>>,
    services: &mut BTreeMap<String, Entry<'a>>,
) {
    for (color, servers) in &service.servers {
        if let Servers::Urls(urls) = servers {
            let balancer = LoadBalancer::new(urls, service);
            let name = format!("{base}-{color}");
            services.insert(
                name,
                Entry::LoadBalancer(OneOf {
                    load_balancer: balancer,
                }),
            );
        }
    }
    let target = match traffic.sole() {
        Some(color) => service_of(base, service, color),
        None => {
            let children = stack.colors.iter().map(|color| Child {
                name: service_of(base, service, color),
                weight: traffic.weight(color),
            });
            let weighted = Weighted {
                services: children.filter(|child| child.weight > 0).collect(),
            };
            services.insert(base.to_owned(), Entry::Weighted(OneOfWeighted { weighted }));
            base.to_owned()
        }
    };
    let router = Router {
        entry_points: entry_points(stack, service),
        rule: (&*service.rule).into(),
        service: target,
        rest: Cow::Borrowed(&service.router),
    };
    routers.insert(base.to_owned(), Entry::Router(router));
}

/// The stack's entrypoints, where the service's router does not have its own among its verbatim fields.
fn entry_points<'a>(stack: &'a Stack, service: &Service) -> &'a [String] {
    if service.router.contains_key("entryPoints") {
        &[]
    } else {
        &stack.entry_points
    }
}

/// The name of the Traefik service behind one color.
fn service_of(base: &str, service: &Service, color: &Color) -> String {
    match service.servers.get(color) {
        Some(Servers::Reference(name)) => name.clone(),
        _ => format!("{base}-{color}"),
    }
}

/// The verbatim entries of one of the `http` section's maps.
fn verbatim<'a>(traefik: &'a Map<String, Value>, map: &str) -> BTreeMap<String, Entry<'a>> {
    let entries = traefik
        .get("http")
        .and_then(|http| http.get(map))
        .and_then(Value::as_object);
    entries
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), Entry::Verbatim(value)))
        .collect()
}

/// A verbatim section without the keys that are rendered apart.
fn section<'a>(
    traefik: &'a Map<String, Value>,
    name: &str,
    without: &[&str],
) -> BTreeMap<&'a String, &'a Value> {
    let section = traefik.get(name).and_then(Value::as_object);
    section
        .into_iter()
        .flatten()
        .filter(|(key, _)| !without.contains(&key.as_str()))
        .collect()
}

/// The `tls` section, with the default certificate where the provider has made one.
fn tls(traefik: &Map<String, Value>, certificate: Option<&Certificate>) -> Option<Value> {
    let verbatim = traefik.get("tls");
    let Some(certificate) = certificate else {
        return verbatim.cloned();
    };
    let mut tls = verbatim
        .cloned()
        .unwrap_or_else(|| Value::Object(Map::new()));
    tls["stores"]["default"]["defaultCertificate"] = serde_json::json!({
        "certFile": certificate.certificate_pem,
        "keyFile": certificate.key_pem,
    });
    Some(tls)
}

/// The root, Traefik's `dynamic.Configuration`.
#[derive(Serialize)]
struct Configuration<'a> {
    http: Http<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Value>,
    #[serde(flatten)]
    rest: BTreeMap<&'a String, &'a Value>,
}

/// Traefik's `dynamic.HTTPConfiguration`.
#[derive(Serialize)]
struct Http<'a> {
    routers: BTreeMap<String, Entry<'a>>,
    /// None where all that is routed to is of other providers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    services: BTreeMap<String, Entry<'a>>,
    #[serde(flatten)]
    rest: BTreeMap<&'a String, &'a Value>,
}

/// An entry of the routers or the services: rendered here, or verbatim from the config.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Router(Router<'a>),
    LoadBalancer(OneOf<'a>),
    Weighted(OneOfWeighted),
    Verbatim(&'a Value),
}

/// Traefik's `dynamic.Router`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Router<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    entry_points: &'a [String],
    rule: Cow<'a, str>,
    service: String,
    #[serde(flatten)]
    rest: Cow<'a, Map<String, Value>>,
}

/// Traefik's `dynamic.Service` with a load balancer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneOf<'a> {
    load_balancer: LoadBalancer<'a>,
}

/// Traefik's `dynamic.Service` with weights.
#[derive(Serialize)]
struct OneOfWeighted {
    weighted: Weighted,
}

/// Traefik's `dynamic.ServersLoadBalancer`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoadBalancer<'a> {
    servers: Vec<Server<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<Value>,
    #[serde(flatten)]
    rest: BTreeMap<&'a String, &'a Value>,
}

impl<'a> LoadBalancer<'a> {
    /// The servers of one color, with the verbatim fields. A health check asks the service's own path, unless it names
    /// another one.
    fn new(urls: &'a [String], service: &'a Service) -> Self {
        let mut health_check = service.load_balancer.get("healthCheck").cloned();
        if let (Some(Value::Object(check)), Some(path)) = (&mut health_check, &service.health) {
            check.entry("path").or_insert_with(|| path.as_str().into());
        }
        let rest = service.load_balancer.iter();
        Self {
            servers: urls.iter().map(|url| Server { url }).collect(),
            health_check,
            rest: rest.filter(|(key, _)| *key != "healthCheck").collect(),
        }
    }
}

/// Traefik's `dynamic.Server`.
#[derive(Serialize)]
struct Server<'a> {
    url: &'a str,
}

/// Traefik's `dynamic.WeightedRoundRobin`.
#[derive(Serialize)]
struct Weighted {
    services: Vec<Child>,
}

/// Traefik's `dynamic.WRRService`.
#[derive(Serialize)]
struct Child {
    name: String,
    weight: u32,
}

/// The configuration as JSON that Traefik's decoder, which is one of YAML, takes.
fn to_json(configuration: &Configuration<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4096);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, ReadableAsYaml);
    configuration
        .serialize(&mut serializer)
        .expect("strings, numbers and maps with text keys always serialize");
    bytes
}

/// Compact JSON in which the characters that YAML takes for unprintable are escaped. The others stay as they are:
/// Traefik's decoder does not know surrogate pairs.
struct ReadableAsYaml;

impl serde_json::ser::Formatter for ReadableAsYaml {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let unprintable = |c: char| {
            matches!(
                c,
                '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
            )
        };
        let mut rest = fragment;
        while let Some(at) = rest.find(unprintable) {
            let (before, from) = rest.split_at(at);
            let mut following = from.chars();
            let character = following.next().map_or(0, u32::from);
            write!(writer, "{before}\\u{character:04x}")?;
            rest = following.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}
