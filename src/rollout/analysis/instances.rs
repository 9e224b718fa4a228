//! Instances: each Traefik's own metrics, asked side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::counters::{Reading, Seen};
use super::exposition;
use crate::verify::ask::Request;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How long it may take until all have answered: those that were not asked by then are asked first the next time.
const TIMEOUT_OF_ALL: Duration = Duration::from_secs(10);

/// How many are asked at once.
const AT_ONCE: usize = 32;

/// More of an answer is not read, in bytes.
pub(super) const MOST: usize = 16 << 20;

/// What each instance has counted of these services of Traefik's; they are given by name and address. Several at one
/// address are one: it has one such port.
pub(super) async fn see(
    instances: &[(&str, &str)],
    port: u16,
    path: &str,
    services: &BTreeSet<&str>,
) -> Seen {
    let by_address: BTreeMap<_, _> = instances
        .iter()
        .map(|(name, address)| (*address, *name))
        .collect();
    let deadline = Instant::now() + TIMEOUT_OF_ALL;
    let asked = by_address.iter();
    let asked = asked.map(|(address, _)| ask(address, port, path, services, deadline));
    // Made before any of them runs: else the compiler can't tell that they may go from thread to thread.
    let asked: Vec<_> = asked.collect();
    let told: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let mut seen = Seen::default();
    for ((address, name), told) in by_address.into_iter().zip(told) {
        match told {
            Ok(reading) => seen.readings.push((address.to_owned(), reading)),
            Err(why) => seen
                .silent
                .push(format!("{name} at {address}:{port}: {why}")),
        }
    }
    if instances.is_empty() {
        seen.silent.push("no Traefik polls".to_owned());
    }
    seen
}

async fn ask(
    address: &str,
    port: u16,
    path: &str,
    services: &BTreeSet<&str>,
    deadline: Instant,
) -> Result<Reading, String> {
    let ip: IpAddr = address
        .parse()
        .map_err(|_| "this is no address".to_owned())?;
    let request = Request {
        most: MOST,
        ..Request::get(
            &format!("http://{}", SocketAddr::new(ip, port)),
            path,
            TIMEOUT,
        )
    };
    let answer = timeout_at(deadline, request.ask()).await;
    let answer = answer.map_err(|_| format!("it was not asked within {TIMEOUT_OF_ALL:?}"))?;
    let answer = answer.map_err(|none| none.why().to_owned())?;
    if !answer.status.is_success() {
        return Err(answer.shown());
    }
    exposition::read(&answer.body, services).map_err(|error| error.to_string())
}
