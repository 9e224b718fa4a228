//! A plain HTTP client: one GET, or many on one keep-alive connection.

use std::net::SocketAddr;
use std::time::Duration;

use bluegreen::serve::tls::connector_to_anybody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Above every hold and every slow answer that a test asks for; only what hangs gets here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Which color's backend answered.
    pub(crate) fn color(&self) -> Option<&str> {
        self.header("x-color")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON: {error}: {self:?}"))
    }
}

/// One connection that stays open.
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|e| format!("connect: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        Self::over(stream).await
    }

    /// One over TLS, and the certificate that is shown, whatever it is.
    pub(crate) async fn open_tls(address: SocketAddr) -> Result<(Self, Vec<u8>), String> {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let stream = TcpStream::connect(address)
            .await
            .map_err(|e| format!("connect: {e}"))?;
        let name = ServerName::from(address.ip());
        let stream = connector_to_anybody().connect(name, stream).await;
        let stream = stream.map_err(|e| format!("TLS: {e}"))?;
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let shown = shown.first().map(|first| first.to_vec());
        Ok((Self::over(stream).await?, shown.unwrap_or_default()))
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, String> {
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|e| e.to_string())?;
        // Ends when the sender is dropped; its error reaches the sender, too.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    pub(crate) async fn get(
        &mut self,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        self.send(Method::GET, host, path, headers, Bytes::new())
            .await
    }

    /// Any request.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body)).map_err(|e| e.to_string())?;
        let whole = async {
            self.0.ready().await?;
            let (parts, body) = self.0.send_request(request).await?.into_parts();
            let (status, headers) = (parts.status.as_u16(), parts.headers);
            Ok(Answer {
                status,
                headers,
                body: body.collect().await?.to_bytes(),
            })
        };
        match tokio::time::timeout(PATIENCE, whole).await {
            Ok(answer) => answer.map_err(|e: hyper::Error| format!("{e:?}")),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        }
    }
}

/// One GET on a connection of its own.
pub(crate) async fn get(
    address: SocketAddr,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Answer, String> {
    Connection::open(address)
        .await?
        .get(host, path, headers)
        .await
}

/// One request with a JSON body, or without a body where it is null, on a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    method: Method,
    host: &str,
    path: &str,
    body: &serde_json::Value,
) -> Result<Answer, String> {
    let json = [("Content-Type", "application/json")];
    let (headers, body) = match body {
        serde_json::Value::Null => (&json[..0], Bytes::new()),
        body => (&json[..], body.to_string().into()),
    };
    let mut connection = Connection::open(address).await?;
    connection.send(method, host, path, headers, body).await
}
