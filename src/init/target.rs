//! Targets: which color of which service a router of a dynamic file names, and where its other colors are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use url::Url;

use super::colors;
use super::draft::Said;
use super::matching::Matching;
use super::stacks::{address, sibling};
use super::traefik::{Backend, Dynamic, Route};
use crate::color::Color;

/// What a service of a dynamic file is a color of.
pub(super) struct Target {
    /// The name without the color.
    pub(super) base: String,
    /// The color that it is.
    pub(super) active: Color,
    /// The servers of every color, as far as they are known.
    pub(super) servers: BTreeMap<Color, Vec<Said>>,
    /// The other fields of its load balancer.
    pub(super) fields: Map<String, Value>,
}

impl Matching<'_> {
    /// What a service of a dynamic file is a color of; `used` gets the services that make it up.
    pub(super) fn target(
        &mut self,
        dynamic: &Dynamic,
        name: &str,
        used: &mut BTreeSet<String>,
    ) -> Option<Target> {
        match dynamic.services.get(name)? {
            Backend::Other => None,
            Backend::Weighted(weights) => {
                let (most, _) = weights.iter().max_by_key(|(_, weight)| *weight)?;
                let of = |name: &str| colors::of_name(name, self.colors).map(|(_, base)| base);
                let base = of(most)?;
                if !weights
                    .iter()
                    .all(|(name, _)| of(name).as_ref() == Some(&base))
                {
                    return None;
                }
                let target = self.target(dynamic, most, used)?;
                used.insert(name.to_owned());
                Some(target)
            }
            Backend::Servers(urls, fields) => {
                let named = colors::of_name(name, self.colors).filter(|(_, base)| !base.is_empty());
                let found = self.behind(urls);
                let (base, active) = match (&found, named) {
                    (Some((base, color)), None) => (base.clone(), color.clone()),
                    // The name of the dynamic file is the one that is known to Traefik's users.
                    (found, Some((color, base))) => {
                        let base = found.as_ref().map_or(base, |(base, _)| base.clone());
                        (base, color)
                    }
                    (None, None) => return None,
                };
                let mut servers = BTreeMap::new();
                servers.insert(
                    active.clone(),
                    urls.iter().map(Said::plain).collect::<Vec<_>>(),
                );
                used.insert(name.to_owned());
                for color in self.colors.iter().filter(|color| **color != active) {
                    if let Some(urls) = of_color(dynamic, name, color, self.colors) {
                        servers.insert(color.clone(), urls.iter().map(Said::plain).collect());
                    } else if let Some(urls) = self.siblings(urls, &base, color) {
                        servers.insert(color.clone(), urls);
                    }
                }
                Some(Target {
                    base,
                    active,
                    servers,
                    fields: fields.clone(),
                })
            }
        }
    }

    /// The service and color of the compose files that all these servers are.
    fn behind(&self, urls: &[String]) -> Option<(String, Color)> {
        let mut found = None;
        for url in urls {
            let (_, host, port) = parts(url)?;
            let (base, color, _) = self.groups.find(&host, port)?;
            let this = (base.to_owned(), color.clone());
            if found.as_ref().is_some_and(|found| *found != this) {
                return None;
            }
            found = Some(this);
        }
        found
    }

    /// The servers of another color, by what the compose files say.
    fn siblings(&self, urls: &[String], base: &str, color: &Color) -> Option<Vec<Said>> {
        let other = self.groups.colored.get(base)?.get(color)?;
        let siblings: Option<Vec<_>> = urls
            .iter()
            .map(|url| {
                let (scheme, host, port) = parts(url)?;
                let (base, known, way) = self.groups.find(&host, port)?;
                let known = &self.groups.colored[base][known];
                sibling(way, (&scheme, &host, port), known, other)
            })
            .collect();
        siblings
            .filter(|urls| !urls.is_empty())
            .or_else(|| address(other, &self.named(base, color)).map(|a| vec![a.url]))
    }
}

/// The color that most routers of the dynamic files name, and the file that says so.
pub(super) fn active<'a>(
    switched: &[(Route, Target, &'a str)],
    colors: &[Color],
) -> Option<(Color, &'a str)> {
    let count = |color: &Color| {
        switched
            .iter()
            .filter(|(_, t, _)| t.active == *color)
            .count()
    };
    // Of equals the first counts.
    let most = colors.iter().rev().max_by_key(|color| count(color))?;
    let (_, _, file) = switched.iter().find(|(_, t, _)| t.active == *most)?;
    Some((most.clone(), file))
}

/// The servers of the service of the same name in another color.
fn of_color<'a>(
    dynamic: &'a Dynamic,
    name: &str,
    color: &Color,
    colors: &[Color],
) -> Option<&'a Vec<String>> {
    let (_, base) = colors::of_name(name, colors)?;
    dynamic
        .services
        .iter()
        .find_map(|(other, backend)| match backend {
            Backend::Servers(urls, _) if !urls.is_empty() => {
                let found = colors::of_name(other, colors)?;
                (found == (color.clone(), base.clone())).then_some(urls)
            }
            _ => None,
        })
}

/// Scheme, host and port of a URL.
fn parts(url: &str) -> Option<(String, String, Option<u16>)> {
    let url = Url::parse(url).ok()?;
    // `h2c` is no scheme that has a host of its own for the parser.
    Some((
        url.scheme().to_owned(),
        url.host_str()?.to_owned(),
        url.port_or_known_default(),
    ))
}
