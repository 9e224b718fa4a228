//! Micro-benchmarks of what happens at a change: the traffic value is parsed, the document rendered; and of reading the
//! config. And of what many instances cost: a connection that is closed, and the fleet of the registry. With the number of allocations, which no other load of the machine changes.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bluegreen::color::Color;
use bluegreen::config::{self, Config};
use bluegreen::document::{self, Parts, Revision};
use bluegreen::registry::{self, Aged};
use bluegreen::serve::fleet::{Caller, ConnectionId, Fleet};
use bluegreen::traffic::Traffic;
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The numbers of services.
const SERVICES: [usize; 4] = [1, 10, 100, 1000];

/// The numbers of instances.
const INSTANCES: [u64; 3] = [100, 1_000, 10_000];

#[divan::bench(args = ["green", "blue:90,green:10", "green,", "purple"])]
fn traffic_value(value: &str) -> bool {
    let colors: [Color; 2] = ["blue", "green"].map(|color| color.parse().unwrap());
    Traffic::parse(divan::black_box(value).as_bytes(), &colors).is_ok()
}

#[divan::bench(args = SERVICES)]
fn read_the_config(bencher: Bencher<'_, '_>, services: usize) {
    let text = text(1, services);
    bencher.bench(|| read(text.clone()));
}

#[divan::bench(args = SERVICES)]
fn render(bencher: Bencher<'_, '_>, services: usize) {
    let config = read(text(1, services));
    let traffic = all_to("green");
    bencher.bench(|| document::render(&config, &traffic, None));
}

/// A change of one stack, where all the others stay as they are.
#[divan::bench(args = [1, 10, 100])]
fn render_one_of_many_stacks(bencher: Bencher<'_, '_>, stacks: usize) {
    let config = read(text(stacks, 10));
    let mut parts = Parts::default();
    let both = [all_to("green"), all_to("blue")];
    let mut next = both.iter().cycle();
    bencher.bench_local(|| parts.render(&config, next.next().unwrap(), None));
}

/// An instance comes, polls twice and closes its connection, beside so many others.
#[divan::bench(args = INSTANCES)]
fn close_a_connection(bencher: Bencher<'_, '_>, others: u64) {
    let fleet = fleet(others);
    let (mut connections, revision) = (others.., revision());
    bencher.bench_local(|| {
        let connection = connections.next().unwrap();
        comes(&fleet, connection, "edge", &revision);
        fleet.closed(connection, false);
    });
}

/// The fleet from the reports of two providers, of which one has stopped, so that its instances have moved to the other.
#[divan::bench(args = INSTANCES)]
fn fleet_of_the_registry(bencher: Bencher<'_, '_>, instances: u64) {
    let entries = fleet(instances).entries();
    let reports = [false, true].map(|stopped| {
        let report = json!({
            "provider": format!("{stopped}:9000/1"), "version": "1", "stopped": stopped, "traffic": "blue",
            "revision": "r", "problem": null, "marker": false
        });
        let report = serde_json::from_value(report).unwrap();
        Aged::new(report, Duration::ZERO, entries.clone())
    });
    bencher
        .counter(ItemsCount::new(2 * instances))
        .bench(|| registry::fleet(&reports).len());
}

/// A fleet of so many instances, each on a connection of its own.
fn fleet(instances: u64) -> Arc<Fleet> {
    let (fleet, revision) = (Arc::default(), revision());
    for connection in 0..instances {
        comes(&fleet, connection, &format!("edge-{connection}"), &revision);
    }
    fleet
}

/// An instance polls, and comes back.
fn comes(fleet: &Arc<Fleet>, connection: ConnectionId, name: &str, revision: &Revision) {
    let caller = Caller {
        name: Some(name),
        address: Ipv4Addr::LOCALHOST.into(),
        trusted: false,
        by_go: true,
    };
    for _ in 0..2 {
        let poll = fleet.arrive(connection, caller, None);
        poll.answer(revision, false);
    }
}

fn revision() -> Revision {
    let document = document::render(&read(text(1, 1)), &all_to("blue"), None);
    document.revision
}

fn all_to(color: &str) -> BTreeMap<String, Traffic> {
    let traffic = Traffic::all_to(color.parse().unwrap());
    BTreeMap::from([("stack-0".to_owned(), traffic)])
}

fn read(text: String) -> Config {
    let files = vec![("bluegreen.yml".into(), text)];
    config::parse(files, &|_| None).unwrap().config
}

fn text(stacks: usize, services: usize) -> String {
    let mut text = String::from("stacks:\n");
    for stack in 0..stacks {
        writeln!(
            text,
            "  stack-{stack}:\n    key: stack-{stack}\n    services:"
        )
        .unwrap();
        for service in 0..services {
            writeln!(
                text,
                "      service-{service}: {{ rule: 'Host(`{service}.{stack}.localhost`)', \
                 servers: {{ blue: http://127.0.0.1:1, green: http://127.0.0.1:2 }} }}"
            )
            .unwrap();
        }
    }
    text
}
