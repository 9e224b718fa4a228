//! Problems: what the API answers where it does not do what it was asked (RFC 9457).

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use serde::{Serialize, Serializer};

use crate::serve::access::Denied;
use crate::serve::answer::{Answer, json_of};
use crate::store::StoreError;
use crate::token::Token;

/// What the address of a kind of problem begins with; docs/api.md lists them.
const TYPES: &str = "/problems/";

/// What is wrong, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A header, the query or the body is not what it has to be.
    InvalidRequest,
    /// The body is no traffic value of the stack.
    InvalidTraffic,
    /// There is no token, or a wrong one.
    TokenNeeded,
    /// The token, or the page that asks, may not do this.
    Forbidden,
    /// There is no such path.
    NotFound,
    /// There is no such stack.
    UnknownStack,
    /// The path does not know the method.
    MethodNotAllowed,
    /// Somebody else was faster.
    Conflict,
    /// The key moves another stack.
    KeyOfAnother,
    /// The first request with the same `Idempotency-Key` runs.
    StillRunning,
    /// Another request had the same `Idempotency-Key`.
    KeyReused,
    /// The body is of another type.
    UnsupportedMediaType,
    /// What is asked for can't be had together, or not now.
    Unfit,
    /// Nobody would be there to take the traffic.
    NobodyThere,
    /// There is no such rollout.
    UnknownRollout,
    /// Somebody else is changing the traffic.
    Busy,
    /// The rollout has ended.
    NotRunning,
    /// Too many requests of one token run.
    TooMany,
    /// The store can't be reached or refuses; nothing was changed.
    StoreUnavailable,
    /// The store did not answer: what it did is not known.
    OutcomeUnknown,
}

impl Kind {
    /// Its status, the last part of its address, and its title.
    const fn about(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidRequest => (
                StatusCode::BAD_REQUEST,
                "invalid-request",
                "The request is not valid",
            ),
            Self::InvalidTraffic => (
                StatusCode::BAD_REQUEST,
                "invalid-traffic",
                "This is no traffic value of the stack",
            ),
            Self::TokenNeeded => (
                StatusCode::UNAUTHORIZED,
                "token-needed",
                "A token is needed",
            ),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "This is not allowed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is nothing here"),
            Self::UnknownStack => (
                StatusCode::NOT_FOUND,
                "unknown-stack",
                "There is no such stack",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The path does not know the method",
            ),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Somebody else was faster"),
            Self::KeyOfAnother => (
                StatusCode::CONFLICT,
                "key-of-another",
                "The key moves another stack",
            ),
            Self::StillRunning => (
                StatusCode::CONFLICT,
                "still-running",
                "The first request is still running",
            ),
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-reused",
                "Another request had this key",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body is of another type",
            ),
            Self::Unfit => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "unfit",
                "This can't be carried out",
            ),
            Self::NobodyThere => (
                StatusCode::CONFLICT,
                "nobody-there",
                "Nobody is there to take the traffic",
            ),
            Self::UnknownRollout => (
                StatusCode::NOT_FOUND,
                "unknown-rollout",
                "There is no such rollout",
            ),
            Self::Busy => (
                StatusCode::CONFLICT,
                "busy",
                "Somebody else is changing the traffic",
            ),
            Self::NotRunning => (StatusCode::CONFLICT, "not-running", "The rollout has ended"),
            Self::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "Too many requests are running",
            ),
            Self::StoreUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store-unavailable",
                "The store is not available",
            ),
            Self::OutcomeUnknown => (
                StatusCode::GATEWAY_TIMEOUT,
                "outcome-unknown",
                "What was done is not known",
            ),
        }
    }
}

/// As its address.
impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (_, name, _) = self.about();
        serializer.collect_str(&format_args!("{TYPES}{name}"))
    }
}

/// What is wrong, for programs and for people.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: Kind,
    detail: String,
    /// The stack in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<String>,
    /// What its key says, where it is not what was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<String>,
    /// What would be right: the methods, or how to show a token.
    #[serde(skip)]
    right: Option<&'static str>,
}

/// A problem as it goes out.
#[derive(Serialize)]
struct Body {
    title: &'static str,
    status: u16,
    #[serde(flatten)]
    problem: Problem,
}

impl Problem {
    /// A problem in words.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            stack: None,
            traffic: None,
            right: None,
        }
    }

    /// The same about a stack.
    pub(super) fn stack(mut self, stack: &str) -> Self {
        self.stack = Some(stack.to_owned());
        self
    }

    /// The same with what the stack's key says.
    pub(super) fn traffic(mut self, traffic: Option<String>) -> Self {
        self.traffic = traffic;
        self
    }

    fn right(mut self, right: &'static str) -> Self {
        self.right = Some(right);
        self
    }

    /// The path is there, but not for this method.
    pub(super) fn method(path: &str, allowed: &'static str) -> Self {
        let detail = format!("{path} answers {allowed} only");
        Self::new(Kind::MethodNotAllowed, detail).right(allowed)
    }

    /// Looking needs a token.
    pub(super) fn may_not_read() -> Self {
        let detail = "a token is needed here: send `Authorization: Bearer TOKEN`";
        Self::new(Kind::TokenNeeded, detail).right("Bearer, Basic realm=\"bluegreen\"")
    }

    /// A change of a stack is denied.
    pub(super) fn may_not_change(denied: &Denied, stack: &str) -> Self {
        let of = |token: &Token| match &token.name {
            Some(name) => format!("the token of `{name}`"),
            None => "this token".to_owned(),
        };
        let detail = match denied {
            Denied::Token => {
                let detail = "a change needs `Authorization: Bearer TOKEN`; a password (Basic) does not count";
                return Self::new(Kind::TokenNeeded, detail).right("Bearer");
            }
            Denied::Off => {
                "no change is taken here: `serve` runs without --token and --tokens-file".to_owned()
            }
            Denied::Foreign => "no change is taken from a page of another origin".to_owned(),
            Denied::ReadOnly(token) => format!("{} may only read", of(token)),
            Denied::OtherStacks(token) => format!("{} is not for the stack `{stack}`", of(token)),
        };
        Self::new(Kind::Forbidden, detail)
    }

    /// The key moves the traffic of another stack, as another provider says.
    pub(super) fn key_of_another(key: &str, stack: &str, other: &str) -> Self {
        let detail = format!(
            "the key `{key}` moves the traffic of `{other}`, as another provider says, and not only that of `{stack}`: \
             give the stack a key of its own; nothing was changed"
        );
        Self::new(Kind::KeyOfAnother, detail)
    }

    /// The store did not do what it was asked; `so` says what that means where it did nothing.
    pub(super) fn store(error: &StoreError, so: &str) -> Self {
        match error {
            StoreError::Unknown(_) => Self::new(Kind::OutcomeUnknown, error.to_string()),
            StoreError::Unreachable(_) | StoreError::Refused(_) => {
                Self::new(Kind::StoreUnavailable, format!("the store: {error}{so}"))
            }
        }
    }

    /// Whether something may have been changed all the same.
    pub(super) fn is_of_unknown_outcome(&self) -> bool {
        self.kind == Kind::OutcomeUnknown
    }

    /// As it goes out.
    pub(super) fn answer(self) -> Answer {
        let (status, _, title) = self.kind.about();
        let header = match self.kind {
            Kind::TokenNeeded => WWW_AUTHENTICATE,
            _ => ALLOW,
        };
        let header = self.right.map(|right| (header, right));
        let body = Body {
            title,
            status: status.as_u16(),
            problem: self,
        };
        let mut answer = json_of(status, "application/problem+json", &body);
        if let Some((name, value)) = header {
            answer
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        answer
    }
}
