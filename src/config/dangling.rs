//! Dangling references: names in the config that nothing in the document would define, or that one color takes along.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::findings::{listed, nearest};
use super::lifetime::lifetime;
use super::node::{Content, Node};
use super::path::{Path, Step};
use super::resolve::Resolver;
use super::{Config, Servers};
use crate::color::Color;
use crate::traefik::references::{self, unresolved};

/// What the name of a service of our own document ends with, for Traefik.
const OWN: &str = "@http";

/// Checks that everything that the verbatim parts and the servers refer to exists.
pub(super) fn check(config: &Config, resolver: &mut Resolver<'_>) {
    let mut skeleton = Skeleton::of(config);
    skeleton.add_unread(config, resolver.written);
    own_services(config, &skeleton, resolver);
    let document = Value::Object(std::mem::take(&mut skeleton.document));
    for reference in references::references(&document) {
        let Some(lifetime) = lifetime(&reference.name, config) else {
            continue;
        };
        let path = skeleton.origin(&reference.path);
        let (kind, name) = (reference.kind, resolver.shown(&path, &reference.name));
        let span = resolver.tree.value_span(&path);
        resolver
            .findings
            .warning(span, &path, format!("the {kind} `{name}` {lifetime}"))
            .hint("define it below `traefik:`, where it stays whichever color runs, and name it without its provider");
    }
    for (reference, meant) in unresolved(&document) {
        let path = skeleton.origin(&reference.path);
        let (kind, name) = (reference.kind, resolver.shown(&path, &reference.name));
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("define it below `traefik`, or name its provider: `{name}@docker`"),
        };
        resolver
            .error_at_value(&path, format!("the {kind} `{name}` does not exist"))
            .hint(hint);
    }
}

/// Checks the servers that are given as `name@http`.
fn own_services(config: &Config, skeleton: &Skeleton, resolver: &mut Resolver<'_>) {
    for (stack_name, stack) in &config.stacks {
        for (service_name, service) in &stack.services {
            for (color, servers) in &service.servers {
                let Servers::Reference(reference) = servers else {
                    continue;
                };
                let Some(name) = reference.strip_suffix(OWN) else {
                    continue;
                };
                let services = skeleton.http("services");
                let names = || {
                    services
                        .into_iter()
                        .flatten()
                        .map(|(name, _)| name.as_str())
                };
                if names().any(|known| known == name) {
                    continue;
                }
                let keys = ["stacks", stack_name, "services", service_name, "servers"];
                let path = Path::of(&keys).key(color.as_str());
                let hint = match nearest(name, names()) {
                    Some(meant) => format!("did you mean `{meant}{OWN}`?"),
                    None => format!("this document has {}", listed(names().take(16))),
                };
                let written = resolver.shown(&path, reference);
                resolver
                    .error_at_value(
                        &path,
                        format!("the HTTP service `{written}` does not exist"),
                    )
                    .hint(hint);
            }
        }
    }
}

/// The document as far as its names go, and where the generated parts come from.
struct Skeleton {
    document: Map<String, Value>,
    /// The path in the config of the verbatim part, by the part of the document and the generated name.
    origins: HashMap<(&'static str, String), Path>,
}

impl Skeleton {
    fn of(config: &Config) -> Self {
        let mut skeleton = Self {
            document: config.traefik.clone(),
            origins: HashMap::new(),
        };
        for (stack_name, stack) in &config.stacks {
            for (service_name, service) in &stack.services {
                let path = Path::of(&["stacks", stack_name, "services", service_name]);
                let name = format!("{stack_name}-{service_name}");
                let router = service.router.clone().into();
                skeleton.add("routers", &name, router, path.key("router"));
                for (color, servers) in &service.servers {
                    if matches!(servers, Servers::Urls(_)) {
                        let name = format!("{name}-{color}");
                        let service = json!({ "loadBalancer": service.load_balancer });
                        skeleton.add("services", &name, service, path.clone());
                    }
                }
            }
        }
        skeleton
    }

    /// Adds the names of what has a mistake in it: it is there, only not good yet.
    fn add_unread(&mut self, config: &Config, written: &Node) {
        let keys = |node: Option<&Node>| match node.map(|node| &node.content) {
            Some(Content::Map(entries)) => entries.iter().map(|e| e.key.clone()).collect(),
            _ => Vec::new(),
        };
        for protocol in ["http", "tcp", "udp", "tls"] {
            let path = Path::of(&["traefik", protocol]);
            for map in keys(written.at(&path)) {
                for name in keys(written.at(&path.key(&map))) {
                    define(&mut self.document, protocol, &map, &name);
                }
            }
        }
        let stacks = Path::of(&["stacks"]);
        for stack in keys(written.at(&stacks)) {
            let colors = match config.stacks.get(&stack) {
                Some(stack) => stack.colors.iter().map(Color::to_string).collect(),
                None => vec!["blue".to_owned(), "green".to_owned()],
            };
            let services = stacks.key(&stack).key("services");
            for service in keys(written.at(&services)) {
                let read = config
                    .stacks
                    .get(&stack)
                    .and_then(|s| s.services.get(&service));
                if read.is_none() {
                    for color in &colors {
                        let name = format!("{stack}-{service}-{color}");
                        define(&mut self.document, "http", "services", &name);
                    }
                }
            }
        }
    }

    fn add(&mut self, part: &'static str, name: &str, value: Value, origin: Path) {
        if let Some(place) = define(&mut self.document, "http", part, name) {
            *place = value;
        }
        self.origins.insert((part, name.to_owned()), origin);
    }

    fn http(&self, part: &str) -> Option<&Map<String, Value>> {
        self.document.get("http")?.get(part)?.as_object()
    }

    /// The path in the config of a path in the document.
    fn origin(&self, path: &[references::Step]) -> Path {
        let (mut origin, mut rest) = (Path::of(&["traefik"]), path);
        if let [
            references::Step::Key(http),
            references::Step::Key(part),
            references::Step::Key(name),
            inner @ ..,
        ] = path
            && http == "http"
        {
            let part = if part == "routers" {
                "routers"
            } else {
                "services"
            };
            if let Some(path) = self.origins.get(&(part, name.clone())) {
                (origin, rest) = (path.clone(), inner);
            }
        }
        for step in rest {
            origin = origin.step(match step {
                references::Step::Key(key) => Step::Key(key.clone()),
                references::Step::Index(index) => Step::Index(*index),
            });
        }
        origin
    }
}

/// Makes sure that a document defines a name; gives what it stands for.
fn define<'a>(
    document: &'a mut Map<String, Value>,
    protocol: &str,
    map: &str,
    name: &str,
) -> Option<&'a mut Value> {
    let protocol = document.entry(protocol).or_insert_with(|| json!({}));
    let map = protocol
        .as_object_mut()?
        .entry(map)
        .or_insert_with(|| json!({}));
    Some(
        map.as_object_mut()?
            .entry(name)
            .or_insert_with(|| json!({})),
    )
}
