//! A server for smoke tests: it tells what it was asked, and remembers it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The server.
///
/// `/health` is 200. `/status/500` answers with that status, `/silent` never, `/events` with two events. Everything else
/// is answered with JSON that says what came: `n`, which counts, `method`, `path`, `host`, `token` (a header) and `body`,
/// as JSON where it is some. Every answer has the headers `X-Color: green` and `X-Token: t-N`.
pub(super) struct Desk {
    address: SocketAddr,
    asked: Asked,
    _running: JoinSet<()>,
}

/// Methods and paths, as in `GET /`.
type Asked = Arc<Mutex<Vec<String>>>;

impl Desk {
    pub(super) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Asked::default();
        let mut running = JoinSet::new();
        let log = Arc::clone(&asked);
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                connections.spawn(async move {
                    let answer = service_fn(|request| answer(request, Arc::clone(&log)));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer);
                    // Clients go away whenever they like.
                    let _ = connection.await;
                });
            }
        });
        Self {
            address,
            asked,
            _running: running,
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked beside its health, such as `GET /items`.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    log: Asked,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = head.uri.path_and_query().unwrap().as_str();
    if path == "/health" {
        return Ok(Response::new(Full::default()));
    }
    let n = {
        let mut log = log.lock().unwrap();
        log.push(format!("{} {path}", head.method));
        log.len()
    };
    let mut response = Response::builder()
        .header("X-Color", "green")
        .header("X-Token", format!("t-{n}"));
    if path == "/silent" {
        std::future::pending::<()>().await;
    }
    if path == "/events" {
        let events =
            "event: message\r\ndata: {\"n\":\r\ndata: 1}\r\n\r\ndata: {\"n\": 2}\n\n: bye\n\n";
        let response = response.header("Content-Type", "text/event-stream");
        return Ok(response.body(Full::from(events)).unwrap());
    }
    if let Some(status) = path.strip_prefix("/status/") {
        response = response.status(status.parse::<u16>().unwrap());
        return Ok(response.body(Full::from("the desk is closed")).unwrap());
    }
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap());
    let text = String::from_utf8_lossy(&body);
    let json = json!({
        "n": n, "method": head.method.as_str(), "path": path, "host": header("Host"), "token": header("X-Token"),
        "type": header("Content-Type"), "body": serde_json::from_str(&text).unwrap_or(Value::from(text)),
    });
    Ok(response.body(Full::from(json.to_string())).unwrap())
}
