//! Micro-benchmarks of what happens at a change: the traffic value is parsed, the document rendered; and of reading the
//! config. With the number of allocations, which no other load of the machine changes.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::fmt::Write;

use bluegreen::color::Color;
use bluegreen::config::{self, Config};
use bluegreen::document::{self, Parts};
use bluegreen::traffic::Traffic;
use divan::{AllocProfiler, Bencher};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The numbers of services.
const SERVICES: [usize; 4] = [1, 10, 100, 1000];

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
