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

mod connections;
mod database;
mod deal;
mod input;
mod migrations;
mod problem;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
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
use crate::server::{Deployment, bind, serve};

/// The longest that the database may take for a request: longer than one statement, shorter than callers wait.
const PATIENCE: Duration = connections::STATEMENT.saturating_add(Duration::from_secs(1));

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
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = connections::Address)]
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
        let listener = bind(listen).await?;
        let migrated = Arc::clone(&shared);
        tokio::spawn(async move { migrated.database.migrate().await });
        serve(
            "api",
            &deployment,
            listener,
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
        .route("/deals/{id}/submit", act(Action::Submit))
        .route("/deals/{id}/approve", decide(Action::Approve))
        .route("/deals/{id}/reject", decide(Action::Reject))
        .route("/deals/{id}/close", act(Action::Close))
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
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::BadRequest(error.body_text()))?;
    let limit = filter.limit.unwrap_or(LIMIT).min(MAX_LIMIT);
    let deals = in_time(shared.database.list(filter.state, limit)).await?;
    Ok(Json(json!({ "deals": deals })).into_response())
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Input(new): Input<NewDeal>,
) -> Result<Response, Problem> {
    let deal = in_time(shared.database.create(&new)).await?;
    let location = [(LOCATION, format!("/deals/{}", deal.id))];
    Ok((StatusCode::CREATED, location, Json(deal)).into_response())
}

async fn show(State(shared): State<Arc<Shared>>, Id(id): Id) -> Result<Response, Problem> {
    let deal = in_time(shared.database.find(id)).await?;
    Ok(Json(deal).into_response())
}

async fn remove(State(shared): State<Arc<Shared>>, Id(id): Id) -> Result<Response, Problem> {
    in_time(shared.database.remove(id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What needs nobody's word.
fn act(action: Action) -> MethodRouter<Arc<Shared>> {
    post(
        move |State(shared): State<Arc<Shared>>, Id(id): Id| async move {
            in_time(shared.database.act(id, action, None))
                .await
                .map(Json)
        },
    )
}

/// What somebody stands for.
fn decide(action: Action) -> MethodRouter<Arc<Shared>> {
    post(
        move |State(shared): State<Arc<Shared>>, Id(id): Id, Input(decision): Input<Decision>| async move {
            in_time(shared.database.act(id, action, Some(&decision)))
                .await
                .map(Json)
        },
    )
}

/// The id in the path. What is no number is the id of no deal.
struct Id(i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What is not even text is no number either.
        let text = Path::<String>::from_request_parts(parts, state).await;
        let text = text.map_or_else(|_| String::new(), |Path(text)| text);
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let id = text.parse().ok().filter(|_| digits);
        id.map(Self).ok_or_else(|| Problem::no_deal(text))
    }
}

/// The database may be there, and silent.
async fn in_time<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let silent = |_| Err(Problem::Database("the database does not answer".to_owned()));
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(silent)
}
