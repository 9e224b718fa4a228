//! Matching: the services of the compose files and the routers of Traefik's, brought together as a draft.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Notes;
use super::colors;
use super::draft::{Draft, Said, Service};
use super::edge::Edge;
use super::labels::Labels;
use super::names::{placeholder, variable};
use super::stacks::{Address, Group, Groups, address};
use super::target::{Target, active};
use super::traefik::{Dynamic, Route, field};
use super::write::UNKNOWN;
use crate::color::Color;

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
            let servers = self.servers(base, group, &mut names);
            if servers.is_empty() {
                self.notes.add(format!(
                    "`{base}` is left out: it has no port that Traefik could send requests to"
                ));
                continue;
            }
            let unrouted = elsewhere.clone().filter(|_| labels.routes.is_empty());
            let off = self.missing(group, &servers).or(unrouted);
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

    /// Where each color of a service is; `names` gets the variables for containers.
    fn servers(
        &self,
        base: &str,
        group: &Group,
        names: &mut Vec<(String, String)>,
    ) -> BTreeMap<Color, Vec<Said>> {
        let mut servers = BTreeMap::new();
        for (color, service) in group {
            let Some(Address { mut url, reached }) = address(service, &self.named(base, color))
            else {
                continue;
            };
            if let (true, Some((here, by_name))) = (self.edge.in_container, reached)
                && !here.contains('$')
            {
                let variable = variable(base, color);
                // One variable can't be within another: that of the port makes room.
                let scheme = url.value.split("://").next().unwrap_or("http");
                url.value = format!("{scheme}://${{{variable}:-{here}}}");
                url.comment = Some(format!("in its network: {by_name}"));
                names.push((variable, by_name));
            }
            servers.insert(color.clone(), vec![url]);
        }
        servers
    }

    /// Why a service can't be switched, if a color of it is missing.
    fn missing(&self, group: &Group, servers: &BTreeMap<Color, Vec<Said>>) -> Option<String> {
        let missing = self.colors.iter().find(|c| !servers.contains_key(*c))?;
        let (has, service) = group.iter().next()?;
        Some(match group.get(missing) {
            Some(_) => format!("it has no port in {missing}"),
            None => format!(
                "only in {has} ({}); a flip moves every service of the stack",
                service.file
            ),
        })
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
