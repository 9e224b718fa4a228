//! Connections: accepting them, bounding them, and the way out.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::fleet::ConnectionId;
use super::{DRAIN_GRACE, Shared, routes};

/// How long a new connection may take until its first request is complete.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a later request may take. It runs while a connection is idle, so it is also the longest pause between two
/// polls on one connection: well above any sensible `pollInterval`. A Traefik that pauses longer reconnects.
const NEXT_REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// The most bytes of a request's head. Traefik's has a few hundred.
const MAX_HEAD: usize = 16 * 1024;

/// The most connections at once, where the system allows as many.
const MAX_CONNECTIONS: u64 = 20_000;

/// File descriptors that are left for everything else.
const SPARE_FILES: u64 = 128;

/// After the signal to stop, a connection that has not sent a whole request yet has this long.
const UNPROVEN_GRACE: Duration = Duration::from_millis(300);

/// Connections that wait to be accepted: a whole fleet may come back at once.
const BACKLOG: i32 = 4096;

/// A connection that is to give way is closed at once; this is for a host that hardly runs.
const EVICTION_TIMEOUT: Duration = Duration::from_secs(1);

/// A peer that takes none of its answer for so long is dead, as is one that a keep-alive probe does not reach.
const PEER_TIMEOUT: Duration = Duration::from_secs(15);

/// Connections that have not sent a whole request yet, in the order of their coming: the first that go where there are
/// too many, so that those who poll stay.
#[derive(Default)]
struct Unproven(Mutex<BTreeMap<ConnectionId, (Instant, oneshot::Sender<()>)>>);

impl Unproven {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, (Instant, oneshot::Sender<()>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: ConnectionId) -> oneshot::Receiver<()> {
        let (evict, evicted) = oneshot::channel();
        self.lock().insert(id, (Instant::now(), evict));
        evicted
    }

    /// The connection has sent a request, or is closed.
    fn remove(&self, id: ConnectionId) -> bool {
        // The sender is forgotten, not dropped with a signal: see `serve_one`.
        self.lock().remove(&id).is_some()
    }

    fn evict_oldest(&self) -> bool {
        let oldest = self.lock().pop_first();
        oldest.is_some_and(|(_, (_, evict))| evict.send(()).is_ok())
    }

    fn evict_slow(&self) {
        let mut unproven = self.lock();
        while let Some(entry) = unproven.first_entry()
            && entry.get().0.elapsed() > FIRST_REQUEST_TIMEOUT
        {
            let (_, evict) = entry.remove();
            evict.send(()).ok();
        }
    }
}

/// Accepts until `stop` is done, then answers what is held and waits until the answers are taken.
///
/// # Errors
///
/// Where the listener can't be used at all.
pub async fn serve(
    shared: Arc<Shared>,
    listener: std::net::TcpListener,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    SockRef::from(&listener).listen(BACKLOG)?;
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(most_connections()));
    let graceful = GracefulShutdown::new();
    let unproven = Arc::new(Unproven::default());
    let mut slow = tokio::time::interval(Duration::from_secs(1));
    let mut stop = std::pin::pin!(stop);
    let mut next_id: ConnectionId = 0;
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            _ = slow.tick() => {
                unproven.evict_slow();
                continue;
            }
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or a peer that is gone already: the next one may do better.
                    tracing::warn!(%error, "a connection can't be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let Some(permit) = place_for_one(&places, &unproven).await else {
            tracing::warn!(%peer, "too many connections: a new one is refused");
            continue;
        };
        next_id += 1;
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let evicted = unproven.add(next_id);
        let served = serve_one(
            Arc::clone(&shared),
            Arc::clone(&unproven),
            graceful.watcher(),
            stream,
            peer,
            next_id,
        );
        let (shared, unproven) = (Arc::clone(&shared), Arc::clone(&unproven));
        tokio::spawn(async move {
            let broken = tokio::select! {
                broken = served => broken,
                Ok(()) = evicted => {
                    tracing::debug!(%peer, "closed: no whole request came");
                    false
                }
            };
            unproven.remove(next_id);
            shared.fleet.closed(next_id, broken);
            shared.connections.fetch_sub(1, Ordering::Relaxed);
            drop(permit);
        });
    }
    drop(listener);
    let open = shared.connections.load(Ordering::Relaxed);
    tracing::info!(
        connections = open,
        "stopping: the polls that are held get their answer now"
    );
    // In this order: the answers must already say `Connection: close`. The first one signals when it is polled.
    let drained = async {
        let (drained, _) = tokio::join!(
            biased;
            tokio::time::timeout(DRAIN_GRACE, graceful.shutdown()),
            async { shared.stopping.send_replace(true) },
        );
        drained
    };
    let drained = tokio::select! {
        drained = drained => drained,
        // Half a request is no reason to keep the port closed for longer.
        never = async {
            tokio::time::sleep(UNPROVEN_GRACE).await;
            while unproven.evict_oldest() {}
            std::future::pending().await
        } => never,
    };
    if drained.is_err() {
        tracing::warn!("some peers did not take their answer in time");
    }
    tracing::info!("stopped");
    Ok(())
}

/// A place for one more connection; where there is none, one that has asked nothing yet gives way.
async fn place_for_one(
    places: &Arc<Semaphore>,
    unproven: &Unproven,
) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
        return Some(permit);
    }
    if !unproven.evict_oldest() {
        return None;
    }
    let freed = Arc::clone(places).acquire_owned();
    let freed = tokio::time::timeout(EVICTION_TIMEOUT, freed).await;
    freed.ok()?.ok()
}

/// One connection, from its first request to its end; gives whether it broke.
async fn serve_one(
    shared: Arc<Shared>,
    unproven: Arc<Unproven>,
    watcher: Watcher,
    stream: TcpStream,
    peer: SocketAddr,
    id: ConnectionId,
) -> bool {
    if let Err(error) = set_socket_options(&stream) {
        tracing::debug!(%peer, %error, "a socket option can't be set");
    }
    let tls = shared.tls.as_ref().map(|tls| tls.current());
    let Some(tls) = tls else {
        return serve_http(shared, unproven, watcher, stream, peer, id).await;
    };
    // What TLS needs would be a part of every connection's future otherwise.
    Box::pin(async {
        match tls.accept(stream).await {
            Ok(stream) => {
                serve_http(Arc::clone(&shared), unproven, watcher, stream, peer, id).await
            }
            Err(error) => {
                tracing::debug!(%peer, %error, "the TLS handshake failed");
                false
            }
        }
    })
    .await
}

/// HTTP over a stream, plain or of TLS; gives whether it broke, so that an answer may not have arrived.
async fn serve_http(
    shared: Arc<Shared>,
    unproven: Arc<Unproven>,
    watcher: Watcher,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    id: ConnectionId,
) -> bool {
    let service = service_fn(move |request| {
        unproven.remove(id);
        let shared = Arc::clone(&shared);
        async move { routes::answer(&shared, id, peer, request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_REQUEST_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    match watcher.watch(connection).await {
        Ok(()) => false,
        Err(error) => {
            tracing::debug!(%peer, %error, "a connection ended with an error");
            // Neither the silence after an answer nor what is no request says anything of an answer.
            !error.is_timeout() && !error.is_parse()
        }
    }
}

/// Answers go out at once; a peer that died silently is noticed.
fn set_socket_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(PEER_TIMEOUT)
        .with_interval(PEER_TIMEOUT / 3)
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(PEER_TIMEOUT))?;
    Ok(())
}

/// As many as the system allows files for, less the spare ones.
fn most_connections() -> usize {
    let files = rlimit::increase_nofile_limit(MAX_CONNECTIONS + SPARE_FILES).unwrap_or(1024);
    let most = files.saturating_sub(SPARE_FILES).clamp(64, MAX_CONNECTIONS);
    tracing::debug!(most, "connections at once");
    usize::try_from(most).unwrap_or(usize::MAX)
}
