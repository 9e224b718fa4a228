//! Names: those that are generated for the document may not collide, with each other or with verbatim ones.

use std::collections::HashMap;

use super::findings::shown;
use super::path::Path;
use super::resolve::Resolver;
use super::{Config, Preview, Servers};
use crate::document::{marker, preview};

/// Checks that no name in the document has two meanings.
pub(super) fn check(config: &Config, resolver: &mut Resolver<'_>) {
    let mut taken: HashMap<(&str, String), Path> = HashMap::new();
    for name in marker::names(config) {
        taken.insert(("routers", name), Path::of(&["marker"]));
    }
    for part in ["routers", "services"] {
        let top = Path::of(&["traefik", "http", part]);
        let names = config.traefik.get("http").and_then(|http| http.get(part));
        for (name, _) in names.and_then(|n| n.as_object()).into_iter().flatten() {
            let path = top.key(name);
            if taken.contains_key(&(part, name.clone())) {
                let message = format!("the router `{}` is one that bluegreen makes", shown(name));
                resolver.error(&path, message).hint("rename it");
            }
            taken.insert((part, name.clone()), path);
        }
    }
    for (stack_name, stack) in &config.stacks {
        for (service_name, service) in &stack.services {
            let path = Path::of(&["stacks", stack_name, "services", service_name]);
            let name = format!("{stack_name}-{service_name}");
            // Traffic with weights makes a service of the router's name too.
            let mut claims = vec![("routers", name.clone()), ("services", name.clone())];
            if let Some(Preview {
                header,
                entry_point,
                ..
            }) = &stack.preview
            {
                if entry_point.is_some() {
                    claims.push(("routers", preview::of_entry_point(&name)));
                }
                for color in stack.colors.iter().filter(|_| header.is_some()) {
                    claims.push(("routers", preview::of_color(&name, color)));
                }
            }
            for (color, servers) in &service.servers {
                if matches!(servers, Servers::Urls(_)) {
                    claims.push(("services", format!("{name}-{color}")));
                }
            }
            let collision = claims
                .iter()
                .find_map(|claim| taken.get_key_value(claim).filter(|(_, by)| **by != path));
            if let Some(((part, name), by)) = collision {
                let other = resolver.tree.key_span(by);
                let kind = part.trim_end_matches('s');
                let name = shown(name);
                resolver
                    .error(&path, format!("the {kind} `{name}` that is generated for this exists already, as `{by}`"))
                    .hint("rename one of the two")
                    .other(other);
            }
            for claim in claims {
                taken.entry(claim).or_insert_with(|| path.clone());
            }
        }
    }
}
