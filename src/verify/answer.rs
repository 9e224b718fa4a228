//! An answer that came through Traefik: who gave it, and whether that is what has to come.
//!
//! Traefik answers in a service's place, too: where it has no router for a request, because there is none or it has
//! disabled it, with a 404 of its own; and a middleware in front of the service may send elsewhere or want to know who
//! asks.

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use url::Url;

use super::ask::{Answer, Request};
use super::now::Shows;
use super::report::Outcome;
use crate::color::Color;
use crate::config::Stack;
use crate::traffic::Traffic;

/// The statuses by which a middleware answers in a service's place: it sends elsewhere, wants to know who asks, or has
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

/// What was asked, and what has to come.
pub(super) struct Asked<'a> {
    /// The request.
    pub(super) request: &'a Request,
    /// Whether only 2xx will do; else any answer of the service.
    pub(super) strict: bool,
    /// Whether the service is asked at an https entrypoint as well.
    pub(super) also_https: bool,
    /// The traffic.
    pub(super) traffic: &'a Traffic,
    /// The stack.
    pub(super) stack: &'a Stack,
}

/// What an answer tells by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// What came of the check.
    Known(Outcome),
    /// A 404, or the like, that Traefik may have given or the service: what its servers answer themselves tells.
    Doubtful,
}

impl Asked<'_> {
    /// Judges an answer.
    pub(super) fn judge(&self, answer: &Answer) -> Judged {
        let status = answer.status;
        let asked = self.request.shown();
        let header = &self.stack.color_header;
        if let (StatusCode::NOT_FOUND | StatusCode::IM_A_TEAPOT, None, false) =
            (status, self.color(answer), self.strict)
        {
            return Judged::Doubtful;
        }
        let by_middleware = OF_A_MIDDLEWARE.contains(&status);
        let (good, expected) = match self.strict {
            // What a service says itself is no answer of a middleware in front of it.
            true => (
                status.is_success() || by_middleware && self.color(answer).is_none(),
                "2xx",
            ),
            false => (!status.is_server_error(), "no server error"),
        };
        Judged::Known(match self.color(answer) {
            None if !good && is_traefiks_own(answer) => self.traefik_answered(answer),
            _ if !good => Outcome::Failed(format!(
                "{asked}: expected {expected}, got {}",
                answer.shown()
            )),
            Some(color) if self.traffic.weight(color) == 0 => Outcome::Failed(format!(
                "{asked}: {color} answered ({header}), and has no traffic: that is {}",
                self.traffic
            )),
            Some(color) => Outcome::Passed(format!("{status}, {color} answered")),
            None if self.is_sent_to_https(answer) => match self.also_https {
                true => Outcome::Passed(format!("{status}, to https, where it is asked as well")),
                false => Outcome::Unmeasurable(format!(
                    "{asked}: {status}, to https, and the config does not say where this host reaches that: \
                     name the https entrypoint, as in `production: https://127.0.0.1:443`"
                )),
            },
            None if by_middleware => Outcome::Passed(format!(
                "{status}, by a middleware: which color is behind it is not told"
            )),
            None => Outcome::Passed(format!(
                "{status}; which color answered is not told (no {header})"
            )),
        })
    }

    /// What an answer shows by itself of who is at production; nothing where what the servers answer has to tell.
    pub(super) fn shows(&self, answer: &Answer) -> Option<Shows> {
        let status = answer.status;
        let shown = || format!("{}: {}", self.request.shown(), answer.shown());
        let by_middleware = OF_A_MIDDLEWARE.contains(&status);
        Some(match self.color(answer) {
            Some(color) if self.traffic.weight(color) == 0 => Shows::Foreign(format!(
                "{}: {color} answered ({}), and has no traffic: that is {}",
                self.request.shown(),
                self.stack.color_header,
                self.traffic
            )),
            _ if status.is_server_error() => Shows::Unwell(shown()),
            Some(_) if self.strict && !status.is_success() => Shows::Unwell(shown()),
            Some(_) => Shows::Ours,
            None if by_middleware => Shows::NotKnown,
            None if status.is_success() => Shows::Anybodys,
            None if self.strict => return None,
            None if matches!(status, StatusCode::NOT_FOUND | StatusCode::IM_A_TEAPOT) => {
                return None;
            }
            None => Shows::Anybodys,
        })
    }

    /// What came of a check whose answer is doubtful; `direct` is what the servers answer to the same question.
    pub(super) fn settle(&self, answer: &Answer, direct: &[Answer]) -> Outcome {
        let is_own = is_traefiks_own(answer);
        let same = direct
            .iter()
            .any(|one| one.status == answer.status && is_traefiks_own(one) == is_own);
        let asked = self.request.shown();
        let hint = "give the service a path that answers with 2xx: `health`, or `production: { path: ... }`";
        match (is_own, same) {
            (true, false) if direct.is_empty() => Outcome::Failed(format!(
                "{}. Should the service answer just so: {hint}",
                self.traefik_answered(answer).detail()
            )),
            (true, false) => self.traefik_answered(answer),
            (true, true) => Outcome::Unmeasurable(format!(
                "{asked}: {}, as Traefik answers where it has no router, and as the servers answer, too: {hint}",
                answer.shown()
            )),
            (false, true) => Outcome::Passed(format!(
                "{}, as its servers answer themselves; which color answered is not told (no {})",
                answer.status, self.stack.color_header
            )),
            (false, false) => Outcome::Unmeasurable(format!(
                "{asked}: {}, which is not what the servers answer themselves: {hint}",
                answer.shown()
            )),
        }
    }

    /// It was Traefik itself that answered.
    fn traefik_answered(&self, answer: &Answer) -> Outcome {
        Outcome::Failed(format!(
            "{}: Traefik itself answered ({}), not the service: it has no router for this, or has disabled it, as it does \
             where a router names what is not there; its log tells which",
            self.request.shown(),
            answer.shown()
        ))
    }

    /// The color that the answer names.
    fn color(&self, answer: &Answer) -> Option<&Color> {
        let named = answer
            .headers
            .get(&self.stack.color_header)?
            .to_str()
            .ok()?;
        self.stack
            .colors
            .iter()
            .find(|color| color.as_str() == named)
    }

    /// Whether it is the redirect by which an entrypoint sends everything to https.
    fn is_sent_to_https(&self, answer: &Answer) -> bool {
        let location = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok());
        answer.status.is_redirection()
            && self.request.server.starts_with("http://")
            && location
                .and_then(|location| Url::parse(location).ok())
                .is_some_and(|location| location.scheme() == "https" && self.is_host(&location))
    }

    /// Whether a URL has the host that was asked for.
    fn is_host(&self, url: &Url) -> bool {
        let server = Url::parse(&self.request.server).ok();
        let own = || server.as_ref().and_then(Url::host_str);
        let asked = self.request.host.as_deref().or_else(own);
        url.host_str()
            .zip(asked)
            .is_some_and(|(host, asked)| host.eq_ignore_ascii_case(asked))
    }
}

/// Whether an answer looks like one of Traefik's own: the 404 of no router (also what a Go program answers by itself),
/// or the 418 of `noop@internal`.
fn is_traefiks_own(answer: &Answer) -> bool {
    let is = |name, value: &str| {
        let header = answer.headers.get(name);
        header.is_some_and(|header| header.as_bytes() == value.as_bytes())
    };
    match answer.status {
        StatusCode::NOT_FOUND => {
            answer.body.trim_ascii() == b"404 page not found"
                && is(CONTENT_TYPE, "text/plain; charset=utf-8")
                && is(X_CONTENT_TYPE_OPTIONS, "nosniff")
        }
        StatusCode::IM_A_TEAPOT => {
            answer.body.is_empty() && !answer.headers.contains_key(CONTENT_TYPE)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::body::Bytes;
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::config;

    const OWN: (u16, &[(&str, &str)], &str) = (
        404,
        &[
            ("content-type", "text/plain; charset=utf-8"),
            ("x-content-type-options", "nosniff"),
        ],
        "404 page not found\n",
    );
    const HTML: (u16, &[(&str, &str)], &str) =
        (404, &[("content-type", "text/html")], "no such page");

    fn answer((status, headers, body): (u16, &[(&str, &str)], &str)) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::from_iter(headers),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    /// What is asked of a service at `http://127.0.0.1:80`, by the name `a`, while blue has the traffic.
    fn with_asked<T>(strict: bool, also_https: bool, test: impl FnOnce(&Asked<'_>) -> T) -> T {
        let config = "stacks: { s: { colorHeader: X-Version, services: { a: { rule: Host(`a`), \
                      servers: { blue: http://127.0.0.1:1, green: http://127.0.0.1:2 } } } } }";
        let files = vec![("bluegreen.yml".into(), config.to_owned())];
        let config = config::parse(files, &|_| None).unwrap().config;
        let stack = &config.stacks["s"];
        let mut request = Request::get("http://127.0.0.1:80", "/x", std::time::Duration::ZERO);
        request.host = Some("a".to_owned());
        test(&Asked {
            request: &request,
            strict,
            also_https,
            traffic: &Traffic::all_to(stack.colors[0].clone()),
            stack,
        })
    }

    /// In one word, `doubtful` among them, with what has to be in the detail.
    #[track_caller]
    fn is(judged: &Judged, word: &str, said: &str) {
        let (is, detail) = match judged {
            Judged::Known(outcome) => (outcome.word(), outcome.detail()),
            Judged::Doubtful => ("doubtful", ""),
        };
        assert!(
            is == word && detail.contains(said),
            "{word}, {said}: {judged:?}"
        );
    }

    #[test]
    fn an_answer_is_judged_by_who_gave_it() {
        let blue: &[_] = &[("x-version", "blue")];
        let green: &[_] = &[("x-version", "green")];
        let to = |location| [("location", location)];
        let (https, login) = (to("https://A:8443/x"), to("https://login.example/?to=a"));
        let (strict, loose) = (true, false);
        for (is_strict, given, word, said) in [
            (strict, (200, blue, ""), "passed", "blue answered"),
            (
                loose,
                (404, blue, ""),
                "passed",
                "404 Not Found, blue answered",
            ),
            (
                loose,
                (200, green, ""),
                "failed",
                "green answered (X-Version), and has no traffic",
            ),
            (
                loose,
                (404, green, ""),
                "failed",
                "green answered (X-Version), and has no traffic",
            ),
            (strict, (404, blue, ""), "failed", "expected 2xx, got 404"),
            (strict, (403, blue, ""), "failed", "expected 2xx, got 403"),
            (strict, (200, &[], ""), "passed", "not told (no X-Version)"),
            (loose, (405, &[], ""), "passed", "not told"),
            (
                loose,
                (502, &[], "Bad Gateway"),
                "failed",
                "expected no server error",
            ),
            (loose, OWN, "doubtful", ""),
            (loose, HTML, "doubtful", ""),
            (loose, (418, &[], ""), "doubtful", ""),
            (strict, OWN, "failed", "Traefik itself answered"),
            (strict, (418, &[], ""), "failed", "Traefik itself answered"),
            (strict, HTML, "failed", "expected 2xx, got 404"),
            (strict, (401, &[], ""), "passed", "by a middleware"),
            (strict, (302, &login, ""), "passed", "by a middleware"),
            (
                strict,
                (302, &https, ""),
                "unmeasured",
                "name the https entrypoint",
            ),
            (
                loose,
                (308, &https, ""),
                "unmeasured",
                "name the https entrypoint",
            ),
        ] {
            let judged = with_asked(is_strict, false, |asked| asked.judge(&answer(given)));
            is(&judged, word, said);
        }
        let judged = with_asked(strict, true, |asked| {
            asked.judge(&answer((302, &https, "")))
        });
        is(&judged, "passed", "where it is asked as well");
    }

    #[test]
    fn a_doubtful_answer_is_settled_by_what_the_servers_answer() {
        let ok: (u16, &[_], &str) = (200, &[], "");
        for (given, direct, word, said) in [
            (
                OWN,
                vec![],
                "failed",
                "Should the service answer just so: give",
            ),
            (OWN, vec![ok, HTML], "failed", "Traefik itself answered"),
            (
                OWN,
                vec![ok, OWN],
                "unmeasured",
                "and as the servers answer, too",
            ),
            (
                HTML,
                vec![ok, HTML],
                "passed",
                "as its servers answer themselves",
            ),
            (
                HTML,
                vec![ok, OWN],
                "unmeasured",
                "not what the servers answer",
            ),
            (HTML, vec![], "unmeasured", "not what the servers answer"),
        ] {
            let direct: Vec<_> = direct.into_iter().map(answer).collect();
            let outcome = with_asked(false, false, |asked| asked.settle(&answer(given), &direct));
            is(&Judged::Known(outcome), word, said);
        }
    }
}
