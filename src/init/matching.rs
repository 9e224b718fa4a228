//! Matching: the services of the compose files and the routers of Traefik's, brought together as a draft.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use url::Url;

use super::Notes;
use super::colors;
use super::compose;
use super::draft::{Draft, Said, Service};
use super::edge::Edge;
use super::labels::Labels;
use super::stacks::{Group, Groups, Named, address, sibling};
use super::traefik::{Backend, Dynamic, Route, field};
use super::write::UNKNOWN;
use crate::color::Color;

/// What a service of a dynamic file is a color of.
struct Target {
    base: String,
    active: Color,
    servers: BTreeMap<Color, Vec<Said>>,
    fields: Map<String, Value>,
}

/// What is matched with what.
pub(super) struct Matching<'a> {
    /// The colors.
    pub(super) colors: &'a [Color],
    /// The name of the stack.
    pub(super) stack: &'a str,
    /// The services of the compose files.
    pub(super) groups: &'a Groups,
    /// Traefik.
    pub(super) edge: &'a Edge,
    /// The dynamic files.
    pub(super) dynamics: &'a [Dynamic],
    /// What is worth telling.
    pub(super) notes: &'a mut Notes,
}

impl Matching<'_> {
    /// Adds the services, and what the files have beside them; gives what containers are reached by, for each variable.
    pub(super) fn services(&mut self, draft: &mut Draft) -> Vec<(String, String)> {
        let mut routed: BTreeSet<String> = BTreeSet::new();
        // The color of each file's routers: the first color is the one that has the traffic.
        let mut switched: Vec<(Route, Target, &str)> = Vec::new();
        let dynamics = self.dynamics;
        for dynamic in dynamics {
            let mut used: BTreeSet<String> = BTreeSet::new();
            let mut verbatim: Vec<&Route> = Vec::new();
            for route in &dynamic.routes {
                match self.target(dynamic, &route.service, &mut used) {
                    Some(target) => switched.push((route.clone(), target, &dynamic.file)),
                    None => verbatim.push(route),
                }
            }
            self.verbatim(dynamic, &verbatim, &used, draft);
        }
        let active = active(&switched, self.colors);
        if let Some((color, file)) = &active {
            draft.colors.sort_by_key(|c| c != color);
            if self.colors.first() != Some(color) {
                draft.first = Some(format!("{color} first: {file} sends the traffic there"));
            }
        }
        let mut aside: Vec<(Route, Target)> = Vec::new();
        for (route, target, file) in switched {
            if active
                .as_ref()
                .is_some_and(|(color, _)| *color != target.active)
            {
                aside.push((route, target));
                continue;
            }
            routed.insert(target.base.clone());
            self.routed(route, target, file, draft);
        }
        self.aside(aside, draft);
        self.unrouted(&routed, draft)
    }

    /// What a service of a dynamic file is a color of; `used` gets the services that make it up.
    fn target(
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
                    if let Some((other, urls)) = of_color(dynamic, name, color, self.colors) {
                        used.insert(other.clone());
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

    /// Adds a service of the stack for a router.
    fn routed(&mut self, route: Route, target: Target, file: &str, draft: &mut Draft) {
        let Target {
            base,
            active,
            servers,
            fields,
        } = target;
        let name = self.name(&base, &route.name, draft);
        let missing: Vec<_> = self
            .colors
            .iter()
            .filter(|c| !servers.contains_key(*c))
            .collect();
        let off = missing
            .first()
            .map(|color| format!("only in {active}: no file says where {base} is in {color}"));
        let group = self.groups.colored.get(&base);
        let asked = field(&fields, "healthCheck").and_then(Value::as_object);
        let asked = asked.and_then(|check| field(check, "path")?.as_str());
        let health = match asked.filter(|path| path.starts_with('/')) {
            Some(path) => Some(Said::plain(path)),
            None => group.and_then(health),
        };
        let rule = match route.rule.as_str() {
            "" => placeholder(&name),
            rule => Said::plain(rule),
        };
        if let Some(off) = &off {
            self.notes
                .add(format!("{file}: `{}` is commented out: {off}", route.name));
        }
        draft.services.push(Service {
            name,
            off,
            rule,
            servers,
            health,
            entry_points: route.entry_points,
            router: route.fields,
            load_balancer: fields,
        });
    }

    /// Adds the services that no dynamic file routes: by their labels, or with a rule to be filled in.
    fn unrouted(&mut self, routed: &BTreeSet<String>, draft: &mut Draft) -> Vec<(String, String)> {
        let mut names = Vec::new();
        let groups = self.groups;
        let of_group = |group: &Group| group.values().next().map(Labels::of).unwrap_or_default();
        let labelled = groups
            .colored
            .values()
            .any(|group| !of_group(group).routes.is_empty());
        let elsewhere = match (self.dynamics.first(), labelled) {
            (Some(dynamic), _) if !routed.is_empty() => {
                Some(format!("{} has no router for it", dynamic.file))
            }
            (_, true) => Some("its labels have no router".to_owned()),
            _ => None,
        };
        for (base, group) in groups
            .colored
            .iter()
            .filter(|(base, _)| !routed.contains(*base))
        {
            let mut labels = self.labels(base, group);
            let mut servers = BTreeMap::new();
            for (color, service) in group {
                let Some(address) = address(service, &self.named(base, color)) else {
                    continue;
                };
                let mut url = address.url;
                if let (true, Some((here, by_name))) = (self.edge.in_container, &address.reached)
                    && !here.contains('$')
                {
                    let variable = variable(base, color);
                    url.value = url.value.replace(here, &format!("${{{variable}:-{here}}}"));
                    url.comment = Some(format!("in its network: {by_name}"));
                    names.push((variable, by_name.clone()));
                }
                servers.insert(color.clone(), vec![url]);
            }
            if servers.is_empty() {
                self.notes.add(format!(
                    "`{base}` is left out: it has no port that Traefik could send requests to"
                ));
                continue;
            }
            let missing = self
                .colors
                .iter()
                .find(|color| !servers.contains_key(*color));
            let off = match missing {
                Some(color) => {
                    let (has, file) = group
                        .iter()
                        .next()
                        .map(|(c, s)| (c.to_string(), s.file.clone()))
                        .unwrap_or_default();
                    match group.get(color) {
                        Some(_) => Some(format!("it has no port in {color}")),
                        None => Some(format!(
                            "only in {has} ({file}); a flip moves every service of the stack"
                        )),
                    }
                }
                None if labels.routes.is_empty() => elsewhere.clone(),
                None => None,
            };
            if let Some(off) = &off {
                self.notes.add(format!("`{base}` is commented out: {off}"));
            }
            let health = labels
                .health
                .take()
                .filter(|path| path.starts_with('/'))
                .map(Said::plain);
            let health = health.or_else(|| self::health(group));
            let mut routes = std::mem::take(&mut labels.routes);
            if routes.is_empty() {
                routes.push(Route::default());
            }
            for route in routes {
                let name = self.name(base, &route.name, draft);
                let rule = match route.rule.as_str() {
                    "" => placeholder(&name),
                    rule => self.rule(rule, &route, group),
                };
                draft.services.push(Service {
                    name,
                    off: off.clone(),
                    rule,
                    servers: servers.clone(),
                    health: health.clone(),
                    entry_points: route.entry_points,
                    router: route.fields,
                    load_balancer: Map::new(),
                });
            }
        }
        let used = |variable: &str| {
            let variable = format!("${{{variable}:-");
            draft.on().any(|s| {
                s.servers
                    .values()
                    .flatten()
                    .any(|url| url.value.contains(&variable))
            })
        };
        names.retain(|(variable, _)| used(variable));
        names
    }

    /// The labels of the first color that has a router; what they say that is not taken is noted.
    fn labels(&mut self, base: &str, group: &Group) -> Labels {
        let mut found = Labels::default();
        for service in group.values() {
            let labels = Labels::of(service);
            if !labels.left.is_empty() {
                self.notes.add(format!(
                    "`{base}`: these labels are not taken: {}",
                    labels.left.join(", ")
                ));
            }
            if found.routes.is_empty() && !labels.routes.is_empty() {
                found = labels;
                break;
            }
            found = labels;
        }
        found
    }

    /// The rule of a label, with those of the other colors beside it where they differ.
    fn rule(&self, rule: &str, route: &Route, group: &Group) -> Said {
        let plain = |name: &str| {
            colors::of_name(name, self.colors).map_or_else(|| name.to_owned(), |(_, rest)| rest)
        };
        let other = group.iter().find_map(|(color, service)| {
            let routes = Labels::of(service).routes;
            let same = routes
                .into_iter()
                .find(|r| plain(&r.name) == plain(&route.name))?;
            (same.rule != rule).then(|| format!("in {color} the label is {}", same.rule))
        });
        let mut unset = group.values().flat_map(|service| &service.unset);
        let unset = unset.find(|variable| rule.contains(&format!("${{{variable}:-")));
        let unset = unset.map(|variable| format!("{UNKNOWN}: {variable} has no value there"));
        Said {
            value: rule.to_owned(),
            comment: unset.or(other),
        }
    }

    /// What containers of its network call a color of a service.
    fn named(&self, base: &str, color: &Color) -> Named {
        let group = self.groups.colored.get(base);
        let name = group.and_then(|group| group.get(color));
        let name = name.map_or(base, |service| service.name.as_str());
        let same = |service: &&compose::Service| service.name == *name;
        let alone = group.is_none_or(|group| group.values().filter(same).count() == 1);
        let project = self
            .groups
            .projects
            .get(color)
            .filter(|project| !project.contains('$'));
        let container = |project: &str| format!("{project}-{name}-1");
        Named {
            sure: match project {
                _ if alone => Some(name.to_owned()),
                project => project.map(|project| container(project)),
            },
            usual: container(&format!("{}-{color}", self.stack)),
        }
    }

    /// A name for a service that no other has: that of the service, else that of its router.
    fn name(&self, base: &str, route: &str, draft: &Draft) -> String {
        let route =
            colors::of_name(route, self.colors).map_or_else(|| route.to_owned(), |(_, rest)| rest);
        let numbered = (2..).map(|n| format!("{base}-{n}"));
        let candidates = [base.to_owned(), route].into_iter().chain(numbered);
        let mut names = candidates.map(|name| valid_name(&name));
        let free =
            |name: &String| !name.is_empty() && !draft.services.iter().any(|s| s.name == *name);
        names.find(free).unwrap_or_default()
    }

    /// Routers that always show one color: they go on doing so.
    fn aside(&mut self, routes: Vec<(Route, Target)>, draft: &mut Draft) {
        for (route, target) in routes {
            let stack = &draft.stack.value;
            let Some(service) = draft.on().find(|s| valid_name(&target.base) == s.name) else {
                self.notes.add(format!(
                    "the router `{}` to {} is left out",
                    route.name, target.active
                ));
                continue;
            };
            let mut fields = route.fields;
            fields.insert("rule".to_owned(), route.rule.into());
            let name = format!("{stack}-{}-{}", service.name, target.active);
            fields.insert("service".to_owned(), name.into());
            if !route.entry_points.is_empty() {
                fields.insert("entryPoints".to_owned(), route.entry_points.into());
            }
            self.notes.add(format!(
                "the router `{}` goes on showing {}",
                route.name, target.active
            ));
            insert(
                &mut draft.traefik,
                &["http", "routers", &route.name],
                fields.into(),
            );
        }
    }

    /// Copies what of a dynamic file is not switched.
    fn verbatim(
        &mut self,
        dynamic: &Dynamic,
        routes: &[&Route],
        used: &BTreeSet<String>,
        draft: &mut Draft,
    ) {
        merge(&mut draft.traefik, &dynamic.rest);
        for route in routes {
            if let Some(router) = dynamic.written_routes.get(&route.name) {
                insert(
                    &mut draft.traefik,
                    &["http", "routers", &route.name],
                    router.clone(),
                );
                self.notes.add(format!(
                    "{}: the router `{}` is copied as it is: its service has no color",
                    dynamic.file, route.name
                ));
            }
        }
        let colored = |name: &str| colors::of_name(name, self.colors).is_some();
        for (name, service) in &dynamic.written_services {
            let referred = routes.iter().any(|route| route.service == *name);
            if referred || !used.contains(name) && !colored(name) {
                insert(
                    &mut draft.traefik,
                    &["http", "services", name],
                    service.clone(),
                );
            }
        }
        if let Some(tls) = dynamic.rest.get("tls")
            && tls
                .pointer("/stores/default/defaultCertificate")
                .or(tls.pointer("/stores/default/defaultGeneratedCert"))
                .is_some()
        {
            draft.certificate = Some(dynamic.file.clone());
        }
    }
}

/// The color that most routers of the dynamic files name, and the file that says so.
fn active<'a>(switched: &[(Route, Target, &'a str)], colors: &[Color]) -> Option<(Color, &'a str)> {
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

/// The service of the same name in another color, and its servers.
fn of_color<'a>(
    dynamic: &'a Dynamic,
    name: &str,
    color: &Color,
    colors: &[Color],
) -> Option<(&'a String, &'a Vec<String>)> {
    let (_, base) = colors::of_name(name, colors)?;
    dynamic
        .services
        .iter()
        .find_map(|(other, backend)| match backend {
            Backend::Servers(urls, _) if !urls.is_empty() => {
                let found = colors::of_name(other, colors)?;
                (found == (color.clone(), base.clone())).then_some((other, urls))
            }
            _ => None,
        })
}

/// The health path of the first color that has one.
fn health(group: &Group) -> Option<Said> {
    let mut paths = group
        .iter()
        .filter_map(|(color, service)| Some((color, &service.health.as_ref()?.path)));
    let (_, path) = paths.next()?;
    let other = paths.find(|(_, other)| *other != path);
    Some(Said {
        value: super::variables::escaped(path),
        comment: other.map(|(color, other)| format!("in {color} it is {other}")),
    })
}

fn placeholder(name: &str) -> Said {
    Said::with(
        format!(
            "Host(`{}.localhost`)",
            name.to_ascii_lowercase().replace(['_', '.'], "-")
        ),
        format!("{UNKNOWN}: what does this service answer to?"),
    )
}

/// A name as services and stacks may have it.
pub(super) fn valid_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    name.trim_matches('-').to_owned()
}

/// The variable for where a color of a service is, such as `API_BLUE`.
fn variable(base: &str, color: &Color) -> String {
    let name = format!("{base}_{color}").to_ascii_uppercase();
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
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

/// Puts a value into nested mappings.
fn insert(map: &mut Map<String, Value>, path: &[&str], value: Value) {
    let [key, rest @ ..] = path else { return };
    if rest.is_empty() {
        map.insert((*key).to_owned(), value);
        return;
    }
    let below = map.entry(*key).or_insert_with(|| Map::new().into());
    if let Value::Object(below) = below {
        insert(below, rest, value);
    }
}

/// Adds the values of another mapping; what is in both stays.
fn merge(map: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (key, value) in other {
        match (map.get_mut(key), value) {
            (None, value) => {
                map.insert(key.clone(), value.clone());
            }
            (Some(Value::Object(map)), Value::Object(other)) => merge(map, other),
            (Some(Value::Array(values)), Value::Array(others)) => {
                values.extend(others.iter().cloned())
            }
            _ => {}
        }
    }
}
