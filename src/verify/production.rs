//! Production: every service answers through Traefik, and it is a color with traffic that answers.

use std::time::Duration;

use futures_util::future::join_all;
use hyper::StatusCode;
use hyper::header::HeaderName;

use super::Verify;
use super::ask::{Answer, NoAnswer, Request};
use super::measure::{Limits, Pauses, measure};
use super::report::{Kind, Line, Outcome};
use super::rule::wanted;
use crate::config::{Service, Stack};
use crate::traffic::Traffic;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The response header by which a service says which color it is.
const COLOR: HeaderName = HeaderName::from_static("x-color");

/// The statuses by which a middleware answers in a service's stead: it sends elsewhere, wants to know who asks, or has
/// had enough. That the service behind it is well is known from its own health.
const OF_A_MIDDLEWARE: [StatusCode; 7] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::TOO_MANY_REQUESTS,
];

/// Checks all services through Traefik, side by side.
pub(super) async fn check(verify: &Verify<'_>, traffic: &Traffic, limits: Limits) -> Vec<Line> {
    let Some(production) = &verify.stack.production else {
        let why = "the config does not say where production is (`production: http://127.0.0.1:80`)";
        return vec![verify.line(Line::skipped(Kind::Answer, "of every service", why))];
    };
    let check = async |(name, service): (&String, &Service)| {
        let (request, strict) = match request(production, service) {
            Ok(asked) => asked,
            Err(why) => return verify.line(Line::skipped(Kind::Answer, name, why)),
        };
        let attempt = async || match request.ask().await {
            Ok(answer) => judge(&request, &answer, strict, traffic, verify.stack),
            Err(NoAnswer::Unreachable(why)) => Outcome::Unmeasured(format!(
                "Traefik can't be asked: {}: {why}",
                request.shown()
            )),
            Err(NoAnswer::Broken(why)) => Outcome::Failed(format!("{}: {why}", request.shown())),
        };
        let name = name.clone();
        measure(
            Kind::Answer,
            name,
            limits,
            Pauses::LOOK,
            verify.tell,
            attempt,
        )
        .await
    };
    join_all(verify.stack.services.iter().map(check)).await
}

/// Whether Traefik answers at all where production is, whatever it says.
///
/// # Errors
///
/// Why not.
pub async fn reachable(stack: &Stack) -> Result<(), String> {
    let Some(production) = &stack.production else {
        return Ok(());
    };
    let request = Request::get(production, "/", TIMEOUT);
    match request.ask().await {
        Err(NoAnswer::Unreachable(why)) => Err(format!("{production}: {why}")),
        _ => Ok(()),
    }
}

/// What to ask of a service through Traefik, and whether its health tells what has to come.
fn request(production: &str, service: &Service) -> Result<(Request, bool), String> {
    let Some(wanted) = wanted(&service.rule) else {
        return Err(format!(
            "which request its rule matches can't be told ({}); a check with `on: [production]` can ask for it",
            service.rule
        ));
    };
    let best = service.health.as_deref().unwrap_or("/");
    let (path, is_best) = wanted.path_for(best);
    let mut request = Request::get(production, &path, TIMEOUT);
    request.host = wanted.host;
    for (name, value) in wanted.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        request.headers.push((name, value));
    }
    Ok((request, is_best && service.health.is_some()))
}

fn judge(
    request: &Request,
    answer: &Answer,
    strict: bool,
    traffic: &Traffic,
    stack: &Stack,
) -> Outcome {
    let asked = request.shown();
    let status = answer.status;
    let by_middleware = OF_A_MIDDLEWARE.contains(&status);
    let (good, expected) = match strict {
        true => (status.is_success() || by_middleware, "2xx"),
        false => (!status.is_server_error(), "no server error"),
    };
    if !good {
        return Outcome::Failed(format!(
            "{asked}: expected {expected}, got {}",
            answer.shown()
        ));
    }
    let named = answer
        .headers
        .get(COLOR)
        .and_then(|value| value.to_str().ok());
    let color = stack
        .colors
        .iter()
        .find(|color| Some(color.as_str()) == named);
    match color {
        Some(color) if traffic.weight(color) == 0 => Outcome::Failed(format!(
            "{asked}: {color} answered (X-Color), and has no traffic: that is {traffic}"
        )),
        Some(color) => Outcome::Passed(format!("{status}, {color} answered")),
        None if by_middleware => Outcome::Passed(format!(
            "{status}, by a middleware: which color is behind it is not told"
        )),
        None => Outcome::Passed(format!(
            "{status}; which color answered is not told (no X-Color)"
        )),
    }
}

/// The server, the host and the headers with which a service is reached through Traefik, for a smoke test.
pub(super) fn base(stack: &Stack, service: &str) -> Option<Base> {
    let wanted = wanted(&stack.services.get(service)?.rule).unwrap_or_default();
    Some(Base {
        server: stack.production.clone()?,
        host: wanted.host,
        headers: wanted.headers,
    })
}

/// Where a service is reached.
pub(super) struct Base {
    /// Scheme, host and port.
    pub(super) server: String,
    /// The name to ask for, where it is not the server's own.
    pub(super) host: Option<String>,
    /// Headers that the rule of its router wants.
    pub(super) headers: Vec<(String, String)>,
}
