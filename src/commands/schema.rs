//! `schema`.

use clap::Args;

use super::{Failure, print_json};
use crate::config;

/// Prints the JSON Schema of the config file, for editors.
///
/// An editor that knows YAML schemas takes it by a first line in the config:
/// `# yaml-language-server: $schema=bluegreen.schema.json`.
#[derive(Debug, Args)]
pub struct Schema {}

impl Schema {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// Never.
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self {} = self;
        print_json(&config::json_schema());
        Ok(())
    }
}
