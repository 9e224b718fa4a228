//! Shares of the document: which stacks are in one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Parts, preview};
use crate::config::{Config, Stack};
use crate::traefik::references::unresolved;
use crate::traffic::Traffic;

/// The stacks of a share: those that are asked for, and those whose services something in it refers to. Verbatim parts are
/// in every share, and Traefik disables a router whose service is not there.
pub(crate) fn stacks(config: &Config, asked: &BTreeSet<String>) -> BTreeSet<String> {
    let mut stacks = asked.clone();
    loop {
        let missing = missing(config, &stacks);
        if missing.is_empty() {
            return stacks;
        }
        stacks.extend(missing);
    }
}

/// The stacks to which a document of these refers, whatever their traffic, and that are not in it.
fn missing(config: &Config, stacks: &BTreeSet<String>) -> BTreeSet<String> {
    let known = stacks
        .iter()
        .filter_map(|name| config.stacks.get_key_value(name));
    let every = |stack: &Stack| Traffic::evenly(&stack.colors);
    let traffic: BTreeMap<_, _> = known
        .map(|(name, stack)| (name.clone(), every(stack)))
        .collect();
    let those = |name: &str| stacks.contains(name);
    let all = BTreeMap::new();
    let document = Parts::default().render_those(config, &those, &traffic, &all, None);
    let document: Value = serde_json::from_slice(&document.bytes).unwrap_or_default();
    let unresolved = unresolved(&document).into_iter();
    let owners = unresolved.filter_map(|(reference, _)| owner(config, &reference.name));
    owners.filter(|name| !stacks.contains(name)).collect()
}

/// The stack for which a name is generated.
fn owner(config: &Config, name: &str) -> Option<String> {
    let name = name.strip_suffix("@http").unwrap_or(name);
    let generates = |(stack_name, stack): &(&String, &Stack)| {
        stack.services.keys().any(|service| {
            let base = format!("{stack_name}-{service}");
            name == base
                || name == preview::of_entry_point(&base)
                || stack.colors.iter().any(|color| {
                    name == format!("{base}-{color}") || name == preview::of_color(&base, color)
                })
        })
    };
    let (owner, _) = config.stacks.iter().find(generates)?;
    Some(owner.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn of(asked: &[&str], more: &str) -> Vec<String> {
        let stack = |name: &str, blue: &str| {
            format!(
                "  {name}: {{ key: {name}, services: {{ web: {{ rule: 'Host(`{name}.localhost`)', \
                 servers: {{ blue: '{blue}', green: 'http://127.0.0.1:2' }} }} }} }}\n"
            )
        };
        let (plain, other) = ("http://127.0.0.1:1", "b-web-green@http");
        let text = format!(
            "stacks:\n{}{}{}{more}",
            stack("a", plain),
            stack("b", plain),
            stack("c", other)
        );
        let file = ("bluegreen.yml".into(), text);
        let config = parse(vec![file], &|_| None).unwrap().config;
        let asked = asked.iter().map(ToString::to_string).collect();
        stacks(&config, &asked).into_iter().collect()
    }

    #[test]
    fn a_share_has_what_is_asked_for_and_what_that_refers_to() {
        assert_eq!(of(&["a"], ""), ["a"]);
        assert_eq!(of(&["c"], ""), ["b", "c"]);
        assert_eq!(of(&["a", "c"], ""), ["a", "b", "c"]);
    }

    #[test]
    fn a_verbatim_part_brings_what_it_refers_to_into_every_share() {
        let errors = "traefik: { http: { middlewares: { sorry: { errors: { status: ['500'], service: c-web-green, \
                      query: / } } } } }\n";
        let mirror =
            "traefik: { http: { services: { both: { mirroring: { service: b-web-blue } } } } }\n";
        assert_eq!(of(&["a"], mirror), ["a", "b"]);
        assert_eq!(of(&["b"], mirror), ["b"]);
        assert_eq!(of(&["a"], errors), ["a", "b", "c"], "and c refers to b");
    }
}
