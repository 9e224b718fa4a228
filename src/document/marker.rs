//! The marker: routers that name the document's revision, so that whoever gets 418 from one knows that this very
//! document is applied.
//!
//! Where the config names a `marker`, there is one on its entrypoint, for every instance to be asked. Else there is one
//! wherever the stacks' own routers are, for a host that nobody has: whoever reaches production can ask there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::json::to_json;
use crate::config::{Config, Stack};

/// The path, before the revision, that the marker's router answers with 418.
pub const MARKER_PATH: &str = "/bluegreen/revision/";

/// The name of the marker's router; of several, the others' names begin with it.
pub const MARKER_ROUTER: &str = "bluegreen-marker";

/// The host of the marker where the config names none. Nobody has it (RFC 2606, section 2).
pub const MARKER_HOST: &str = "bluegreen.invalid";

/// Above whatever priority a service's rule gives its router, and far below the highest that Traefik takes.
const PRIORITY: u32 = 2_000_000_000;

/// Where a marker's router is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Its entrypoints; empty for Traefik's default ones.
    entry_points: Vec<String>,
    /// Whether it is asked over TLS: Traefik does not take such a request to a router without `tls`.
    tls: bool,
    /// The host that its rule wants.
    host: Option<&'static str>,
}

impl Place {
    /// That of the config's own marker, where it has one.
    pub(super) fn configured(config: &Config) -> Option<Self> {
        let marker = config.marker.as_ref()?;
        Some(Self {
            entry_points: vec![marker.entry_point.clone()],
            tls: false,
            host: None,
        })
    }

    /// All of a stack without one: each set of entrypoints that its routers have, with TLS and without, by each scheme by
    /// which production is asked.
    pub(super) fn of_stack(stack: &Stack) -> BTreeSet<Self> {
        let https = |url: &String| url.starts_with("https:");
        let places = stack.services.values().flat_map(|service| {
            let own = service.router.get("entryPoints").and_then(Value::as_array);
            let own = own.map(|own| own.iter().filter_map(Value::as_str).map(str::to_owned));
            let entry_points: Vec<_> =
                own.map_or_else(|| stack.entry_points.clone(), Iterator::collect);
            let urls = stack.production.iter().chain(&service.production.urls);
            let mut schemes: BTreeSet<_> = urls.map(https).collect();
            let has_tls = service.router.contains_key("tls");
            if has_tls || schemes.is_empty() {
                schemes.insert(has_tls);
            }
            schemes.into_iter().map(move |tls| Self {
                entry_points: entry_points.clone(),
                tls,
                host: Some(MARKER_HOST),
            })
        });
        places.collect()
    }
}

/// The names of the marker's routers in the document of a config, at the most.
pub(crate) fn names(config: &Config) -> impl Iterator<Item = String> {
    let places: BTreeSet<_> = config.stacks.values().flat_map(Place::of_stack).collect();
    (0..places.len().max(1)).map(name)
}

fn name(index: usize) -> String {
    match index {
        0 => MARKER_ROUTER.to_owned(),
        _ => format!("{MARKER_ROUTER}-{}", index + 1),
    }
}

/// The routers of a document, as the entries of a JSON object: the pieces between which its revision stands, once in
/// each router.
pub(super) fn pieces(places: &BTreeSet<Place>) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    for (index, place) in places.iter().enumerate() {
        let [before, after] = router(place);
        let comma = if index == 0 { "" } else { "," };
        let begin = format!("{comma}\"{}\":{before}", name(index));
        pieces[index].extend_from_slice(begin.as_bytes());
        pieces.push(after.into_bytes());
    }
    pieces
}

/// The JSON of a router before the revision, and after it.
fn router(place: &Place) -> [String; 2] {
    let entry_points = match &*place.entry_points {
        [] => String::new(),
        names => format!(
            "\"entryPoints\":{},",
            String::from_utf8_lossy(&to_json(&names))
        ),
    };
    let (host, priority) = match place.host {
        Some(host) => (
            format!("Host(`{host}`) && "),
            format!(",\"priority\":{PRIORITY}"),
        ),
        None => Default::default(),
    };
    let tls = if place.tls { ",\"tls\":{}" } else { "" };
    [
        format!("{{{entry_points}\"rule\":\"{host}Path(`{MARKER_PATH}"),
        // Traefik's own service that answers 418 to everything.
        format!("`)\",\"service\":\"noop@internal\"{priority}{tls}}}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// Whether there is a marker without TLS, and one with it.
    fn of(stack: &str, service: &str) -> (bool, bool) {
        let text = format!(
            "stacks: {{ s: {{ {stack} services: {{ a: {{ rule: Host(`a`), {service} \
             servers: {{ blue: http://127.0.0.1:1, green: http://127.0.0.1:2 }} }} }} }} }}"
        );
        let files = vec![("bluegreen.yml".into(), text)];
        let config = config::parse(files, &|_| None).unwrap().config;
        let places = Place::of_stack(&config.stacks["s"]);
        let has = |tls| places.iter().any(|place| place.tls == tls);
        (has(false), has(true))
    }

    #[test]
    fn there_is_a_marker_for_each_scheme_by_which_production_is_asked() {
        let (plain, tls) = ("http://127.0.0.1:80", "https://127.0.0.1:443");
        let production = |url: &str| format!("production: '{url}',");
        let both = format!("production: {{ url: ['{plain}', '{tls}'] }},");
        for (stack, service, expected) in [
            (String::new(), "", (true, false)),
            (String::new(), "router: { tls: {} },", (false, true)),
            (production(plain), "", (true, false)),
            (production(tls), "", (false, true)),
            (production(plain), &*both, (true, true)),
            (String::new(), &*both, (true, true)),
            (production(plain), "router: { tls: {} },", (true, true)),
        ] {
            assert_eq!(of(&stack, service), expected, "{stack} {service}");
        }
    }
}
