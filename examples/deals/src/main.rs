//! The services of bluegreen's example: deals that await approval.
//!
//! | command | service |
//! | --- | --- |
//! | `deals api` | the Deal Lifecycle API, on PostgreSQL |
//! | `deals mcp` | an MCP server, whose tools work through the API |
//! | `deals dashboard` | a page that shows the deals, from the API |
//!
//! All of them are told their color and version, answer with both in the headers `X-Color` and `X-Version`, and have
//! `/health`. `deals healthcheck` asks for it from within a container.

mod api;
mod client;
mod dashboard;
mod health;
mod mcp;
mod server;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The services of bluegreen's example. Each takes its settings from the environment, too.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Api(api::Api),
    Mcp(mcp::Mcp),
    Dashboard(dashboard::Dashboard),
    Healthcheck(health::Healthcheck),
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended: Result<(), Box<dyn Error>> = match Arguments::parse().command {
        Command::Api(api) => api.run().await,
        Command::Mcp(mcp) => mcp.run().await,
        Command::Dashboard(dashboard) => dashboard.run().await,
        Command::Healthcheck(healthcheck) => healthcheck.run().await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            server::say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
