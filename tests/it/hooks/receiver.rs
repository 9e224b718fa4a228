//! A server that keeps what it is sent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A server. Dropped, it is gone.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    _running: JoinSet<()>,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Got {
    /// Its method, path and query.
    pub(super) line: String,
    /// Its headers, a line each.
    pub(super) headers: Vec<String>,
    pub(super) body: String,
}

/// What it answers: a status, and a text that may repeat what came.
pub(super) type Answer = fn(&Got) -> (u16, String);

impl Receiver {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let mut running = JoinSet::new();
        let kept = Arc::clone(&got);
        running.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let keep = service_fn(move |request| keep(request, answer, Arc::clone(&kept)));
                // Clients go away whenever they like.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), keep)
                    .await;
            }
        });
        Self {
            address,
            got,
            _running: running,
        }
    }

    /// What came so far.
    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn keep(
    request: Request<Incoming>,
    answer: Answer,
    kept: Arc<Mutex<Vec<Got>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.iter();
    let headers = headers
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    let got = Got {
        line: format!("{} {}", parts.method, parts.uri),
        headers: headers.collect(),
        body: String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap(),
    };
    let (status, text) = answer(&got);
    kept.lock().unwrap().push(got);
    let response = Response::builder().status(status);
    Ok(response.body(Full::from(text)).unwrap())
}
