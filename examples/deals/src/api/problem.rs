//! What is answered where something is wrong: always JSON, with `error`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::deal::{Action, State};

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It can't be read.
    BadRequest(String),
    /// There is no such deal.
    NotFound(String),
    /// Some fields are wrong; what is wrong with each.
    Invalid(BTreeMap<String, &'static str>),
    /// The deal's state does not allow it.
    NotAllowed(State, Action),
    /// The body was not taken.
    Body(StatusCode, String),
    /// The database is away, or refused.
    Database(String),
}

impl Problem {
    /// There is no deal with this id.
    pub(crate) fn no_deal(id: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("there is no deal `{id}`"))
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Self::Body(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::BadRequest(error) => (StatusCode::BAD_REQUEST, json!({ "error": error })),
            Self::NotFound(error) => (StatusCode::NOT_FOUND, json!({ "error": error })),
            Self::Body(status, error) => (status, json!({ "error": error })),
            Self::Invalid(fields) => {
                let error = "some fields are wrong";
                let body = json!({ "error": error, "fields": fields });
                (StatusCode::UNPROCESSABLE_ENTITY, body)
            }
            Self::NotAllowed(state, action) => {
                let article = if state == State::Approved { "an" } else { "a" };
                let error = format!("{article} {} deal can't be {}", state.name(), action.done());
                let allowed: Vec<_> = state.allowed().iter().map(|action| action.name()).collect();
                let body = json!({ "error": error, "state": state, "allowed": allowed });
                (StatusCode::CONFLICT, body)
            }
            Self::Database(error) => {
                let body = Json(json!({ "error": error }));
                let retry = [(RETRY_AFTER, "1")];
                return (StatusCode::SERVICE_UNAVAILABLE, retry, body).into_response();
            }
        };
        (status, Json(body)).into_response()
    }
}
