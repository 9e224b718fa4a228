//! The kinds of things that names in a dynamic configuration refer to, and where they are defined.

use std::fmt;

use serde_json::Value;

/// The name of the TLS options that Traefik always has. They belong to no provider.
const DEFAULT_TLS_OPTIONS: &str = "default";

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
    pub(super) fn defined(self, document: &Value) -> Vec<&str> {
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
    pub(super) fn is_defined(self, name: &str, defined: &[&str]) -> bool {
        match name.rsplit_once('@') {
            None => defined.contains(&name),
            Some((own, "http")) => {
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

/// The value of a key, in whatever case it is written: Traefik does not mind.
fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let mut entries = value.as_object()?.iter();
    entries.find_map(|(k, v)| k.eq_ignore_ascii_case(key).then_some(v))
}
