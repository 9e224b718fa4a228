//! The health of each server of a color, each replica by itself.

use std::time::Duration;

use futures_util::future::join_all;

use super::Verify;
use super::ask::Request;
use super::measure::{Limits, Pauses, measure};
use super::report::{Kind, Line, Outcome};
use crate::color::Color;
use crate::config::{Servers, Stack};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long one answer may take where somebody only wants to see what runs.
pub const GLANCE: Duration = Duration::from_secs(1);

/// A server, and what to ask of it, or why it is not asked.
type Planned = (String, Result<Request, String>);

/// Checks all servers of a color, side by side.
pub(super) async fn check(verify: &Verify<'_>, color: &Color, limits: Limits) -> Vec<Line> {
    let check = async |(name, asked): Planned| match asked {
        Err(why) => verify.line(Line::skipped(Kind::Health, name, why)),
        Ok(request) => {
            let attempt = async || is_well(&request).await;
            measure(
                Kind::Health,
                name,
                limits,
                Pauses::LOOK,
                verify.tell,
                attempt,
            )
            .await
        }
    };
    join_all(planned(verify.stack, color, TIMEOUT).into_iter().map(check)).await
}

/// Asks all servers of a color once, side by side: each that has a health path, and what is wrong with it where it does
/// not answer well within this time.
pub async fn look(stack: &Stack, color: &Color, within: Duration) -> Vec<(String, Option<String>)> {
    let asked = planned(stack, color, within).into_iter();
    let asked = asked.filter_map(|(name, asked)| Some((name, asked.ok()?)));
    join_all(asked.map(looked)).await
}

/// A server, and what is wrong with it.
async fn looked((name, request): (String, Request)) -> (String, Option<String>) {
    match is_well(&request).await {
        outcome if outcome.is_good() => (name, None),
        outcome => (name, Some(outcome.detail().to_owned())),
    }
}

/// Whether a server answers this path with 2xx in this time.
pub async fn answers(url: &str, path: &str, within: Duration) -> bool {
    is_well(&Request::get(url, path, within)).await.is_good()
}

fn planned(stack: &Stack, color: &Color, timeout: Duration) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (name, service) in &stack.services {
        let skip = |why: String| (name.clone(), Err(why));
        match (service.servers.get(color), &service.health) {
            (Some(Servers::Urls(urls)), Some(path)) => {
                for url in urls {
                    // HTTP/2 without TLS begins in a way of its own.
                    let asked = match url.starts_with("h2c:") {
                        true => Err("`h2c` servers are not asked for their health".to_owned()),
                        false => Ok(Request::get(url, path, timeout)),
                    };
                    planned.push((format!("{name} {url}"), asked));
                }
            }
            (Some(Servers::Reference(reference)), _) => {
                let why =
                    format!("its servers are those of `{reference}`, which only Traefik knows");
                planned.push(skip(why));
            }
            _ => planned.push(skip("the config names no `health` path for it".to_owned())),
        }
    }
    planned
}

async fn is_well(request: &Request) -> Outcome {
    let asked = request.shown();
    match request.ask().await {
        Ok(answer) if answer.status.is_success() => Outcome::Passed(answer.status.to_string()),
        Ok(answer) => Outcome::Failed(format!("{asked}: expected 2xx, got {}", answer.shown())),
        Err(error) => Outcome::Failed(format!("{asked}: {}", error.why())),
    }
}
