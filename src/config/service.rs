//! A service of the config, resolved: its rule, its servers, and the verbatim parts of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::Path;
use super::raw::{RawProduction, RawServers, RawService, RawTexts};
use super::resolve::{Colors, Resolver};
use super::{Production, Servers, Service, address, rule};
use crate::color::Color;

/// Resolves a service of a stack that has these colors.
pub(super) fn service(
    raw: RawService,
    path: &Path,
    colors: &Colors,
    resolver: &mut Resolver<'_>,
) -> Service {
    rule::check(&raw.rule, &raw.router, &path.key("rule"), resolver);
    if let Some(health) = &raw.health {
        check_path(health, "the health path", &path.key("health"), resolver);
    }
    let production = raw.production.unwrap_or_default();
    let production = production_of(production, &path.key("production"), resolver);
    let servers = servers(raw.servers, &path.key("servers"), colors, resolver);
    let hint = "bluegreen generates it, from what is beside `router`";
    generated(
        &raw.router,
        &path.key("router"),
        &["rule", "service"],
        hint,
        resolver,
    );
    let hint = "bluegreen generates them, from what is beside `loadBalancer`";
    let load_balancer = path.key("loadBalancer");
    generated(
        &raw.load_balancer,
        &load_balancer,
        &["servers"],
        hint,
        resolver,
    );
    let referred = |s: &Servers| matches!(s, Servers::Reference(_));
    if !raw.load_balancer.is_empty() && !servers.is_empty() && servers.values().all(referred) {
        resolver
            .error(
                &load_balancer,
                "every color is a service of another provider: this has no effect",
            )
            .hint("remove it, and configure the load balancer where that service is defined");
    }
    Service {
        rule: raw.rule,
        servers,
        health: raw.health,
        leaves_out_dead: false,
        production,
        router: raw.router,
        load_balancer: raw.load_balancer,
    }
}

/// Checks a path that is asked for.
pub(super) fn check_path(text: &str, what: &str, path: &Path, resolver: &mut Resolver<'_>) {
    let stray = |c: char| c.is_whitespace() || c.is_control() || c == '#';
    if !text.starts_with('/') {
        resolver
            .error_at_value(path, format!("{what} does not begin with `/`"))
            .hint("write a path, such as `/health`");
    } else if text.contains(stray) {
        resolver
            .error_at_value(path, format!("white space and `#` can't be in {what}"))
            .hint("write a path, such as `/health`");
    }
}

/// How production reaches a service.
fn production_of(raw: RawProduction, path: &Path, resolver: &mut Resolver<'_>) -> Production {
    let RawProduction {
        host,
        path: asked,
        url,
    } = raw;
    if let Some(host) = &host {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if host.is_empty() || !host.chars().all(plain) {
            resolver
                .error_at_value(&path.key("host"), "this can't be a host")
                .hint("write a name, such as `shop.example.com`; `url` says where it is asked");
        }
    }
    if let Some(asked) = &asked {
        check_path(asked, "the path", &path.key("path"), resolver);
    }
    let path = path.key("url");
    let texts = match url {
        None => Vec::new(),
        Some(RawTexts::One(text)) => vec![(path.clone(), text)],
        Some(RawTexts::Many(texts)) => {
            let texts = texts.into_iter().enumerate();
            texts.map(|(i, text)| (path.index(i), text)).collect()
        }
    };
    let urls = texts.iter();
    let urls = urls.filter_map(|(path, text)| resolver.usable(path, text, address::entry_point));
    Production {
        host,
        path: asked,
        urls: urls.collect(),
    }
}

/// The servers of each color; every color has to have some.
fn servers(
    raw: BTreeMap<String, RawServers>,
    path: &Path,
    colors: &Colors,
    resolver: &mut Resolver<'_>,
) -> BTreeMap<Color, Servers> {
    let mut given: Vec<Color> = Vec::new();
    let mut servers = BTreeMap::new();
    for (name, raw) in raw {
        let path = path.key(&name);
        let color = resolver.color(&path, &name, colors);
        let read = of_color(raw, &path, resolver);
        if let Some(color) = color {
            given.push(color.clone());
            servers.extend(read.map(|read| (color, read)));
        }
    }
    if given.is_empty() && resolver.findings.broken(path) {
        return servers;
    }
    for color in &colors.names {
        let path = path.key(color.as_str());
        if colors.complete && !given.contains(color) && !resolver.findings.broken(&path) {
            resolver
                .error(&path, format!("the color `{color}` has no servers"))
                .hint("give it a URL: a flip moves every service of the stack");
        }
    }
    servers
}

fn of_color(raw: RawServers, path: &Path, resolver: &mut Resolver<'_>) -> Option<Servers> {
    match raw {
        RawServers::One(text) => {
            let looks_like_a_url = text.contains("://") || !text.contains('@');
            if looks_like_a_url {
                let url = resolver.usable(path, &text, address::url)?;
                return Some(Servers::Urls(vec![url]));
            }
            let name = resolver.usable(path, &text, address::reference)?;
            Some(Servers::Reference(name))
        }
        RawServers::Many(texts) => {
            let mut urls: Vec<String> = Vec::new();
            for (i, text) in texts.iter().enumerate() {
                let path = path.index(i);
                let Some(url) = resolver.usable(&path, text, address::url) else {
                    continue;
                };
                if urls.contains(&url) {
                    resolver
                        .error_at_value(&path, "this server is listed twice")
                        .hint("remove one of the two, or name the other replica");
                }
                urls.push(url);
            }
            Some(Servers::Urls(urls))
        }
    }
}

/// Fields that are generated can't be among the verbatim ones, in whatever case: Traefik does not mind the case.
fn generated(
    fields: &Map<String, Value>,
    path: &Path,
    generated: &[&str],
    hint: &str,
    resolver: &mut Resolver<'_>,
) {
    for field in fields.keys() {
        if generated.iter().any(|g| g.eq_ignore_ascii_case(field)) {
            resolver
                .error(&path.key(field), format!("`{field}` can't be given here"))
                .hint(hint);
        }
    }
}
