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

use clap::builder::Resettable;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

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
    let ended: Result<(), Box<dyn Error>> = match arguments().command {
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

/// What the command line and the environment say. A variable that is set to nothing counts as not set: that is what a
/// compose file's `${VERSION:-}` makes of one that nobody gave.
fn arguments() -> Arguments {
    let is_empty = |arg: &Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    let command = Arguments::command().mut_subcommands(|command| {
        command.mut_args(|arg| match is_empty(&arg) {
            true => arg.env(Resettable::Reset),
            false => arg,
        })
    });
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}
