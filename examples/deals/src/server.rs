//! What all services have in common: who they are, how they listen, and how they end.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use clap::Args;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long requests that run may take after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// Of which deployment this process is a part.
#[derive(Args, Clone, Debug)]
pub(crate) struct Deployment {
    /// The color, such as `blue`
    #[arg(long, env = "COLOR", value_parser = color)]
    pub(crate) color: String,
    /// What was deployed
    #[arg(long, env = "VERSION", default_value = env!("CARGO_PKG_VERSION"), value_parser = header_value)]
    pub(crate) version: String,
}

/// The names that bluegreen takes for colors. They are the beginning of session ids, too, which have no spaces.
fn color(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !text.is_empty() && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a color has letters, digits, `-` and `_` only".to_owned())
    }
}

/// It goes into a header, so it has to fit there.
fn header_value(text: &str) -> Result<String, String> {
    let fits = HeaderValue::from_str(text).is_ok() && !text.is_empty();
    if fits && text.is_ascii() {
        Ok(text.to_owned())
    } else {
        Err("a header can't hold this: give it some plain characters".to_owned())
    }
}

impl Deployment {
    /// What a service says of itself.
    pub(crate) fn card(&self, service: &str) -> Value {
        json!({ "service": service, "color": self.color, "version": self.version })
    }
}

/// Takes the address, before anything else is begun.
///
/// # Errors
///
/// The address can't be listened on.
pub(crate) async fn bind(listen: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(listen).await;
    listener.map_err(|error| format!("{listen} can't be listened on: {error}"))
}

/// Serves until SIGTERM or SIGINT, and then until everything that runs has ended, or the grace is over.
///
/// `stop` is cancelled at the signal, for streams that would not end by themselves.
///
/// # Errors
///
/// The system refuses something that every process may have.
pub(crate) async fn serve(
    service: &'static str,
    deployment: &Deployment,
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> Result<(), Box<dyn Error>> {
    // Before anybody can know that it listens: whoever does may stop it.
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let Deployment { color, version } = deployment;
    let address = listener.local_addr()?;
    announce(&format!(
        "{service} {color}, version {version}, listens on http://{address}"
    ));

    let signaled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        signaled.cancel();
    });

    // An answer must not wait for the acknowledgment of the one before.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let router = router.fallback(not_found);
    let router = with_headers(router.method_not_allowed_fallback(not_allowed), deployment)?;
    let stopped = stop.clone().cancelled_owned();
    let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
    tokio::select! {
        served = serving => Ok(served?),
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => {
            say("some requests did not end within the grace");
            Ok(())
        }
    }
}

/// Every answer tells which deployment gave it, also one that nothing is there.
fn with_headers(router: Router, deployment: &Deployment) -> Result<Router, Box<dyn Error>> {
    let color = HeaderValue::from_str(&deployment.color)?;
    let version = HeaderValue::from_str(&deployment.version)?;
    Ok(router.layer(map_response(move |mut response: Response| {
        let headers = response.headers_mut();
        headers.insert("x-color", color.clone());
        headers.insert("x-version", version.clone());
        std::future::ready(response)
    })))
}

async fn not_found(method: Method, uri: Uri) -> Response {
    let error = format!("there is no `{method} {}`", uri.path());
    (StatusCode::NOT_FOUND, Json(json!({ "error": error }))).into_response()
}

/// The path is there, but not for this method; which ones are is in the header `Allow`.
async fn not_allowed(method: Method, uri: Uri) -> Response {
    let error = format!("`{}` does not take {method}", uri.path());
    let body = Json(json!({ "error": error }));
    (StatusCode::METHOD_NOT_ALLOWED, body).into_response()
}

/// One line to stdout: where it listens. Nothing is lost with a reader that has gone.
fn announce(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One line to stderr: what the operator may want to know.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// An error with its causes, which it does not tell by itself.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
