//! Dead servers: those that do not answer, and are left out of the document for that.
//!
//! Every reload makes Traefik build its load balancers anew, with all servers up until its own next health check. What
//! is not in the document it never tries.

use std::collections::{BTreeMap, BTreeSet};

use crate::color::Color;
use crate::config::{Servers, Service, Stack};
use crate::traffic::Traffic;

/// Servers of a stack that are dead: their URLs by service.
pub type Dead = BTreeMap<String, BTreeSet<String>>;

/// Servers that are left out of a stack's part of the document.
pub type LeftOut = BTreeSet<Server>;

/// A server of a color of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// The service.
    pub service: String,
    /// The color.
    pub color: Color,
    /// Its URL.
    pub url: String,
}

/// Which servers are left out of a stack with this traffic. Of a color that has none nobody is: nothing is sent there,
/// and what is being taken apart would change the document again and again. Where all of several are dead, none is left
/// out: there has to be one, and nobody knows which.
pub fn left_out(stack: &Stack, traffic: &Traffic, dead: &Dead) -> LeftOut {
    let mut left_out = LeftOut::new();
    for (name, service) in &stack.services {
        let Some(dead) = dead.get(name).filter(|_| service.leaves_out_dead) else {
            continue;
        };
        for (color, servers) in &service.servers {
            let Servers::Urls(urls) = servers else {
                continue;
            };
            let is_dead = |url: &&String| dead.contains(*url);
            if traffic.weight(color) == 0 || urls.iter().all(|url| is_dead(&url)) {
                continue;
            }
            left_out.extend(urls.iter().filter(is_dead).map(|url| Server {
                service: name.clone(),
                color: color.clone(),
                url: url.clone(),
            }));
        }
    }
    left_out
}

/// The servers of a service that are to be asked whether they are dead: those of a color that has several.
pub fn asked(service: &Service) -> BTreeSet<&String> {
    let several = service.servers.values().filter(|servers| match servers {
        Servers::Urls(urls) => urls.len() > 1,
        Servers::Reference(_) => false,
    });
    several.flat_map(Servers::asked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(service: &str) -> Stack {
        let text = format!(
            "stacks: {{ s: {{ services: {{ api: {{ rule: Host(`a`), health: /health, {service} servers: {{ \
             blue: ['http://b:1', 'http://b:2', 'http://b:3'], green: ['http://g:1', 'http://g:2'] }} }} }} }} }}"
        );
        let files = vec![("bluegreen.yml".into(), text)];
        let loaded = crate::config::parse(files, &|_| None).unwrap();
        loaded.config.stacks["s"].clone()
    }

    fn of(stack: &Stack, traffic: &str, dead: &[&str]) -> Vec<String> {
        let traffic = Traffic::parse(traffic.as_bytes(), &stack.colors).unwrap();
        let dead = dead.iter().map(ToString::to_string).collect();
        let dead = Dead::from([("api".to_owned(), dead)]);
        let left_out = left_out(stack, &traffic, &dead);
        left_out.into_iter().map(|server| server.url).collect()
    }

    #[test]
    fn a_dead_one_of_several_is_left_out_and_never_the_last() {
        let stack = stack("leaveOutDead: true,");
        for (traffic, dead, out) in [
            ("blue", &[][..], &[][..]),
            ("blue", &["http://b:2"], &["http://b:2"]),
            (
                "blue",
                &["http://b:2", "http://b:1"],
                &["http://b:1", "http://b:2"],
            ),
            ("blue", &["http://b:2", "http://b:1", "http://b:3"], &[]),
            ("blue", &["http://g:1", "http://c:1"], &[]),
            ("green", &["http://g:1", "http://b:1"], &["http://g:1"]),
            (
                "blue:9,green:1",
                &["http://g:1", "http://b:1"],
                &["http://b:1", "http://g:1"],
            ),
            (
                "blue:9,green:1",
                &["http://g:1", "http://g:2", "http://b:1"],
                &["http://b:1"],
            ),
        ] {
            assert_eq!(of(&stack, traffic, dead), out, "{traffic} {dead:?}");
        }
    }

    #[test]
    fn nobody_is_left_out_unasked() {
        assert!(of(&stack(""), "blue", &["http://b:2"]).is_empty());
        let stack = stack("leaveOutDead: true,");
        assert_eq!(asked(&stack.services["api"]).len(), 5);
    }
}
