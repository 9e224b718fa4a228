//! Applied: whether the Traefik at production routes by a document, as its marker's router tells.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::StatusCode;
use hyper::header::HOST;

use super::ask::Request;
use crate::document::{MARKER_HOST, MARKER_PATH};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// More documents than one fleet has at once are not asked for.
const MOST: usize = 16;

/// Whether production routes by the document of one of these revisions. One that can't be asked does not.
pub async fn routes_by(production: &str, revisions: &BTreeSet<String>) -> bool {
    let revisions = revisions.iter().take(MOST);
    let asked = join_all(revisions.map(|revision| answers_for(production, revision)));
    asked.await.contains(&true)
}

async fn answers_for(production: &str, revision: &str) -> bool {
    let mut request = Request::get(production, &format!("{MARKER_PATH}{revision}"), TIMEOUT);
    // Over TLS production is called by its own name: nobody has a certificate of the marker's host.
    request.headers.push((HOST, MARKER_HOST.to_owned()));
    let mut status = request.ask().await.map(|answer| answer.status);
    if matches!(status, Ok(StatusCode::MISDIRECTED_REQUEST)) {
        // That name has TLS options of its own, which Traefik takes for no other host.
        request.host = Some(MARKER_HOST.to_owned());
        status = request.ask().await.map(|answer| answer.status);
    }
    matches!(status, Ok(StatusCode::IM_A_TEAPOT))
}
