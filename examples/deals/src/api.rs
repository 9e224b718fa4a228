//! The Deal Lifecycle API.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /` | who answers |
//! | `GET /health` | 200 while the database answers |
//! | `GET /deals?state=submitted&limit=50` | the newest deals |
//! | `POST /deals` | creates a draft: `title`, `amount`, `currency` |
//! | `GET /deals/{id}` | a deal with its history |
//! | `POST /deals/{id}/submit`, `/close` | moves it on |
//! | `POST /deals/{id}/approve`, `/reject` | decides: `approver`, `note` |
//! | `DELETE /deals/{id}` | removes it, while or after nobody works on it |

mod database;
mod deal;
mod input;
mod problem;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::database::Database;
use self::deal::Action;
use self::input::{Decision, Input, NewDeal};
use self::problem::Problem;
use crate::health;
use crate::server::{Deployment, serve};

/// Larger than any deal, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// How many deals are listed, and how many at most.
const LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 500;

/// Serves the Deal Lifecycle API.
#[derive(Args, Debug)]
pub(crate) struct Api {
    /// The address to listen on
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8091")]
    listen: SocketAddr,
    /// The PostgreSQL database, such as `postgres://deals:secret@127.0.0.1:5432/deals`
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: tokio_postgres::Config,
    #[command(flatten)]
    deployment: Deployment,
}

impl Api {
    /// Serves until it is told to stop; the database may come later, and may go.
    ///
    /// # Errors
    ///
    /// The address can't be listened on, or the database's address can't be used.
    pub(crate) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self {
            listen,
            database_url,
            deployment,
        } = self;
        let database = Database::new(database_url, &deployment)?;
        let shared = Arc::new(Shared {
            database,
            deployment: deployment.clone(),
        });
        let migrated = Arc::clone(&shared);
        tokio::spawn(async move { migrated.database.migrate().await });
        serve(
            "api",
            &deployment,
            listen,
            routes(shared),
            CancellationToken::new(),
        )
        .await
    }
}

struct Shared {
    database: Database,
    deployment: Deployment,
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(card))
        .route("/health", get(healthy))
        .route("/deals", get(list).post(create))
        .route("/deals/{id}", get(show).delete(remove))
        .route("/deals/{id}/{action}", post(act))
        .method_not_allowed_fallback(problem::not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

async fn card(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.deployment.card("api")).into_response()
}

async fn healthy(State(shared): State<Arc<Shared>>) -> Response {
    let works = tokio::time::timeout(health::PATIENCE, shared.database.ping()).await;
    let works = works.map_err(|_| "the database does not answer".to_owned());
    health::answer("api", &shared.deployment, works.flatten())
}

/// What a list can be narrowed by.
#[derive(Deserialize)]
struct Filter {
    state: Option<deal::State>,
    limit: Option<u32>,
}

async fn list(
    State(shared): State<Arc<Shared>>,
    filter: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::BadRequest(error.body_text()))?;
    let limit = filter.limit.unwrap_or(LIMIT).min(MAX_LIMIT);
    let deals = shared.database.list(filter.state, limit).await?;
    Ok(Json(json!({ "deals": deals })).into_response())
}

async fn create(
    State(shared): State<Arc<Shared>>,
    input: Input<NewDeal>,
) -> Result<Response, Problem> {
    let deal = shared.database.create(&input.0).await?;
    let location = [(LOCATION, format!("/deals/{}", deal.id))];
    Ok((StatusCode::CREATED, location, Json(deal)).into_response())
}

async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let deal = shared.database.find(number(&id)?).await?;
    Ok(Json(deal).into_response())
}

async fn act(
    State(shared): State<Arc<Shared>>,
    Path((id, action)): Path<(String, String)>,
    body: axum::body::Bytes,
) -> Result<Response, Problem> {
    let id = number(&id)?;
    let action: Action = action.parse().map_err(|()| {
        Problem::NotFound(format!(
            "`{action}` is nothing that can be done with a deal"
        ))
    })?;
    let decision = if action.is_decision() {
        Some(input::parse::<Decision>(&body)?)
    } else {
        None
    };
    let deal = shared.database.act(id, action, decision.as_ref()).await?;
    Ok(Json(deal).into_response())
}

async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    shared.database.remove(number(&id)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What is no number is the id of no deal.
fn number(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| Problem::no_deal(id))
}
