//! The log: on stderr, as text or JSON.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::printable;

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
    let colors = format == Format::Text && io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Events { format, colors })
        .with_ansi(colors);
    match format {
        Format::Text => log.with_target(false).init(),
        Format::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init(),
    }
}

/// Takes the events, each in one piece, and writes them printable to stderr: what they tell may come from anywhere.
struct Events {
    format: Format,
    colors: bool,
}

impl Write for Events {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let mut printable = match self.format {
            Format::Text => printable::event(text, self.colors),
            Format::Json => printable::json(text),
        };
        printable.push('\n');
        io::stderr().lock().write_all(printable.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
