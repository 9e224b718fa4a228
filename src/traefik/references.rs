//! What refers to what in a dynamic configuration, and which names nothing defines.
//!
//! A name without a provider is one of the same provider, `http`; `name@docker` is defined elsewhere and
//! `noop@internal` by Traefik itself. Entrypoints and certificate resolvers are part of Traefik's static
//! configuration and cannot be checked.

use std::fmt;

use serde_json::Value;

/// One step on the way to a value in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value of an object's key.
    Key(String),
    /// The entry of a list, counted from 0.
    Index(usize),
}

/// What a name refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An HTTP router, which `parentRefs` name.
    HttpRouter,
    /// An HTTP service.
    HttpService,
    /// An HTTP middleware.
    HttpMiddleware,
    /// A servers transport for HTTP.
    HttpTransport,
    /// A TCP service.
    TcpService,
    /// A TCP middleware.
    TcpMiddleware,
    /// A servers transport for TCP.
    TcpTransport,
    /// A UDP service.
    UdpService,
    /// TLS options.
    TlsOptions,
}

/// A place in a document that names something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where the name stands. In a string with commas between names, all of them stand at its place.
    pub path: Vec<Step>,
    /// What it refers to.
    pub kind: Kind,
    /// The name as it is written.
    pub name: String,
}

/// The places that hold names; `*` is any key or index, and at the end of a path any entry of a list.
///
/// Sources: Traefik's `GetQualifiedName` in `pkg/server/provider/provider.go` and whatever calls it.
const PLACES: [(&str, Kind); 21] = [
    ("http.routers.*.service", Kind::HttpService),
    ("http.routers.*.middlewares.*", Kind::HttpMiddleware),
    ("http.routers.*.parentRefs.*", Kind::HttpRouter),
    ("http.routers.*.tls.options", Kind::TlsOptions),
    ("http.services.*.middlewares.*", Kind::HttpMiddleware),
    (
        "http.services.*.loadBalancer.serversTransport",
        Kind::HttpTransport,
    ),
    (
        "http.services.*.weighted.services.*.name",
        Kind::HttpService,
    ),
    (
        "http.services.*.highestRandomWeight.services.*.name",
        Kind::HttpService,
    ),
    ("http.services.*.mirroring.service", Kind::HttpService),
    (
        "http.services.*.mirroring.mirrors.*.name",
        Kind::HttpService,
    ),
    ("http.services.*.failover.service", Kind::HttpService),
    ("http.services.*.failover.fallback", Kind::HttpService),
    (
        "http.middlewares.*.chain.middlewares.*",
        Kind::HttpMiddleware,
    ),
    ("http.middlewares.*.errors.service", Kind::HttpService),
    ("tcp.routers.*.service", Kind::TcpService),
    ("tcp.routers.*.middlewares.*", Kind::TcpMiddleware),
    ("tcp.routers.*.tls.options", Kind::TlsOptions),
    (
        "tcp.services.*.loadBalancer.serversTransport",
        Kind::TcpTransport,
    ),
    ("tcp.services.*.weighted.services.*.name", Kind::TcpService),
    ("udp.routers.*.service", Kind::UdpService),
    ("udp.services.*.weighted.services.*.name", Kind::UdpService),
];

/// The name of the TLS options that Traefik always has. They belong to no provider.
const DEFAULT_TLS_OPTIONS: &str = "default";

/// Below this likeness a name is no hint.
const LIKENESS: f64 = 0.6;

/// Lists every reference in a dynamic configuration.
pub fn references(document: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    for (place, kind) in PLACES {
        let steps: Vec<&str> = place.split('.').collect();
        collect(document, &steps, kind, &mut Vec::new(), &mut found);
    }
    found
}

/// Lists the references to what neither the document nor another provider defines, each with the nearest
/// name that is defined.
pub fn unresolved(document: &Value) -> Vec<(Reference, Option<String>)> {
    let mut found = Vec::new();
    for reference in references(document) {
        let defined = reference.kind.defined(document);
        if !reference.kind.is_defined(&reference.name, &defined) {
            let hint = nearest(&reference.name, &defined);
            found.push((reference, hint));
        }
    }
    found
}

/// Walks one of the [`PLACES`] down and notes the names at its end.
fn collect(
    value: &Value,
    steps: &[&str],
    kind: Kind,
    path: &mut Vec<Step>,
    found: &mut Vec<Reference>,
) {
    let mut note = |path: &[Step], name: &str| {
        if !name.is_empty() {
            let (path, name) = (path.to_vec(), name.to_owned());
            found.push(Reference { path, kind, name });
        }
    };
    match (steps, value) {
        ([], Value::String(name)) => note(path, name),
        ([], Value::Number(name)) => note(path, &name.to_string()),
        (["*"], Value::String(names)) => {
            names.split(',').for_each(|name| note(path, name.trim()));
        }
        (["*", rest @ ..], Value::Array(entries)) => {
            for (index, entry) in entries.iter().enumerate() {
                path.push(Step::Index(index));
                collect(entry, rest, kind, path, found);
                path.pop();
            }
        }
        ([step, rest @ ..], Value::Object(object)) => {
            for (key, entry) in object {
                if *step == "*" || step.eq_ignore_ascii_case(key) {
                    path.push(Step::Key(key.clone()));
                    collect(entry, rest, kind, path, found);
                    path.pop();
                }
            }
        }
        _ => {}
    }
}

/// The value of a key, in whatever case it is written: Traefik does not mind.
fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let mut entries = value.as_object()?.iter();
    entries.find_map(|(k, v)| k.eq_ignore_ascii_case(key).then_some(v))
}

fn nearest(name: &str, defined: &[&str]) -> Option<String> {
    let name = name.strip_suffix("@http").unwrap_or(name);
    let likeness = |other: &str| strsim::normalized_damerau_levenshtein(name, other);
    defined
        .iter()
        .map(|other| (likeness(other), *other))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, other)| other.to_owned())
}

impl Kind {
    /// The part of a document and the map in it that define things of this kind.
    fn home(self) -> (&'static str, &'static str) {
        match self {
            Self::HttpRouter => ("http", "routers"),
            Self::HttpService => ("http", "services"),
            Self::HttpMiddleware => ("http", "middlewares"),
            Self::HttpTransport => ("http", "serversTransports"),
            Self::TcpService => ("tcp", "services"),
            Self::TcpMiddleware => ("tcp", "middlewares"),
            Self::TcpTransport => ("tcp", "serversTransports"),
            Self::UdpService => ("udp", "services"),
            Self::TlsOptions => ("tls", "options"),
        }
    }

    /// The names that a document defines, and those that are always there.
    fn defined(self, document: &Value) -> Vec<&str> {
        let (part, map) = self.home();
        let map = get(document, part).and_then(|part| get(part, map));
        let names = map.and_then(Value::as_object).into_iter().flatten();
        let mut names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        if self == Self::TlsOptions && !names.contains(&DEFAULT_TLS_OPTIONS) {
            names.push(DEFAULT_TLS_OPTIONS);
        }
        names
    }

    /// Whether a name is one of those that are defined, or of another provider.
    fn is_defined(self, name: &str, defined: &[&str]) -> bool {
        match name.split('@').nth(1) {
            None => defined.contains(&name),
            Some("http") => {
                let own = name.strip_suffix("@http").unwrap_or(name);
                // `default@http` is no name of the options `default`, which belong to no provider.
                let default = self == Self::TlsOptions && own == DEFAULT_TLS_OPTIONS;
                defined.contains(&own) && !default
            }
            Some(_) => true,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HttpRouter => "HTTP router",
            Self::HttpService => "HTTP service",
            Self::HttpMiddleware => "HTTP middleware",
            Self::HttpTransport => "HTTP servers transport",
            Self::TcpService => "TCP service",
            Self::TcpMiddleware => "TCP middleware",
            Self::TcpTransport => "TCP servers transport",
            Self::UdpService => "UDP service",
            Self::TlsOptions => "TLS options",
        })
    }
}
