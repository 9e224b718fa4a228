//! What one stack contributes to the document.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::json::entries;
use super::model::{Child, LoadBalancer, Router, TraefikService, Weighted};
use super::preview;
use crate::color::Color;
use crate::config::{Servers, Service, Stack};
use crate::dead::LeftOut;
use crate::traffic::Traffic;

/// The routers and the services of one stack, each as the entries of a JSON object.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) routers: Vec<u8>,
    pub(super) services: Vec<u8>,
}

impl Part {
    pub(super) fn render(
        name: &str,
        stack: &Stack,
        traffic: &Traffic,
        left_out: Option<&LeftOut>,
    ) -> Self {
        let (mut routers, mut services) = (BTreeMap::new(), BTreeMap::new());
        for (service_name, service) in &stack.services {
            let base = format!("{name}-{service_name}");
            preview::render(&base, stack, service, traffic, &mut routers);
            render_service(&base, stack, service, traffic, &mut routers, &mut services);
            render_balancers(&base, (service_name, service), left_out, &mut services);
        }
        Self {
            routers: entries(&routers),
            services: entries(&services),
        }
    }
}

/// One service for each color, all of them always there: a service that vanishes from Traefik's configuration loses its
/// metrics.
fn render_balancers<'a>(
    base: &str,
    (name, service): (&str, &'a Service),
    left_out: Option<&LeftOut>,
    services: &mut BTreeMap<String, TraefikService<'a>>,
) {
    for (color, servers) in &service.servers {
        if let Servers::Urls(urls) = servers {
            let is_left_out = |url: &&String| {
                let mut left_out = left_out.into_iter().flatten();
                left_out.any(|out| (&*out.service, &out.color, &out.url) == (name, color, *url))
            };
            let urls = urls.iter().filter(|url| !is_left_out(url));
            let balancer = LoadBalancer::new(urls, service);
            let name = format!("{base}-{color}");
            services.insert(name, TraefikService::LoadBalancer(balancer));
        }
    }
}

/// One router that follows the traffic.
fn render_service<'a>(
    base: &str,
    stack: &'a Stack,
    service: &'a Service,
    traffic: &Traffic,
    routers: &mut BTreeMap<String, Router<'a>>,
    services: &mut BTreeMap<String, TraefikService<'a>>,
) {
    let target = match traffic.sole() {
        Some(color) => service_of(base, service, color),
        None => {
            let children = stack.colors.iter().map(|color| Child {
                name: service_of(base, service, color),
                weight: traffic.weight(color),
            });
            let weighted = Weighted {
                services: children.filter(|child| child.weight > 0).collect(),
            };
            services.insert(base.to_owned(), TraefikService::Weighted(weighted));
            base.to_owned()
        }
    };
    let router = Router {
        entry_points: entry_points(stack, service),
        rule: (&*service.rule).into(),
        service: target,
        rest: Cow::Borrowed(&service.router),
    };
    routers.insert(base.to_owned(), router);
}

/// The stack's entrypoints, where the service's router does not have its own among its verbatim fields.
pub(super) fn entry_points<'a>(stack: &'a Stack, service: &Service) -> &'a [String] {
    if service.router.contains_key("entryPoints") {
        &[]
    } else {
        &stack.entry_points
    }
}

/// The name of the Traefik service behind one color.
pub(crate) fn service_of(base: &str, service: &Service, color: &Color) -> String {
    match service.servers.get(color) {
        Some(Servers::Reference(name)) => name.clone(),
        _ => format!("{base}-{color}"),
    }
}
