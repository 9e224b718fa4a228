//! The dashboard: a page that shows the deals, and what awaits approval.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /` | the page, with `/page.css` and `/page.js` |
//! | `GET /deals.json` | the deals, and which deployment answers |
//! | `GET /health` | 200 while the API of the same color is well |

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use clap::Args;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::client::{self, DealsApi, Failure};
use crate::health;
use crate::server::{Deployment, bind, serve};

/// Nothing but what comes from here itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves the dashboard.
#[derive(Args, Debug)]
pub(crate) struct Dashboard {
    /// The address to listen on
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:3003")]
    listen: SocketAddr,
    /// The API of the same color
    #[arg(long, env = "API_URL", default_value = "http://127.0.0.1:8091", value_parser = client::address)]
    api_url: Url,
    #[command(flatten)]
    deployment: Deployment,
}

impl Dashboard {
    /// Serves until it is told to stop.
    ///
    /// # Errors
    ///
    /// The address can't be listened on.
    pub(crate) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self {
            listen,
            api_url,
            deployment,
        } = self;
        let listener = bind(listen).await?;
        let shared = Arc::new((DealsApi::new(api_url)?, deployment.clone()));
        let router = Router::new()
            .route("/", get(page))
            .route("/page.css", get(style))
            .route("/page.js", get(script))
            .route("/deals.json", get(deals))
            .route("/health", get(healthy))
            .with_state(shared);
        serve(
            "dashboard",
            &deployment,
            listener,
            router,
            CancellationToken::new(),
        )
        .await
    }
}

type Shared = Arc<(DealsApi, Deployment)>;

async fn page() -> Response {
    let html = include_str!("dashboard/page.html");
    let policy = [(CONTENT_SECURITY_POLICY, POLICY)];
    (policy, file("text/html; charset=utf-8", html)).into_response()
}

async fn style() -> Response {
    file(
        "text/css; charset=utf-8",
        include_str!("dashboard/page.css"),
    )
}

async fn script() -> Response {
    file(
        "text/javascript; charset=utf-8",
        include_str!("dashboard/page.js"),
    )
}

/// A file of the page. It is asked for every time: the next one may come from the other color.
fn file(content_type: &'static str, text: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}

async fn deals(State(shared): State<Shared>) -> Response {
    let (api, deployment) = &*shared;
    let headers = [(CACHE_CONTROL, "no-store")];
    match shown(api).await {
        Ok(deals) => {
            let mut body = deployment.card("dashboard");
            body["deals"] = deals.into();
            (headers, Json(body)).into_response()
        }
        Err(failure) => {
            let why = match failure {
                Failure::Away(why) => why,
                Failure::Refused(why) => format!("the API refuses: {why}"),
            };
            (
                StatusCode::BAD_GATEWAY,
                headers,
                Json(json!({ "error": why })),
            )
                .into_response()
        }
    }
}

/// Everything that awaits approval, however old it is, and the newest of all; the newest first.
async fn shown(api: &DealsApi) -> Result<Vec<Value>, Failure> {
    let ask = |path| api.ask(Method::GET, path, None);
    let (awaiting, newest) = tokio::try_join!(
        ask("/deals?state=submitted&limit=500"),
        ask("/deals?limit=100"),
    )?;
    let mut deals = BTreeMap::new();
    for mut answer in [awaiting, newest] {
        let Value::Array(some) = answer["deals"].take() else {
            return Err(Failure::Away("the API answers without deals".to_owned()));
        };
        deals.extend(some.into_iter().map(|deal| (deal["id"].as_i64(), deal)));
    }
    Ok(deals.into_values().rev().collect())
}

async fn healthy(State(shared): State<Shared>) -> Response {
    let (api, deployment) = &*shared;
    health::answer("dashboard", deployment, api.health().await)
}
