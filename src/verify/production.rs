//! Production: every service answers through Traefik, and it is a color with traffic that answers.

use std::time::Duration;

use futures_util::future::join_all;
use hyper::header::HeaderName;

use super::Verify;
use super::answer::{Asked, Judged};
use super::ask::{Answer, NoAnswer, Request};
use super::measure::{Limits, Pauses, measure};
use super::report::{Kind, Line, Outcome};
use super::rule::wanted;
use crate::config::{Servers, Service, Stack};
use crate::traffic::Traffic;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Checks all services through Traefik, side by side.
pub(super) async fn check(verify: &Verify<'_>, traffic: &Traffic, limits: Limits) -> Vec<Line> {
    let stack = verify.stack;
    let mut checks = Vec::new();
    for (name, service) in &stack.services {
        let urls = urls(stack, service);
        for url in urls {
            let name = match urls {
                [_] => name.clone(),
                _ => format!("{name} {url}"),
            };
            checks.push(answer(verify, name, service, url, traffic, limits));
        }
    }
    if checks.is_empty() {
        let why = "the config does not say where production is (`production: http://127.0.0.1:80`)";
        return vec![verify.line(Line::skipped(Kind::Answer, "of every service", why))];
    }
    join_all(checks).await
}

/// Checks a service at one of its entrypoints.
async fn answer(
    verify: &Verify<'_>,
    name: String,
    service: &Service,
    url: &str,
    traffic: &Traffic,
    limits: Limits,
) -> Line {
    let stack = verify.stack;
    let planned = plan(url, service);
    let also_https = urls(stack, service)
        .iter()
        .any(|url| url.starts_with("https:"));
    let attempt = async || {
        let planned = match &planned {
            Ok(planned) => planned,
            Err(why) => return Outcome::Unmeasurable(why.clone()),
        };
        let request = &planned.request;
        let asked = Asked {
            request,
            strict: planned.strict,
            also_https,
            traffic,
            stack,
        };
        match request.ask().await {
            Ok(answer) => match asked.judge(&answer) {
                Judged::Known(outcome) => outcome,
                Judged::Doubtful => {
                    let direct = planned.ask_servers(service, traffic).await;
                    asked.settle(&answer, &direct)
                }
            },
            Err(NoAnswer::Unreachable(why)) => Outcome::Unmeasured(format!(
                "Traefik can't be asked: {}: {why}",
                request.shown()
            )),
            Err(NoAnswer::ClientCertificate(why)) => Outcome::Unmeasurable(format!(
                "{}: Traefik wants a client certificate here ({why}): name an entrypoint that wants none, as in \
                 `production: {{ url: http://127.0.0.1:80 }}` of the service",
                request.shown()
            )),
            Err(NoAnswer::Broken(why)) => Outcome::Failed(format!("{}: {why}", request.shown())),
        }
    };
    measure(
        Kind::Answer,
        name,
        limits,
        Pauses::LOOK,
        verify.tell,
        attempt,
    )
    .await
}

/// The URLs of Traefik's entrypoints where a service is asked for.
pub(super) fn urls<'a>(stack: &'a Stack, service: &'a Service) -> &'a [String] {
    match service.production.urls.as_slice() {
        [] => stack.production.as_slice(),
        urls => urls,
    }
}

/// What is asked of a service through Traefik.
pub(super) struct Planned {
    pub(super) request: Request,
    /// Whether only 2xx will do.
    pub(super) strict: bool,
    /// What the path begins with by the rule. A middleware may take it away.
    prefix: Option<String>,
}

/// What to ask of a service at one of its entrypoints, or why nothing can be asked.
pub(super) fn plan(url: &str, service: &Service) -> Result<Planned, String> {
    let given = &service.production;
    let Some(wanted) = wanted(&service.rule, given) else {
        return Err(format!(
            "which request its rule matches can't be told ({}): `production: {{ host: ..., path: ... }}` of the service \
             can tell, or a check with `on: [production]` ask for it",
            service.rule
        ));
    };
    let best = given.path.as_ref().or(service.health.as_ref());
    let (path, is_best) = wanted.path_for(best.map_or("/", String::as_str));
    let mut request = Request::get(url, &path, TIMEOUT);
    request.host = wanted.host;
    for (name, value) in wanted.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        request.headers.push((name, value));
    }
    Ok(Planned {
        request,
        strict: is_best && best.is_some(),
        prefix: wanted.prefix,
    })
}

impl Planned {
    /// Asks a server of each color with traffic the same itself, with the prefix and without it.
    pub(super) async fn ask_servers(&self, service: &Service, traffic: &Traffic) -> Vec<Answer> {
        let path = &self.request.path;
        let stripped = self
            .prefix
            .as_deref()
            .and_then(|prefix| path.strip_prefix(prefix));
        let stripped = stripped.map(|rest| format!("/{}", rest.trim_start_matches('/')));
        let with_traffic = service.servers.iter();
        let with_traffic = with_traffic.filter(|(color, _)| traffic.weight(color) > 0);
        let urls = with_traffic.filter_map(|(_, servers)| match servers {
            Servers::Urls(urls) => urls.first().filter(|url| !url.starts_with("h2c:")),
            Servers::Reference(_) => None,
        });
        let asked = urls.flat_map(|url| {
            let paths = [Some(path.clone()), stripped.clone()].into_iter().flatten();
            paths.map(|path| Request {
                server: url.clone(),
                path,
                ..self.request.clone()
            })
        });
        let answers = asked.map(async |request| request.ask().await.ok());
        join_all(answers).await.into_iter().flatten().collect()
    }
}

/// The server, the host and the headers with which a service is reached through Traefik, for a smoke test.
pub(super) fn base(stack: &Stack, service: &str) -> Option<Base> {
    let service = stack.services.get(service)?;
    let given = &service.production;
    let wanted = wanted(&service.rule, given).unwrap_or_default();
    let urls = urls(stack, service);
    // Who is asked at both is sent to https, if anywhere.
    let https = urls.iter().find(|url| url.starts_with("https:"));
    Some(Base {
        server: https.or(urls.first())?.clone(),
        host: wanted.host.or_else(|| given.host.clone()),
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
