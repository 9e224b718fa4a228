//! The log: on stderr, as text or JSON.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What goes wrong.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What helps to find a fault.
    Debug,
    /// Everything, also of the libraries.
    Trace,
}

impl Level {
    /// The level of the server.
    pub fn of_server(verbose: u8, quiet: bool) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Warn,
            (false, 0) => Self::Info,
            (false, 1) => Self::Debug,
            (false, _) => Self::Trace,
        }
    }

    /// The level of the other commands, which talk for themselves.
    pub fn of_command(verbose: u8) -> Self {
        match verbose {
            0 => Self::Warn,
            1 => Self::Debug,
            _ => Self::Trace,
        }
    }
}

/// Starts logging. The variable `RUST_LOG` overrides the level.
pub fn init(format: Format, level: Level) {
    let default = match level {
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "info,bluegreen=debug",
        Level::Trace => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        Format::Text => log
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .init(),
        Format::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init(),
    }
}
