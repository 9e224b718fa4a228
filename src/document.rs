//! The document: what the endpoint answers, rendered from the config and the traffic.
//!
//! Rendering is pure and byte-stable: the same config and traffic give the same bytes on every provider, because
//! Traefik applies anything that differs by a byte.
//!
//! The types follow Traefik's `pkg/config/dynamic`. Two traps of its decoder shape them: an empty map rejects the
//! whole document, so nothing empty is ever written, and an empty document wipes every route, so there is none.

mod json;
pub(crate) mod marker;
mod model;
mod part;
pub(crate) mod preview;
pub(crate) mod share;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hyper::body::Bytes;
use json::entries;
use marker::Place;
use part::Part;
use serde_json::{Map, Value};

use crate::certificate::Certificate;
use crate::config::Config;
use crate::dead::LeftOut;
use crate::traffic::Traffic;

pub(crate) use part::service_of;

pub use marker::{MARKER_HOST, MARKER_PATH, MARKER_ROUTER};

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
/// The marker's routers, which hold the revision itself, are left out of the hash; where they are is not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Of the document that these pieces make.
    pub(crate) fn of(pieces: &[&[u8]]) -> Self {
        use fmt::Write;
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        for piece in pieces {
            hash.update(piece);
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
    Parts::default().render(config, traffic, certificate)
}

/// What each stack of one config has contributed to its last document: a change of one among many renders that one.
#[derive(Debug, Default)]
pub struct Parts {
    stacks: BTreeMap<String, Rendered>,
    /// The marker's routers, around the revision.
    markers: Option<Vec<Vec<u8>>>,
}

/// What one stack has contributed, and by what.
#[derive(Debug)]
struct Rendered {
    traffic: Traffic,
    left_out: Option<LeftOut>,
    part: Part,
}

impl Parts {
    /// As [`render`]; always for the same config.
    pub fn render(
        &mut self,
        config: &Config,
        traffic: &BTreeMap<String, Traffic>,
        certificate: Option<&Certificate>,
    ) -> Document {
        let all = BTreeMap::new();
        self.render_those(config, &|_| true, traffic, &all, certificate)
    }

    /// Of some stacks only, always of the same ones, without the servers that are left out of each.
    pub(crate) fn render_those(
        &mut self,
        config: &Config,
        those: &dyn Fn(&str) -> bool,
        traffic: &BTreeMap<String, Traffic>,
        left_out: &BTreeMap<String, LeftOut>,
        certificate: Option<&Certificate>,
    ) -> Document {
        for (name, stack) in config.stacks.iter().filter(|(name, _)| those(name)) {
            let first = || Traffic::all_to(stack.colors[0].clone());
            let traffic = traffic
                .get(name)
                .map_or_else(|| Cow::Owned(first()), Cow::Borrowed);
            let left_out = left_out.get(name);
            let same = self.stacks.get(name).is_some_and(|before| {
                before.traffic == *traffic && before.left_out.as_ref() == left_out
            });
            if !same {
                let rendered = Rendered {
                    part: Part::render(name, stack, &traffic, left_out),
                    left_out: left_out.cloned(),
                    traffic: traffic.into_owned(),
                };
                self.stacks.insert(name.clone(), rendered);
            }
        }
        let markers = self.markers.get_or_insert_with(|| {
            let stacks = config.stacks.iter().filter(|(name, _)| those(name));
            marker::pieces(&match Place::configured(config) {
                Some(place) => [place].into(),
                None => stacks
                    .flat_map(|(_, stack)| Place::of_stack(stack))
                    .collect(),
            })
        });
        let parts = || self.stacks.values().map(|rendered| &rendered.part);
        let verbatim = |map| entries(&verbatim(&config.traefik, map));
        let routers = list(verbatim("routers"), parts().map(|part| &part.routers));
        let services = list(verbatim("services"), parts().map(|part| &part.services));
        assemble(config, routers, &services, markers, certificate)
    }
}

/// The document of these routers and services, and of the marker's routers.
fn assemble(
    config: &Config,
    routers: Vec<u8>,
    services: &[u8],
    markers: &[Vec<u8>],
    certificate: Option<&Certificate>,
) -> Document {
    let mut rest = Vec::with_capacity(services.len() + 4096);
    rest.push(b'}');
    // A stack whose servers are all defined elsewhere has none; an empty map would reject the document.
    if !services.is_empty() {
        rest.extend_from_slice(b",\"services\":{");
        rest.extend_from_slice(services);
        rest.push(b'}');
    }
    add(
        &mut rest,
        &section(&config.traefik, "http", &["routers", "services"]),
    );
    rest.push(b'}');
    if let Some(tls) = tls(&config.traefik, certificate) {
        add(&mut rest, &BTreeMap::from([("tls", tls)]));
    }
    let others = config.traefik.iter();
    let others = others.filter(|(key, _)| !matches!(key.as_str(), "http" | "tls"));
    add(&mut rest, &others.collect::<BTreeMap<_, _>>());
    rest.push(b'}');

    let revision = Revision::of(&[BEGIN, &routers, &rest, &markers.concat()]);
    let markers = markers.join(revision.as_str().as_bytes());
    let routers = list(routers, [&markers].into_iter());
    Document {
        bytes: [BEGIN, &routers, &rest].concat().into(),
        revision,
    }
}

/// What every document begins with.
const BEGIN: &[u8] = b"{\"http\":{\"routers\":{";

/// Entries of a JSON object, with more of them.
fn list<'a>(mut first: Vec<u8>, more: impl Iterator<Item = &'a Vec<u8>> + Clone) -> Vec<u8> {
    first.reserve_exact(more.clone().map(|more| more.len() + 1).sum());
    for more in more.filter(|more| !more.is_empty()) {
        if !first.is_empty() {
            first.push(b',');
        }
        first.extend_from_slice(more);
    }
    first
}

/// Adds the entries of a map to those of an object, which has some.
fn add(object: &mut Vec<u8>, map: &impl serde::Serialize) {
    let more = entries(map);
    if !more.is_empty() {
        object.push(b',');
        object.extend_from_slice(&more);
    }
}

/// The verbatim entries of one of the `http` section's maps.
fn verbatim<'a>(traefik: &'a Map<String, Value>, map: &str) -> BTreeMap<&'a String, &'a Value> {
    let entries = traefik.get("http").and_then(|http| http.get(map));
    entries
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
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
