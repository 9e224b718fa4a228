//! Instances: each Traefik's own metrics, asked side by side.

use std::collections::{BTreeMap, BTreeSet};
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

/// What one instance told.
pub(super) struct Told {
    /// Its name, and where it was asked.
    pub(super) place: String,
    /// Its address.
    pub(super) address: String,
    /// What it has counted, or why that is not known.
    pub(super) reading: Result<Reading, String>,
}

/// Reads the metrics of instances, given by name and address. Several at one address are one: it has one such port.
pub(super) async fn read(
    instances: &[(&str, &str)],
    port: u16,
    path: &str,
    wanted: &BTreeSet<&str>,
) -> Vec<Told> {
    let by_address: BTreeMap<_, _> = instances
        .iter()
        .map(|(name, address)| (*address, *name))
        .collect();
    let deadline = Instant::now() + TIMEOUT_OF_ALL;
    let asked = by_address.into_iter();
    let asked = asked.map(|(address, name)| ask(name, address, port, path, wanted, deadline));
    // Made before any of them runs: else the compiler can't tell that they may go from thread to thread.
    let asked: Vec<_> = asked.collect();
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

async fn ask(
    name: &str,
    address: &str,
    port: u16,
    path: &str,
    wanted: &BTreeSet<&str>,
    deadline: Instant,
) -> Told {
    let at = address.parse::<IpAddr>();
    let at = at.map(|ip| SocketAddr::new(ip, port));
    let reading = match at {
        Ok(at) => timeout_at(deadline, read_one(at, path, wanted))
            .await
            .unwrap_or_else(|_| Err(format!("it was not asked within {TIMEOUT_OF_ALL:?}"))),
        Err(_) => Err("this is no address".to_owned()),
    };
    let place = at.map_or_else(|_| address.to_owned(), |at| at.to_string());
    Told {
        place: format!("{name} at {place}"),
        address: address.to_owned(),
        reading,
    }
}

async fn read_one(
    address: SocketAddr,
    path: &str,
    wanted: &BTreeSet<&str>,
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
