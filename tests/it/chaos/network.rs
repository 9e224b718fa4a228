//! A link of the network: what connects to it gets through to the other side, well or badly.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the link is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Quality {
    Good,
    /// Whatever passes takes so much longer.
    Slow(Duration),
    /// Nothing passes, and nobody is told.
    Silent,
    /// All connections are closed, and new ones at once.
    Closed,
}

/// A link that leads to one address.
pub(super) struct Link {
    address: SocketAddr,
    quality: watch::Sender<Quality>,
    /// Ends with the link.
    _running: JoinSet<()>,
}

impl Link {
    pub(super) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let quality = watch::Sender::new(Quality::Good);
        let mut running = JoinSet::new();
        running.spawn(accept(listener, target, quality.subscribe()));
        Self {
            address,
            quality,
            _running: running,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn becomes(&self, quality: Quality) {
        self.quality.send_replace(quality);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, quality: watch::Receiver<Quality>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((here, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(connect(here, target, quality.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(here: TcpStream, target: SocketAddr, mut quality: watch::Receiver<Quality>) {
    passes(&mut quality).await;
    if *quality.borrow() == Quality::Closed {
        return;
    }
    // Whoever is refused there is closed here.
    let Ok(there) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (here.set_nodelay(true), there.set_nodelay(true));
    let ((from_here, to_here), (from_there, to_there)) = (here.into_split(), there.into_split());
    // The end of either direction is that of both.
    tokio::select! {
        () = copy(from_here, to_there, quality.clone()) => {}
        () = copy(from_there, to_here, quality.clone()) => {}
        _ = quality.wait_for(|quality| *quality == Quality::Closed) => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut quality: watch::Receiver<Quality>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        passes(&mut quality).await;
        if to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
    // Also that somebody has closed is not told.
    passes(&mut quality).await;
}

/// Waits for as long as nothing passes, or what passes takes.
async fn passes(quality: &mut watch::Receiver<Quality>) {
    let is = *quality.borrow();
    match is {
        Quality::Good | Quality::Closed => {}
        Quality::Slow(delay) => tokio::time::sleep(delay).await,
        Quality::Silent => {
            let _ = quality.wait_for(|is| *is != Quality::Silent).await;
        }
    }
}
