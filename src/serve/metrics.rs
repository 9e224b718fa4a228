//! `GET /metrics`: the Prometheus text format, made anew for each scrape from what is there anyway.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Shared;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// The text of a scrape.
pub fn text(shared: &Shared) -> String {
    let mut registry = Registry::with_prefix("bluegreen");
    let serving = shared.state.serving();
    let counters = &shared.state.counters;
    let current = serving.document.as_ref().map(|document| &document.revision);

    let weights = Family::<Labels, Gauge>::default();
    let following = Family::<Labels, Gauge>::default();
    let left_out = Family::<Labels, Gauge<u64, AtomicU64>>::default();
    for (name, stack) in &serving.config.stacks {
        for color in &stack.colors {
            let weight = serving
                .stacks
                .get(name)
                .map_or(0, |known| known.traffic.weight(color));
            let labels = vec![("stack", name.clone()), ("color", color.to_string())];
            weights.get_or_create(&labels).set(i64::from(weight));
        }
        if stack.leaves_out_dead() {
            let servers = serving
                .left_out
                .get(name)
                .map_or(0, |servers| servers.len());
            left_out
                .get_or_create(&vec![("stack", name.clone())])
                .set(servers as u64);
        }
        let follows = serving.stacks.contains_key(name) && !serving.problems.contains_key(name);
        following
            .get_or_create(&vec![("stack", name.clone())])
            .set(i64::from(follows));
    }
    registry.register(
        "traffic_weight",
        "The weight of a color in the traffic",
        weights,
    );
    registry.register(
        "servers_left_out",
        "Dead servers that are not in the document",
        left_out,
    );
    registry.register(
        "key_valid",
        "Whether the stack's traffic is what its key says",
        following,
    );

    let confirmed = Family::<Labels, Gauge>::default();
    let held = Family::<Labels, Gauge>::default();
    let disabled = Family::<Labels, Gauge<u64, AtomicU64>>::default();
    for instance in shared.fleet.overview() {
        let labels = vec![("instance", instance.entry.id.clone())];
        let current = match &instance.share {
            Some(share) => share.revision(),
            None => current.cloned(),
        };
        let has = current.is_some() && instance.confirmed == current;
        if let Some(routers) = &instance.entry.routers {
            let count = routers.disabled.len() + routers.more;
            disabled.get_or_create(&labels).set(count as u64);
        }
        confirmed.get_or_create(&labels).set(i64::from(has));
        held.get_or_create(&labels)
            .set(i64::from(instance.entry.held));
    }
    registry.register(
        "instance_confirmed",
        "Whether the instance has the current document",
        confirmed,
    );
    registry.register(
        "instance_held",
        "Whether a poll of the instance is held",
        held,
    );
    registry.register(
        "instance_disabled_routers",
        "Routers of ours that the instance has disabled, where its API tells",
        disabled,
    );

    let gauges = [
        (
            "store_connected",
            "Whether the store answers",
            u64::from(serving.store.connected),
        ),
        (
            "ready",
            "Whether there is a document to serve",
            u64::from(current.is_some()),
        ),
        (
            "connections",
            "Open connections",
            shared.connections.load(Ordering::Relaxed),
        ),
        (
            "document_bytes",
            "The size of the document",
            serving
                .document
                .as_ref()
                .map_or(0, |document| document.bytes.len() as u64),
        ),
    ];
    for (name, help, value) in gauges {
        let gauge = Gauge::<u64, AtomicU64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    }
    let counts = [
        ("polls", "Polls that came", &shared.polls),
        ("traffic_changes", "Changes of traffic", &counters.changes),
        (
            "unusable_values",
            "Times that a key was found without a usable value",
            &counters.unusable_values,
        ),
        (
            "guard_refusals",
            "Changes from outside that the guard has refused",
            &counters.guard_refusals,
        ),
        (
            "store_errors",
            "Connections to the store that were lost or not made",
            &counters.store_errors,
        ),
        (
            "config_reloads",
            "Config files that were taken over",
            &counters.reloads,
        ),
        (
            "config_refused",
            "Config files that were refused",
            &counters.refused_reloads,
        ),
        (
            "disk_errors",
            "Times that the last good traffic could not be written",
            &counters.disk_errors,
        ),
    ];
    for (name, help, count) in counts {
        let counter = Counter::<u64>::default();
        counter.inc_by(count.load(Ordering::Relaxed));
        registry.register(name, help, counter);
    }
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a string can't fail");
    text
}
