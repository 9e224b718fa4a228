//! The servers behind Traefik: one service in several colors, in this process.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::{Request, Response, StatusCode, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Interval;

use super::eventually;
use super::port::{free_port, loopback};

/// The share of a color is that of the newest so many requests that came for the service through Traefik.
const SHARE_OF: usize = 40;

/// The time between two events of `/stream`.
const EVENT_EVERY: Duration = Duration::from_millis(20);

/// One service, with a server for each color.
///
/// Every answer carries `X-Color` and `X-Service`. `/health` is 200 unless told otherwise, `/slow?ms=500` answers late,
/// `/stream` sends events until the client goes; everything else answers at once with a line of text. A test can change
/// all of that while it runs.
pub(crate) struct Backend {
    colors: BTreeMap<String, Server>,
}

struct Server {
    state: Arc<State>,
    address: SocketAddr,
    /// Dropping it cuts all connections, and closes the port.
    running: JoinSet<()>,
}

struct State {
    service: String,
    color: String,
    requests: AtomicU64,
    /// Those of them that came for a public name, through Traefik.
    in_public: AtomicU64,
    healthy: AtomicBool,
    manners: Mutex<Manners>,
    /// To which color the newest requests of the service came through Traefik.
    newest: Arc<Mutex<VecDeque<String>>>,
}

/// How a server answers where it does not do so well.
#[derive(Default)]
struct Manners {
    /// The status of each path that has one.
    of_paths: BTreeMap<String, StatusCode>,
    /// The status of whatever comes through Traefik.
    in_public: Option<StatusCode>,
    /// The color that it says it is.
    says: Option<String>,
    /// The share that it bears, and what it does with more.
    overload: Option<(f64, Overload)>,
}

/// What a color does that gets a larger share of the requests than it bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overload {
    /// It answers with 500.
    Fails,
    /// It answers so much later.
    Slow(Duration),
}

impl State {
    /// The share of this color, with a request that comes through Traefik.
    fn share(&self) -> f64 {
        let mut newest = self.newest.lock().unwrap();
        newest.push_back(self.color.clone());
        while newest.len() > SHARE_OF {
            newest.pop_front();
        }
        let own = newest.iter().filter(|color| **color == self.color).count();
        own as f64 / SHARE_OF as f64
    }
}

impl Backend {
    pub(crate) async fn start(service: &str, colors: &[&str]) -> Self {
        let mut servers = BTreeMap::new();
        let newest = Arc::default();
        for &color in colors {
            let state = Arc::new(State {
                service: service.into(),
                color: color.into(),
                requests: AtomicU64::new(0),
                in_public: AtomicU64::new(0),
                healthy: AtomicBool::new(true),
                manners: Mutex::default(),
                newest: Arc::clone(&newest),
            });
            let address = loopback(free_port());
            let running = serve(address, &state).await;
            servers.insert(
                color.to_owned(),
                Server {
                    state,
                    address,
                    running,
                },
            );
        }
        Self { colors: servers }
    }

    /// `http://127.0.0.1:PORT`
    #[track_caller]
    pub(crate) fn url(&self, color: &str) -> String {
        format!("http://{}", self.colors[color].address)
    }

    #[track_caller]
    pub(crate) fn address(&self, color: &str) -> SocketAddr {
        self.colors[color].address
    }

    /// How many requests this color got so far, health checks included.
    #[track_caller]
    pub(crate) fn requests(&self, color: &str) -> u64 {
        self.colors[color].state.requests.load(Ordering::Relaxed)
    }

    /// How many of them came for a public name, as Traefik passes it on.
    #[track_caller]
    pub(crate) fn requests_in_public(&self, color: &str) -> u64 {
        self.colors[color].state.in_public.load(Ordering::Relaxed)
    }

    /// The status with which this path answers from now on.
    #[track_caller]
    pub(crate) fn set_status(&self, color: &str, path: &str, status: u16) {
        let mut manners = self.colors[color].state.manners.lock().unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        manners.of_paths.insert(path.into(), status);
    }

    /// The status with which everything that comes through Traefik is answered from now on. Whoever asks the server
    /// itself finds it well.
    #[track_caller]
    pub(crate) fn set_status_in_public(&self, color: &str, status: u16) {
        let mut manners = self.colors[color].state.manners.lock().unwrap();
        manners.in_public = Some(StatusCode::from_u16(status).unwrap());
    }

    /// What it does from now on once its share of the requests that come through Traefik is larger than this.
    #[track_caller]
    pub(crate) fn bears(&self, color: &str, share: f64, overload: Overload) {
        let mut manners = self.colors[color].state.manners.lock().unwrap();
        manners.overload = Some((share, overload));
    }

    /// The color that it says it is from now on.
    #[track_caller]
    pub(crate) fn says(&self, color: &str, other: &str) {
        let mut manners = self.colors[color].state.manners.lock().unwrap();
        manners.says = Some(other.into());
    }

    /// What `/health` answers from now on: 200 or 503.
    #[track_caller]
    pub(crate) fn set_healthy(&self, color: &str, healthy: bool) {
        self.colors[color]
            .state
            .healthy
            .store(healthy, Ordering::Relaxed);
    }

    /// Closes the color's port and cuts its connections.
    pub(crate) async fn stop(&mut self, color: &str) {
        self.colors.get_mut(color).unwrap().running.shutdown().await;
    }

    /// Listens again, on the same port.
    pub(crate) async fn restart(&mut self, color: &str) {
        self.stop(color).await;
        let server = self.colors.get_mut(color).unwrap();
        server.running = serve(server.address, &server.state).await;
    }
}

async fn serve(address: SocketAddr, state: &Arc<State>) -> JoinSet<()> {
    // A process that is being started by another test holds the probe of the port for a moment, until its exec.
    let listener = eventually("the port is free", Duration::from_secs(5), async || {
        TcpListener::bind(address).await
    })
    .await;
    let state = Arc::clone(state);
    let mut running = JoinSet::new();
    running.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let _ = stream.set_nodelay(true);
            let state = Arc::clone(&state);
            connections.spawn(async move {
                let answer = service_fn(|request| answer(request, Arc::clone(&state)));
                // Clients go away whenever they like.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
            while connections.try_join_next().is_some() {}
        }
    });
    running
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Answer, Infallible> {
    let n = state.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let State { service, color, .. } = &*state;
    let path = request.uri().path();
    let host = request.headers().get(hyper::header::HOST);
    let is_public = host.is_some_and(|host| host.as_bytes().ends_with(b".localhost"));
    if is_public {
        state.in_public.fetch_add(1, Ordering::Relaxed);
    }
    let share = if is_public { state.share() } else { 0.0 };
    let (says, status, overload) = {
        let manners = state.manners.lock().unwrap();
        let of_path = manners.of_paths.get(path).copied();
        let in_public = manners.in_public.filter(|_| is_public);
        let overload = manners.overload.filter(|(bears, _)| share > *bears);
        let overload = overload.map(|(_, overload)| overload);
        (manners.says.clone(), in_public.or(of_path), overload)
    };
    let status = match overload {
        Some(Overload::Fails) => Some(StatusCode::INTERNAL_SERVER_ERROR),
        Some(Overload::Slow(late)) => {
            tokio::time::sleep(late).await;
            status
        }
        None => status,
    };
    let mut response = Response::builder()
        .status(status.unwrap_or(StatusCode::OK))
        .header("X-Service", service)
        .header("X-Color", says.as_ref().unwrap_or(color));
    if path == "/stream" {
        response = response.header("Content-Type", "text/event-stream");
        let ticks = tokio::time::interval(EVENT_EVERY);
        return Ok(response
            .body(
                Events {
                    color: color.clone(),
                    ticks,
                }
                .boxed(),
            )
            .unwrap());
    }
    if path == "/health" && !state.healthy.load(Ordering::Relaxed) {
        response = response.status(StatusCode::SERVICE_UNAVAILABLE);
    }
    if path == "/slow" {
        let ms = request
            .uri()
            .query()
            .and_then(|query| query.strip_prefix("ms=")?.parse().ok());
        tokio::time::sleep(Duration::from_millis(ms.unwrap_or(500))).await;
    }
    // Whatever came with the request is read, so that the connection can be used again.
    let _ = request.collect().await;
    let line = format!("{service} {color} {n}\n");
    Ok(response.body(Full::from(line).boxed()).unwrap())
}

/// Server-sent events without an end, each naming the color.
struct Events {
    color: String,
    ticks: Interval,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.ticks
            .poll_tick(context)
            .map(|_| Some(Ok(Frame::data(format!("data: {}\n\n", self.color).into()))))
    }
}
