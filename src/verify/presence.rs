//! Whether anybody is there: a quick look for who takes a connection, not for how well they are.

use std::collections::BTreeMap;
use std::io::Error;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use url::Url;

use crate::color::Color;
use crate::config::{Servers, Stack};

/// How long a server may take for that: a thousand times what it takes one that is there.
const WITHIN: Duration = Duration::from_millis(1500);

/// Who is there of a color.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Presence<'a> {
    /// The services of which no server takes a connection, each with one of them and why.
    pub absent: BTreeMap<&'a str, String>,
    /// The services whose servers only Traefik knows.
    pub unknown: Vec<&'a str>,
}

/// Looks for all servers of a color at once.
pub async fn look<'a>(stack: &'a Stack, color: &Color) -> Presence<'a> {
    let mut presence = Presence::default();
    let looks = stack.services.iter().filter_map(|(name, service)| {
        let Some(Servers::Urls(urls)) = service.servers.get(color) else {
            presence.unknown.push(name);
            return None;
        };
        Some(async move { (name, nobody(urls).await) })
    });
    let looks: Vec<_> = looks.collect();
    for (name, why) in join_all(looks).await {
        if let Some(why) = why {
            presence.absent.insert(name, why);
        }
    }
    presence
}

/// Where none of these servers takes a connection, one of them and why.
async fn nobody(urls: &[String]) -> Option<String> {
    let mut connections: FuturesUnordered<_> = urls
        .iter()
        .map(async |url| (url, connect(url).await))
        .collect();
    let mut why = None;
    while let Some((url, connected)) = connections.next().await {
        let error = connected.err()?;
        why.get_or_insert_with(|| format!("{url}: {error}"));
    }
    why
}

async fn connect(url: &str) -> Result<(), Error> {
    let url = Url::parse(url).map_err(Error::other)?;
    let host = url.host_str().unwrap_or_default();
    // An IPv6 address stands in brackets in a URL; the port of `h2c` is that of `http`.
    let address = (
        host.trim_matches(['[', ']']),
        url.port_or_known_default().unwrap_or(80),
    );
    let late = |_| Error::other(format!("no answer within {WITHIN:?}"));
    let connected = tokio::time::timeout(WITHIN, TcpStream::connect(address)).await;
    connected.map_err(late)?.map(drop)
}
