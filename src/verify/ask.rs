//! One HTTP request, and its answer.

use std::error::Error;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::AlertDescription as Alert;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Url;

use crate::check::Body;
use crate::printable::beginning;
use crate::serve::tls;
use crate::template::{Values, fill, fill_json};

/// How much of a body is read unless the request says otherwise, in bytes.
const MOST: usize = 1 << 20;

/// How much of a body is shown, in characters.
const SHOWN: usize = 200;

/// A request. It has a connection of its own, follows no redirect and uses no proxy.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Scheme, host and port.
    pub(crate) server: String,
    /// The path, with a query where there is one.
    pub(crate) path: String,
    /// The name that is asked for, where it is not the server's own.
    pub(crate) host: Option<String>,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Option<String>,
    /// How long the answer may take.
    pub(crate) timeout: Duration,
    /// More of the answer's body is not read, in bytes.
    pub(crate) most: usize,
    /// Whose certificates are good.
    pub(crate) trust: Trust,
}

/// Whose certificates are good.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trust {
    /// Anybody's: who shows them is not what is verified, and is told nothing that is secret.
    Anybody,
    /// Those that this host trusts.
    Host,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
pub(crate) enum NoAnswer {
    /// Nobody could be asked.
    Unreachable(String),
    /// Who was asked did not answer, or not in full.
    Broken(String),
    /// Who was asked refuses to speak TLS with somebody who shows no certificate.
    ClientCertificate(String),
}

impl NoAnswer {
    /// A connection that broke off.
    fn of(error: &(dyn Error + 'static)) -> Self {
        let why = cause(error);
        match wants_certificate(error) {
            true => Self::ClientCertificate(why),
            false => Self::Broken(why),
        }
    }

    /// Why, in words.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Unreachable(why) | Self::Broken(why) | Self::ClientCertificate(why) => why,
        }
    }
}

impl Request {
    /// A GET.
    pub(crate) fn get(server: &str, path: &str, timeout: Duration) -> Self {
        Self {
            method: Method::GET,
            server: server.to_owned(),
            path: path.to_owned(),
            host: None,
            headers: Vec::new(),
            body: None,
            timeout,
            most: MOST,
            trust: Trust::Anybody,
        }
    }

    /// The same with these headers and this body as well, with the values in their texts.
    pub(crate) fn with(
        mut self,
        headers: &[(HeaderName, String)],
        body: &Body,
        values: &Values,
    ) -> Self {
        for (name, value) in headers {
            if name == HOST {
                self.host = Some(fill(value, values));
            } else {
                self.headers.push((name.clone(), fill(value, values)));
            }
        }
        match body {
            Body::None => {}
            Body::Text(text) => self.body = Some(fill(text, values)),
            Body::Json(json) => {
                self.body = Some(fill_json(json, values).to_string());
                if !headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
                    let kind = "application/json".to_owned();
                    self.headers.push((CONTENT_TYPE, kind));
                }
            }
        }
        self
    }

    /// It in words: `GET http://127.0.0.1:80/health (api.localhost)`.
    pub(super) fn shown(&self) -> String {
        let host = self.host.as_ref().map(|host| format!(" ({host})"));
        let Self {
            method,
            server,
            path,
            ..
        } = self;
        format!("{method} {server}{path}{}", host.unwrap_or_default())
    }

    /// Asks.
    pub(crate) async fn ask(&self) -> Result<Answer, NoAnswer> {
        let late = || format!("no answer within {:?}", self.timeout);
        let within = tokio::time::Instant::now() + self.timeout;
        let unreachable = |error: &dyn Error| NoAnswer::Unreachable(cause(error));
        let url = Url::parse(&self.server).map_err(|error| unreachable(&error))?;
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        // An IPv6 address stands in brackets in a URL.
        let address = (host.trim_matches(['[', ']']), port);
        let stream = tokio::time::timeout_at(within, TcpStream::connect(address))
            .await
            .map_err(|_| NoAnswer::Unreachable(late()))?
            .map_err(|error| unreachable(&error))?;
        let asked = async {
            let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
            if url.scheme() != "https" {
                return self.send(authority, stream).await;
            }
            let named = match &self.host {
                // A port is none of TLS's business.
                Some(host) => host.split(':').next().unwrap_or(host),
                None => address.0,
            };
            let name = ServerName::try_from(named.to_owned());
            let name = name.map_err(|error| NoAnswer::of(&error))?;
            let connector = match self.trust {
                Trust::Anybody => tls::connector_to_anybody(),
                Trust::Host => tls::connector_to_known(),
            };
            let stream = connector.connect(name, stream).await;
            self.send(authority, stream.map_err(|error| NoAnswer::of(&error))?)
                .await
        };
        let answer = tokio::time::timeout_at(within, asked).await;
        answer.map_err(|_| NoAnswer::Broken(late()))?
    }

    /// Asks over a connection; `authority` is the server's own name, with its port.
    async fn send<S>(&self, authority: &str, stream: S) -> Result<Answer, NoAnswer>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let body = Full::new(Bytes::from(self.body.clone().unwrap_or_default()));
        let mut request = hyper::Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self
            .path
            .parse()
            .map_err(|error| NoAnswer::Broken(format!("the path {}: {error}", self.path)))?;
        let agent = concat!("bluegreen/", env!("CARGO_PKG_VERSION")).to_owned();
        let given = [
            (
                HOST,
                self.host.clone().unwrap_or_else(|| authority.to_owned()),
            ),
            (USER_AGENT, agent),
        ];
        for (name, value) in given.iter().chain(&self.headers) {
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|error| NoAnswer::Broken(format!("the header {name}: {error}")))?;
            request.headers_mut().insert(name, value);
        }
        let in_words = |error: hyper::Error| NoAnswer::of(&error);
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(in_words)?;
        let answer = async {
            let (parts, body) = sender
                .send_request(request)
                .await
                .map_err(in_words)?
                .into_parts();
            let body = Limited::new(body, self.most).collect().await;
            let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => NoAnswer::Broken(format!("the body has more than {} bytes", self.most)),
                None => NoAnswer::Broken(format!("the answer broke off: {}", cause(&*error))),
            })?;
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes(),
            })
        };
        tokio::select! {
            answer = answer => answer,
            // It ends before the answer only with an error, which says more than the request's.
            Err(error) = connection => Err(NoAnswer::of(&error)),
        }
    }
}

impl Answer {
    /// The JSON of the body; of an event stream, that of its last event that has some.
    pub(super) fn json(&self) -> Option<Value> {
        let kind = self.headers.get(CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if !is_stream {
            return serde_json::from_slice(&self.body).ok();
        }
        let text = String::from_utf8_lossy(&self.body).replace("\r\n", "\n");
        let events = text.split("\n\n").map(|event| {
            let data = event.lines().filter_map(|line| line.strip_prefix("data:"));
            data.collect::<Vec<_>>().join("\n")
        });
        let jsons: Vec<_> = events
            .filter_map(|data| serde_json::from_str(&data).ok())
            .collect();
        jsons.into_iter().next_back()
    }

    /// The status and the first of the body, for a message.
    pub(crate) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4 * SHOWN)]);
        if text.trim().is_empty() {
            return self.status.to_string();
        }
        // On one line, whatever the body's layout is.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{}: `{}`", self.status, beginning(&text, SHOWN))
    }
}

/// Whether an error is that of a TLS server which wants to see a client's certificate.
fn wants_certificate(error: &(dyn Error + 'static)) -> bool {
    // What an I/O error wraps is not its source.
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        // As it is in TLS 1.3, and as servers of Go and OpenSSL say it in TLS 1.2.
        Some(rustls::Error::AlertReceived(
            Alert::CertificateRequired | Alert::BadCertificate | Alert::HandshakeFailure,
        )) => true,
        _ => error.source().is_some_and(wants_certificate),
    }
}

/// The innermost cause of an error: what is around it only repeats the URL.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
