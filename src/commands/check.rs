//! `check`.

use clap::Args;
use serde_json::json;

use super::{Common, Exit, Failure, load_config, print, print_json};

/// Checks the config file and nothing else.
///
/// Every mistake is reported in one go, each with its file, line, column, key and a hint. Exit codes: 0 the config is
/// good; 2 it has mistakes, or can't be read.
#[derive(Debug, Args)]
pub struct Check {}

impl Check {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// The mistakes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self {} = self;
        if common.json {
            let (report, good) = match load_config(&common.config) {
                Ok(loaded) => (loaded.warnings, true),
                Err(report) => (report, false),
            };
            print_json(&json!({ "good": good, "mistakes": report }));
            return if good {
                Ok(())
            } else {
                Err(Failure::new(Exit::Usage, ""))
            };
        }
        let config = common.load()?;
        if !common.quiet {
            let services: usize = config
                .stacks
                .values()
                .map(|stack| stack.services.len())
                .sum();
            let stacks: Vec<_> = config.stacks.keys().map(String::as_str).collect();
            let services_s = if services == 1 { "" } else { "s" };
            let stacks_s = if stacks.len() == 1 { "" } else { "s" };
            print(&format!(
                "{} is good: stack{stacks_s} {}, {services} service{services_s}",
                common.config.display(),
                stacks.join(", ")
            ));
        }
        Ok(())
    }
}
