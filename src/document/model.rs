//! The parts of Traefik's `pkg/config/dynamic` that are rendered here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::Service;

/// Traefik's `dynamic.Service`, of one of two kinds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum TraefikService<'a> {
    LoadBalancer(LoadBalancer<'a>),
    Weighted(Weighted),
}

/// Traefik's `dynamic.Router`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Router<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) entry_points: &'a [String],
    pub(super) rule: Cow<'a, str>,
    pub(super) service: String,
    #[serde(flatten)]
    pub(super) rest: Cow<'a, Map<String, Value>>,
}

/// Traefik's `dynamic.ServersLoadBalancer`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoadBalancer<'a> {
    servers: Vec<Server<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<Value>,
    #[serde(flatten)]
    pub(super) rest: BTreeMap<&'a String, &'a Value>,
}

impl<'a> LoadBalancer<'a> {
    /// The servers of one color, with the verbatim fields. A health check asks the service's own path, unless it names
    /// another one.
    pub(super) fn new(urls: impl Iterator<Item = &'a String>, service: &'a Service) -> Self {
        let mut health_check = service.load_balancer.get("healthCheck").cloned();
        if let (Some(Value::Object(check)), Some(path)) = (&mut health_check, &service.health) {
            check.entry("path").or_insert_with(|| path.as_str().into());
        }
        let rest = service.load_balancer.iter();
        Self {
            servers: urls.map(|url| Server { url }).collect(),
            health_check,
            rest: rest.filter(|(key, _)| *key != "healthCheck").collect(),
        }
    }
}

/// Traefik's `dynamic.Server`.
#[derive(Serialize)]
pub(super) struct Server<'a> {
    url: &'a str,
}

/// Traefik's `dynamic.WeightedRoundRobin`.
#[derive(Serialize)]
pub(super) struct Weighted {
    pub(super) services: Vec<Child>,
}

/// Traefik's `dynamic.WRRService`.
#[derive(Serialize)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) weight: u32,
}
