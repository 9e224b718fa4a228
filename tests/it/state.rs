//! What serves when: only an explicit, valid value moves traffic, whatever happens to the store or to the provider.
//!
//! Against the real binary and a real Redis. Every document that a test looks at has to be a whole one.

mod cluster;
mod history;
mod last_good;
mod outage;
mod reload;
mod restart;
mod sentinel;
mod tls;
mod unknown;
mod value;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use serde_json::{Map, Value};
use tokio::task::JoinHandle;

use crate::support::eventually;
use crate::support::http::{self, Answer};
use crate::support::provider::{Options, Provider};
use crate::support::redis::Redis;

/// Longer than anything takes that is noticed by the read once a second, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// A config file with these stacks, `(name, key)`, each with the colors blue and green and two services.
pub(crate) fn config_of(stacks: &[(&str, &str)]) -> String {
    let stacks = stacks.iter().map(|(name, key)| {
        format!(
            "  {name}:
    key: {key}
    services:
      api:
        rule: Host(`api.{name}.localhost`)
        servers: {{ blue: http://127.0.0.1:8091, green: http://127.0.0.1:8092 }}
      mcp:
        rule: Host(`mcp.{name}.localhost`)
        servers: {{ blue: http://127.0.0.1:9100, green: http://127.0.0.1:9101 }}
"
        )
    });
    format!("stacks:\n{}", stacks.collect::<String>())
}

/// The stack `deals` with the key `active`.
pub(crate) fn deals() -> String {
    config_of(&[("deals", "active")])
}

/// A provider of the stack `deals`.
pub(crate) async fn provider(redis: &Redis) -> Provider {
    Options::new(&deals(), &redis.url()).start().await
}

/// Waits until this is the traffic of the stack `deals`: `green`, `blue:90,green:10`, or `503` where there is no
/// document.
pub(crate) async fn serves(provider: &Provider, traffic: &str) {
    stack_serves(provider, "deals", traffic).await;
}

/// Waits until this is the traffic of a stack.
pub(crate) async fn stack_serves(provider: &Provider, stack: &str, traffic: &str) {
    eventually(
        &format!("{stack} serves {traffic}"),
        SOON,
        async || match served(&provider.get("/traefik").await, stack) {
            seen if seen == traffic => Ok(()),
            seen => Err(seen),
        },
    )
    .await;
}

/// The traffic of the stack `deals` in what is answered now.
pub(crate) async fn serves_now(provider: &Provider) -> String {
    served(&provider.get("/traefik").await, "deals")
}

/// The traffic of a stack in an answer of `/traefik`, or `503`.
///
/// # Panics
///
/// Where the answer is neither a whole document, in which all of the stack's services have the same traffic, nor 503.
#[track_caller]
pub(crate) fn served(answer: &Answer, stack: &str) -> String {
    if answer.status == 503 {
        return "503".to_owned();
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    let document = answer.json();
    let services = map(&document["http"]["services"]);
    let servers = |name: &str| services[name]["loadBalancer"]["servers"].as_array();
    let mut seen = BTreeSet::new();
    let prefix = format!("{stack}-");
    let routers = map(&document["http"]["routers"]);
    for (name, router) in routers.iter().filter(|(name, _)| name.starts_with(&prefix)) {
        let target = router["service"].as_str().unwrap();
        let color = |service: &str| {
            assert!(!servers(service).unwrap().is_empty(), "{document}");
            service
                .strip_prefix(&format!("{name}-"))
                .unwrap_or_else(|| panic!("{name} goes to {service}"))
                .to_owned()
        };
        let children = services[target]["weighted"]["services"].as_array();
        seen.insert(match children {
            None => color(target),
            Some(children) => {
                let shares = children
                    .iter()
                    .map(|child| {
                        format!(
                            "{}:{}",
                            color(child["name"].as_str().unwrap()),
                            child["weight"]
                        )
                    })
                    .collect::<Vec<_>>();
                shares.join(",")
            }
        });
    }
    assert_eq!(seen.len(), 1, "not one traffic of {stack}: {document}");
    seen.pop_first().unwrap()
}

#[track_caller]
fn map(value: &Value) -> &Map<String, Value> {
    let map = value.as_object();
    map.filter(|map| !map.is_empty())
        .unwrap_or_else(|| panic!("not a whole document: {value}"))
}

/// Waits until `/status` says so, and returns it.
pub(crate) async fn status_says(
    provider: &Provider,
    what: &str,
    says: impl Fn(&Value) -> bool,
) -> Value {
    eventually(what, SOON, async || {
        let status = provider.status().await;
        if says(&status) {
            Ok(status)
        } else {
            Err(status)
        }
    })
    .await
}

/// Waits until the stack `deals` has a problem that holds this text; or none, where the text is empty.
pub(crate) async fn has_problem(provider: &Provider, text: &str) {
    let what = format!("the problem of deals is `{text}`");
    status_says(provider, &what, |status| {
        match status["stacks"]["deals"]["problem"].as_str() {
            Some(problem) => !text.is_empty() && problem.contains(text),
            None => text.is_empty(),
        }
    })
    .await;
}

/// Waits until the provider says that the store answers, or that it doesn't.
pub(crate) async fn connected(provider: &Provider, connected: bool) {
    let what = format!("connected is {connected}");
    status_says(provider, &what, |status| {
        status["store"]["connected"] == connected
    })
    .await;
}

/// A line of `/metrics`, such as `bluegreen_traffic_changes_total`.
pub(crate) async fn metric(provider: &Provider, name: &str) -> u64 {
    let answer = provider.get("/metrics").await;
    let value = answer
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {}", answer.text()))
}

/// Waits until the log has this so many times, and then no more often: its lines are read a moment after they are written.
pub(crate) async fn logged(provider: &Provider, text: &str, times: usize) {
    let what = format!("{times} times `{text}`");
    eventually(&what, SOON, async || match provider.log().count(text) {
        count if count >= times => Ok(()),
        _ => Err(format!("\n{}", provider.log())),
    })
    .await;
    assert_eq!(provider.log().count(text), times, "{text}");
}

/// Waits until keys have been read this many times more. Where nothing changes, each provider reads each key once a
/// second.
pub(crate) async fn reads(redis: &Redis, more: u64) {
    let mut connection = redis.connection().await;
    let mut first = None;
    let what = format!("{more} reads more");
    let within = Duration::from_secs(10);
    eventually(&what, within, async || {
        let count = count_of_reads(&mut connection).await;
        let read = count - *first.get_or_insert(count);
        if read >= more { Ok(()) } else { Err(read) }
    })
    .await;
}

async fn count_of_reads(connection: &mut MultiplexedConnection) -> u64 {
    let mut info = redis::cmd("INFO");
    let info: String = info
        .arg("commandstats")
        .query_async(connection)
        .await
        .unwrap();
    let reads = info.lines().find_map(|line| {
        let calls = line.strip_prefix("cmdstat_getrange:calls=")?;
        calls.split(',').next()?.parse().ok()
    });
    reads.unwrap_or(0)
}

/// Asks for the document all the time, and keeps what traffic of the stack `deals` was served, in its order.
pub(crate) struct Witness {
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Witness {
    pub(crate) async fn of(provider: &Provider) -> Self {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let task = tokio::spawn(watch(provider.address(), Arc::clone(&seen)));
        let witness = Self { seen, task };
        let empty = || witness.seen.lock().unwrap().is_empty();
        eventually("the witness has seen something", SOON, async || {
            if empty() { Err("nothing") } else { Ok(()) }
        })
        .await;
        witness
    }

    /// Waits until it has seen this as the newest.
    pub(crate) async fn sees(&self, traffic: &str) {
        let what = format!("the witness sees {traffic}");
        eventually(&what, SOON, async || {
            let seen = self.seen.lock().unwrap();
            // It ends only by failing.
            assert!(!self.task.is_finished(), "after {seen:?}");
            match seen.last() {
                Some(last) if last == traffic => Ok(()),
                _ => Err(format!("{seen:?}")),
            }
        })
        .await;
    }

    /// What was served is this, each change of it once, and never an answer that was no whole document and no 503.
    pub(crate) async fn saw(self, expected: &[&str]) {
        self.sees(expected.last().unwrap()).await;
        self.task.abort();
        assert_eq!(*self.seen.lock().unwrap(), expected);
    }
}

async fn watch(address: SocketAddr, seen: Arc<Mutex<Vec<String>>>) {
    loop {
        // A provider that is down answers nothing, which is nothing wrong.
        if let Ok(answer) = http::get(address, "localhost", "/traefik", &[]).await {
            let traffic = served(&answer, "deals");
            let mut seen = seen.lock().unwrap();
            if seen.last() != Some(&traffic) {
                seen.push(traffic);
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
