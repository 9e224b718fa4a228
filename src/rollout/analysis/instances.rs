//! Instances: each Traefik's own metrics, asked side by side.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::counters::Reading;
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

/// What one instance told, or why it did not.
pub(super) type Told = (SocketAddr, Result<Reading, String>);

/// Reads the metrics of instances, given by name and address. Several at one address are one: it has one such port.
pub(super) async fn read(
    instances: &[(&str, &str)],
    port: u16,
    path: &str,
    wanted: &(dyn Fn(&str) -> bool + Sync),
) -> BTreeMap<String, Told> {
    let mut by_address = BTreeMap::new();
    for (name, address) in instances {
        if let Ok(ip) = address.parse::<IpAddr>() {
            by_address.entry(SocketAddr::new(ip, port)).or_insert(*name);
        }
    }
    let deadline = Instant::now() + TIMEOUT_OF_ALL;
    let asked = by_address.into_iter().map(async |(address, name)| {
        let reading = timeout_at(deadline, read_one(address, path, wanted)).await;
        let late = || {
            Err(format!(
                "no time was left to ask it within {TIMEOUT_OF_ALL:?}"
            ))
        };
        (
            name.to_owned(),
            (address, reading.unwrap_or_else(|_| late())),
        )
    });
    stream::iter(asked)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

async fn read_one(
    address: SocketAddr,
    path: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Reading, String> {
    let request = Request {
        most: MOST,
        ..Request::get(&format!("http://{address}"), path, TIMEOUT)
    };
    let answer = request.ask().await.map_err(|none| none.why().to_owned())?;
    if !answer.status.is_success() {
        return Err(answer.shown());
    }
    exposition::read(&answer.body, wanted).map_err(|error| error.to_string())
}
