//! What refers to what in a dynamic configuration, and which names nothing defines.
//!
//! A name without a provider is one of the same provider, `http`; `name@docker` is defined elsewhere and
//! `noop@internal` by Traefik itself. Entrypoints and certificate resolvers are part of Traefik's static
//! configuration and cannot be checked.

use serde_json::Value;

pub use super::kind::Kind;

/// One step on the way to a value in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value of an object's key.
    Key(String),
    /// The entry of a list, counted from 0.
    Index(usize),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The way of a reference, as `http.routers.x`.
    fn way(reference: &Reference) -> String {
        let steps = reference.path.iter().map(|step| match step {
            Step::Key(key) => key.clone(),
            Step::Index(index) => index.to_string(),
        });
        steps.collect::<Vec<_>>().join(".")
    }

    fn names(document: &Value) -> Vec<(String, Option<String>)> {
        let unresolved = unresolved(document).into_iter();
        unresolved.map(|(r, hint)| (r.name, hint)).collect()
    }

    /// A document with one router whose fields are these, a middleware and a service.
    fn with_router(router: Value) -> Value {
        json!({ "http": {
            "routers": { "r": router },
            "services": { "deals-api-green": { "loadBalancer": {} } },
            "middlewares": { "compress": { "compress": {} } },
        } })
    }

    #[test]
    fn every_place_is_found_with_its_kind() {
        for (place, kind) in PLACES {
            let place = place.replace(".services.*.name", ".services.0.name");
            let place = place
                .replace("mirrors.*", "mirrors.0")
                .replace("s.*.", "s.x.");
            let value = match place.strip_suffix(".*") {
                Some(_) => json!(["a"]),
                None => json!("a"),
            };
            let steps = place.trim_end_matches(".*").rsplit('.');
            let document = steps.fold(value, |value, step| match step {
                "0" => json!([value]),
                key => json!({ key: value }),
            });
            let found = references(&document);
            assert_eq!(found.len(), 1, "{document}");
            assert_eq!(way(&found[0]), place.replace(".*", ".0"));
            assert_eq!((found[0].kind, found[0].name.as_str()), (kind, "a"));
            assert_eq!(unresolved(&document).len(), 1, "{document}");
        }
    }

    #[test]
    fn a_name_that_nothing_defines_comes_with_the_nearest_one() {
        let router = json!({ "service": "deals-api-gren", "middlewares": ["compres", "other"] });
        let hint = |name: &str| Some(name.to_owned());
        let expected = [
            ("deals-api-gren".to_owned(), hint("deals-api-green")),
            ("compres".to_owned(), hint("compress")),
            ("other".to_owned(), None),
        ];
        assert_eq!(names(&with_router(router)), expected);
    }

    #[test]
    fn a_name_of_another_provider_is_not_ours_to_judge() {
        for name in [
            "noop@internal",
            "api@docker",
            "deals-api-green@http",
            "deals-api-green",
        ] {
            assert_eq!(
                names(&with_router(json!({ "service": name }))),
                [],
                "{name}"
            );
        }
        // Traefik looks for all of it, among its own.
        let doubled = json!({ "service": "api@docker@http" });
        assert_eq!(names(&with_router(doubled)).len(), 1);
        let found = names(&with_router(json!({ "service": "deals-api-blue@http" })));
        let hint = Some("deals-api-green".to_owned());
        assert_eq!(found, [("deals-api-blue@http".to_owned(), hint)]);
    }

    #[test]
    fn the_default_tls_options_are_always_there_but_not_as_ours() {
        let tls = |name: &str| json!({ "tls": { "options": name } });
        assert_eq!(names(&with_router(tls("default"))), []);
        let mut document = with_router(tls("default@http"));
        document["tls"] = json!({ "options": { "default": {}, "modern": {} } });
        assert_eq!(names(&document).len(), 1);
        document["http"]["routers"]["r"] = tls("modern@http");
        assert_eq!(names(&document), []);
    }

    #[test]
    fn a_list_may_be_one_string_and_a_key_in_any_case() {
        let document = with_router(json!({ "Middlewares": "compress, gzip", "parentrefs": ["p"] }));
        let found = unresolved(&document);
        let places: Vec<_> = found
            .iter()
            .map(|(r, _)| (way(r), r.name.as_str()))
            .collect();
        let middlewares = "http.routers.r.Middlewares".to_owned();
        let parents = "http.routers.r.parentrefs.0".to_owned();
        assert_eq!(places, [(middlewares, "gzip"), (parents, "p")]);
    }

    #[test]
    fn the_same_name_in_another_part_is_another_thing() {
        let document = json!({
            "tcp": { "routers": { "r": { "service": "s" } } },
            "udp": { "routers": { "r": { "service": "s" } }, "services": { "s": {} } },
        });
        let found = unresolved(&document);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.kind.to_string(), "TCP service");
    }
}
