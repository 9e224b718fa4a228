//! `/health`, and the command that asks for it.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use clap::Args;

use crate::server::{Deployment, told};

/// How long what a service depends on may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What `/health` answers: 200, or 503 with why the service can't work.
pub(crate) fn answer(
    service: &str,
    deployment: &Deployment,
    works: Result<(), String>,
) -> Response {
    let mut body = deployment.card(service);
    let status = match works {
        Ok(()) => {
            body["status"] = "ok".into();
            StatusCode::OK
        }
        Err(why) => {
            body["status"] = "unavailable".into();
            body["why"] = why.into();
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    (status, Json(body)).into_response()
}

/// Asks the service in this container for its `/health`: for an image that has no curl.
#[derive(Args, Debug)]
pub(crate) struct Healthcheck {
    /// The address that the service listens on; `0.0.0.0` and `[::]` are asked over loopback
    #[arg(long, env = "LISTEN")]
    listen: SocketAddr,
}

impl Healthcheck {
    /// # Errors
    ///
    /// Anything but 200.
    pub(crate) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self { mut listen } = self;
        match listen.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let url = format!("http://{listen}/health");
        // The service's own patience comes first.
        let client = reqwest::Client::builder().timeout(2 * PATIENCE).no_proxy();
        let asked = client.build()?.get(&url).send().await;
        let answer = asked.map_err(|error| told(&error))?;
        if answer.status() == reqwest::StatusCode::OK {
            return Ok(());
        }
        let status = answer.status();
        Err(format!("{url} answers {status}: {}", answer.text().await?).into())
    }
}
