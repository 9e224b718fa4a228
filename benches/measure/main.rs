//! What `make bench` measures, each part in one run against the real programs, and writes into docs/benchmarks.md.
//!
//! - [`flip`]: from the change to the first answer of the new color, beside every other way that there is
//! - [`defaults`]: the same with Traefik's default settings, at any moment between two polls
//! - [`share`]: our own share of it, from the SET to the document on the wire
//! - [`fanout`]: many polls held by one provider
//! - [`sidecars`]: many providers on one Redis
//! - [`size`]: few services and thousands of them
//! - [`among`]: one stack among hundreds, asked for by its own path, beside a lone one
//! - [`start`]: processes as a whole: `serve` until its first document, `flip --no-wait`
//! - [`endurance`]: whether the memory stays flat over a hundred thousand changes, and as many connections
//!
//! Arguments name the parts; without any, all are measured.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and what fails here is a failed benchmark"
)]

mod among;
mod defaults;
mod endurance;
mod fanout;
mod figures;
mod flip;
mod page;
mod process;
mod rivals;
mod share;
mod sidecars;
mod size;
mod start;
#[path = "../../tests/it/support/mod.rs"]
mod support;

use page::Block;

/// Counts what the code that is measured in this process allocates.
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// The parts, in the order of the page.
const PARTS: [&str; 9] = [
    "flip",
    "defaults",
    "share",
    "fanout",
    "sidecars",
    "size",
    "among",
    "start",
    "endurance",
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    // `cargo bench` passes `--bench`, `cargo test --benches` nothing.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("the benchmarks are skipped: run `make bench`");
        return;
    }
    let named = arguments.iter().filter(|argument| *argument != "--bench");
    let named: Vec<_> = named.map(String::as_str).collect();
    if let Some(unknown) = named.iter().find(|name| !PARTS.contains(name)) {
        eprintln!("no part `{unknown}`; there are {}", PARTS.join(", "));
        std::process::exit(2);
    }
    for part in PARTS {
        if !named.is_empty() && !named.contains(&part) {
            continue;
        }
        println!("\n== {part}\n");
        let mut block = Block::new(part);
        match part {
            "flip" => flip::measure(&mut block).await,
            "defaults" => defaults::measure(&mut block).await,
            "share" => share::measure(&mut block).await,
            "fanout" => fanout::measure(&mut block).await,
            "sidecars" => sidecars::measure(&mut block).await,
            "size" => size::measure(&mut block).await,
            "among" => among::measure(&mut block).await,
            "start" => start::measure(&mut block).await,
            _ => endurance::measure(&mut block).await,
        }
        block.write();
    }
}
