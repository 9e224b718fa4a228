//! `healthcheck`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{Common, Exit, Failure, block_on, print, talk};
use crate::serve::tls;

/// Longer than any answer of `/readyz`, in bytes.
const MAX_BODY: usize = 4096;

/// Asks the provider on this machine whether it has a document to serve; made for a container's health check.
///
/// It takes the same settings as `serve`, so in a container that sets them by the environment it needs no argument.
/// While the store is away a provider that serves its last good traffic is healthy. Exit codes: 0 it has a document;
/// 1 it has none, or does not answer within --timeout; 2 usage mistake.
#[derive(Debug, Args)]
pub struct Healthcheck {
    /// The address that `serve` listens on; `0.0.0.0` and `[::]` are asked over loopback
    #[arg(
        long,
        env = "BLUEGREEN_LISTEN",
        default_value = "127.0.0.1:9000",
        value_name = "ADDRESS"
    )]
    listen: String,
    /// The certificate of `serve`: it speaks TLS. Another one is taken, too, and said
    #[arg(long, env = "BLUEGREEN_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
}

impl Healthcheck {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// The provider does not answer, or has no document.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self { listen, tls_cert } = self;
        let address = over_loopback(&listen);
        let answer = block_on(async {
            let answer = tokio::time::timeout(common.timeout, ask(&address, tls_cert.as_deref()));
            let silent = || format!("{address} does not answer within {:?}", common.timeout);
            match answer.await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(format!("{address} can't be asked: {error}")),
                Err(_) => Err(silent()),
            }
            .map_err(|message| Failure::new(Exit::Failed, message))
        })?;
        match answer {
            Answer::Ready => {
                if !common.quiet {
                    print("ready");
                }
                Ok(())
            }
            Answer::CertificateRequired => {
                if !common.quiet {
                    print("it listens, and asks for a client certificate");
                }
                Ok(())
            }
            Answer::Not(status, why) => Err(Failure::new(
                Exit::Failed,
                format!("{address} answers {}: {}", status.as_u16(), why.trim_end()),
            )),
        }
    }
}

/// What came of asking.
enum Answer {
    Ready,
    /// It speaks TLS, and answers only those that have a certificate themselves.
    CertificateRequired,
    Not(StatusCode, String),
}

/// Where to reach what listens on this address from the same machine.
fn over_loopback(listen: &str) -> String {
    let Ok(mut address) = listen.parse::<SocketAddr>() else {
        return listen.to_owned();
    };
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address.to_string()
}

async fn ask(address: &str, certificate: Option<&Path>) -> io::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let Some(certificate) = certificate else {
        return ready(address, stream).await;
    };
    let name = ServerName::IpAddress(stream.peer_addr()?.ip().into());
    // Nothing secret is told, and nothing but health is asked: a certificate that was replaced, and that the provider
    // has yet to take over or refuses, makes it no less healthy.
    let stream = tls::connector_to_anybody().connect(name, stream).await?;
    let shown = stream.get_ref().1.peer_certificates();
    let shown = shown.and_then(<[_]>::first);
    match tls::certificates(certificate) {
        Ok(given) if given.first() == shown => {}
        Ok(_) => talk(&format!(
            "note: it shows another certificate than {} holds",
            certificate.display()
        )),
        Err(error) => talk(&format!("note: {error}")),
    }
    match ready(address, stream).await {
        Err(error) if certificate_required(&error) => Ok(Answer::CertificateRequired),
        answer => answer,
    }
}

async fn ready<S>(address: &str, stream: S) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let request = Request::get("/readyz").header(HOST, address);
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let answer = async {
        let answer = sender.send_request(request).await;
        let (parts, body) = answer.map_err(io::Error::other)?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        Ok(match parts.status {
            StatusCode::OK => Answer::Ready,
            status => Answer::Not(status, String::from_utf8_lossy(&body).into_owned()),
        })
    };
    tokio::select! {
        answer = answer => answer,
        // It ends before the answer only with an error, which says more than the request's.
        Err(error) = connection => Err(io::Error::other(error)),
    }
}

/// Whether the server has refused a client that shows no certificate (RFC 8446, section 6.2; it speaks TLS 1.3).
fn certificate_required(error: &io::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|inner| inner as _);
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref());
        if let Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) = inner {
            return true;
        }
        cause = error.source();
    }
    false
}
