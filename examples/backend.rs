//! Stands in for the services of a stack: it says which service and which color it is.
//!
//! ```text
//! backend --listen 127.0.0.1:8091 --name api --color blue [--listen ... --name ... --color ...]...
//! ```
//!
//! | route | answer |
//! | --- | --- |
//! | `/health` | 200 |
//! | `/slow?ms=500` | late; it ends on the color on which it began, also when the traffic moves meanwhile |
//! | `/stream` | server-sent events, every 200 ms until the client goes |
//! | any other | one line of JSON |
//!
//! SIGTERM ends it: new connections are refused, what runs is finished, streams are ended.

#![allow(clippy::print_stdout, reason = "it says where it listens")]

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::{Request, Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Interval;

/// The time between two events of `/stream`.
const EVENT_EVERY: Duration = Duration::from_millis(200);

/// The longest that `/slow` takes, and that SIGTERM waits for it.
const SLOWEST: Duration = Duration::from_secs(60);

const USAGE: &str = "usage: backend --listen ADDRESS --name NAME --color COLOR [...]";

/// One server: a color of a service.
#[derive(Default)]
struct Server {
    name: String,
    color: String,
    requests: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let mut servers = JoinSet::new();
    for (address, server) in parse(std::env::args().skip(1))? {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| format!("cannot listen on {address}: {e}"))?;
        println!(
            "{} {} listens on http://{}",
            server.name,
            server.color,
            listener.local_addr()?
        );
        servers.spawn(serve(listener, Arc::new(server), stopped.clone()));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.send_replace(true);
    servers.join_all().await;
    Ok(())
}

/// Every `--listen` begins one more server.
fn parse(
    mut args: impl Iterator<Item = String>,
) -> Result<Vec<(SocketAddr, Server)>, Box<dyn Error>> {
    let mut servers: Vec<(SocketAddr, Server)> = Vec::new();
    while let Some(flag) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        if flag == "--listen" {
            let address = value.parse().map_err(|e| format!("`{value}`: {e}"))?;
            servers.push((address, Server::default()));
            continue;
        }
        let (_, server) = servers.last_mut().ok_or(USAGE)?;
        match flag.as_str() {
            "--name" => server.name = value,
            "--color" => server.color = value,
            _ => return Err(USAGE.into()),
        }
    }
    let complete = servers
        .iter()
        .all(|(_, server)| !server.name.is_empty() && !server.color.is_empty());
    if servers.is_empty() || !complete {
        Err(USAGE.into())
    } else {
        Ok(servers)
    }
}

/// Serves until it is to stop, and then until everything that runs has ended.
async fn serve(listener: TcpListener, server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let stopped = stop.clone();
    let mut stop = pin!(stop.wait_for(|stop| *stop));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, Arc::clone(&server), stopped.clone()));
            }
            // Out of file descriptors, or the peer has gone already: neither ends a server.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(SLOWEST, connections.join_all()).await;
}

/// One connection, until the client goes, or until the answer that runs when the server is to stop.
async fn converse(stream: TcpStream, server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    let stopped = stop.clone();
    let answer = service_fn(|request| answer(request, Arc::clone(&server), stopped.clone()));
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    tokio::select! {
        // An error is a client that went away.
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(
    request: Request<Incoming>,
    server: Arc<Server>,
    stopped: watch::Receiver<bool>,
) -> Result<Answer, Infallible> {
    let Server {
        name,
        color,
        requests,
    } = &*server;
    let requests = requests.fetch_add(1, Ordering::Relaxed) + 1;
    let path = request.uri().path();
    let (kind, body) = match path {
        "/stream" => ("text/event-stream", Events::new(&server, stopped).boxed()),
        _ => {
            if path == "/slow" {
                tokio::time::sleep(delay(request.uri().query())).await;
            }
            let line = json!({ "name": name, "color": color, "path": path, "requests": requests });
            ("application/json", Full::from(format!("{line}\n")).boxed())
        }
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert("Content-Type", kind.parse().expect("it is plain ASCII"));
    // A name that cannot be a header's value is still in the body.
    if let Ok(color) = color.parse() {
        response.headers_mut().insert("X-Color", color);
    }
    Ok(response)
}

/// What `ms=500` asks for.
fn delay(query: Option<&str>) -> Duration {
    let ms = query.and_then(|query| query.strip_prefix("ms=")?.parse().ok());
    Duration::from_millis(ms.unwrap_or(500)).min(SLOWEST)
}

/// Server-sent events, until the client goes or the server stops.
struct Events {
    event: Bytes,
    ticks: Interval,
    stopped: watch::Receiver<bool>,
}

impl Events {
    fn new(server: &Server, stopped: watch::Receiver<bool>) -> Self {
        let event = format!("data: {} {}\n\n", server.name, server.color).into();
        Self {
            event,
            ticks: tokio::time::interval(EVENT_EVERY),
            stopped,
        }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // Looking once per event is soon enough to end.
        self.ticks.poll_tick(context).map(|_| {
            let stopped = *self.stopped.borrow();
            (!stopped).then(|| Ok(Frame::data(self.event.clone())))
        })
    }
}
