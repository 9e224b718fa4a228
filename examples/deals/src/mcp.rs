//! The MCP server: tools for deals, over streamable HTTP at `/mcp`.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /` | who answers |
//! | `GET /health` | 200 while the API of the same color is well |
//! | `/mcp` | the protocol |
//!
//! Everything is done by the API of the same color. What the API refuses is an error of the tool, in the API's own
//! words, which a model can read and act upon.

mod sessions;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use clap::Args;
use futures_util::StreamExt;
use reqwest::{Method, Url};
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, Implementation, ServerCapabilities, ServerConfig};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::sessions::Sessions;
use crate::client::{self, DealsApi, Failure};
use crate::health;
use crate::server::{Deployment, bind, serve};

/// Serves the tools for deals over the Model Context Protocol.
#[derive(Args, Debug)]
pub(crate) struct Mcp {
    /// The address to listen on
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// The API of the same color
    #[arg(long, env = "API_URL", default_value = "http://127.0.0.1:8091", value_parser = client::address)]
    api_url: Url,
    /// The host names, besides loopback, under which it is reached: a page of another name must not talk to it
    #[arg(
        long,
        env = "PUBLIC_HOSTS",
        default_value = "mcp.localhost",
        value_delimiter = ','
    )]
    public_hosts: Vec<String>,
    #[command(flatten)]
    deployment: Deployment,
}

impl Mcp {
    /// Serves until it is told to stop.
    ///
    /// # Errors
    ///
    /// The address can't be listened on.
    pub(crate) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self {
            listen,
            api_url,
            public_hosts,
            deployment,
        } = self;
        let api = DealsApi::new(api_url)?;
        let listener = bind(listen).await?;
        let stop = CancellationToken::new();

        let mut config = StreamableHttpServerConfig::default();
        config.allowed_hosts.extend(public_hosts);
        config.cancellation_token = after_the_calls(stop.clone());
        let sessions = Arc::new(Sessions::new(&deployment.color));
        let tools = Tools::new(api.clone(), deployment.clone());
        let service = StreamableHttpService::new(move || Ok(tools.clone()), sessions, config);

        let mcp = Router::new()
            .route_service("/mcp", service)
            .route_layer(from_fn_with_state(stop.clone(), end_streams));

        let shared = Arc::new((api, deployment.clone()));
        let router = Router::new()
            .route("/", get(card))
            .route("/health", get(healthy))
            .with_state(shared)
            .merge(mcp);
        serve("mcp", &deployment, listener, router, stop).await
    }
}

/// Cancelled when the calls that ran at the signal have ended: rmcp would cut them off, and a client could not know
/// whether its approval was done.
fn after_the_calls(stop: CancellationToken) -> CancellationToken {
    let ended = CancellationToken::new();
    let end = ended.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        tokio::time::sleep(client::LIMIT).await;
        end.cancel();
    });
    ended
}

/// The streams that clients open to listen would not end by themselves. They have nothing to lose, so they end at once.
async fn end_streams(
    State(stop): State<CancellationToken>,
    request: Request,
    next: Next,
) -> Response {
    let listens = request.method() == Method::GET;
    let response = next.run(request).await;
    if !listens {
        return response;
    }
    response.map(|body| {
        let stream = body.into_data_stream().take_until(stop.cancelled_owned());
        Body::from_stream(stream)
    })
}

type Shared = Arc<(DealsApi, Deployment)>;

async fn card(State(shared): State<Shared>) -> Response {
    Json(shared.1.card("mcp")).into_response()
}

async fn healthy(State(shared): State<Shared>) -> Response {
    let (api, deployment) = &*shared;
    health::answer("mcp", deployment, api.health().await)
}

/// The tools of one session.
#[derive(Clone)]
struct Tools {
    api: DealsApi,
    deployment: Deployment,
    tool_router: ToolRouter<Self>,
}

/// Which deals to list.
#[derive(Deserialize, schemars::JsonSchema)]
struct Which {
    /// `draft`, `submitted`, `approved`, `rejected` or `closed`; all of them without it
    state: Option<String>,
}

/// A deal.
#[derive(Deserialize, schemars::JsonSchema)]
struct One {
    /// The deal's id
    id: i64,
}

/// An approval.
#[derive(Deserialize, schemars::JsonSchema)]
struct Approval {
    /// The deal's id
    id: i64,
    /// Who approves it
    approver: String,
    /// Why
    note: String,
}

#[tool_router]
impl Tools {
    fn new(api: DealsApi, deployment: Deployment) -> Self {
        Self {
            api,
            deployment,
            tool_router: Self::tool_router(),
        }
    }

    #[tool(
        description = "List the newest deals, of one state or of all",
        annotations(read_only_hint = true)
    )]
    async fn list_deals(&self, Parameters(Which { state }): Parameters<Which>) -> CallToolResult {
        let mut path = "/deals".to_owned();
        if let Some(state) = state {
            let query: String = url::form_urlencoded::byte_serialize(state.as_bytes()).collect();
            path = format!("/deals?state={query}");
        }
        self.ask(Method::GET, &path, None).await
    }

    #[tool(
        description = "Show a deal with its history",
        annotations(read_only_hint = true)
    )]
    async fn show_deal(&self, Parameters(One { id }): Parameters<One>) -> CallToolResult {
        self.ask(Method::GET, &format!("/deals/{id}"), None).await
    }

    #[tool(description = "Submit a draft for approval")]
    async fn submit_deal(&self, Parameters(One { id }): Parameters<One>) -> CallToolResult {
        let path = format!("/deals/{id}/submit");
        self.ask(Method::POST, &path, None).await
    }

    #[tool(description = "Approve a submitted deal")]
    async fn approve_deal(
        &self,
        Parameters(Approval { id, approver, note }): Parameters<Approval>,
    ) -> CallToolResult {
        let path = format!("/deals/{id}/approve");
        let body = json!({ "approver": approver, "note": note });
        self.ask(Method::POST, &path, Some(body)).await
    }

    /// What the API says. What went wrong is told to the model, and is no error of the protocol.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> CallToolResult {
        match self.api.ask(method, path, body).await {
            Ok(answer) => CallToolResult::structured(answer),
            Err(Failure::Refused(why)) => CallToolResult::structured_error(why),
            Err(Failure::Away(why)) => CallToolResult::structured_error(json!({ "error": why })),
        }
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let Deployment { color, version } = &self.deployment;
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("deals", version))
            .with_instructions(format!(
                "Deals that await approval. This is the {color} deployment, version {version}."
            ))
    }
}
