//! Whether anybody is there: a quick look for who takes a connection, not for how well they are.

use std::io::Error;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use url::Url;

use crate::color::Color;
use crate::config::{Servers, Stack};

/// How long a server may take for that: a thousand times what it takes one that is there.
const WITHIN: Duration = Duration::from_millis(1500);

/// Looks for the servers of a color, all at once; where none takes a connection, one of them and why.
///
/// Where only Traefik knows a server, somebody is taken to be there.
pub async fn nobody(stack: &Stack, color: &Color) -> Option<String> {
    let mut connections = FuturesUnordered::new();
    for service in stack.services.values() {
        match service.servers.get(color) {
            Some(Servers::Urls(urls)) => {
                connections.extend(urls.iter().map(async |url| (url, connect(url).await)));
            }
            Some(Servers::Reference(_)) => return None,
            None => {}
        }
    }
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
