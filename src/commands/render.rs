//! `render`.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use clap::Args;

use super::{Common, Exit, Failure, print_as_it_is, print_json, talk};
use crate::document;
use crate::traffic::Traffic;

/// Prints the document that `serve` would answer, without the store.
///
/// On a terminal it is indented; else it is the very bytes that `serve` sends, and a line feed, but for a default
/// certificate that `serve` generates. Exit codes: 0, or 2
/// for a usage or config mistake.
#[derive(Debug, Args)]
pub struct Render {
    /// The traffic of the stack, such as green or blue:90,green:10 [default: its first color]
    #[arg(long, env = "BLUEGREEN_TRAFFIC", value_name = "VALUE")]
    traffic: Option<String>,
}

impl Render {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// A usage or config mistake.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self { traffic } = self;
        let config = common.load()?;
        let mut of_stacks = BTreeMap::new();
        if let Some(value) = traffic {
            let (name, stack) = common.stack(&config)?;
            let traffic = Traffic::parse(value.as_bytes(), &stack.colors)
                .map_err(|error| Failure::new(Exit::Usage, format!("--traffic: {error}")))?;
            of_stacks.insert(name.to_owned(), traffic);
        }
        if config.generated_certificate && !common.quiet {
            talk("note: `serve` adds the default certificate that it generates");
        }
        let document = document::render(&config, &of_stacks, None);
        let text = String::from_utf8_lossy(&document.bytes);
        if std::io::stdout().is_terminal()
            && let Ok(value) = serde_json::from_str::<serde_json::Value>(&text)
        {
            print_json(&value);
        } else {
            print_as_it_is(&text);
        }
        Ok(())
    }
}
