//! `history`.

use clap::Args;
use serde_json::json;

use super::{Common, Failure, block_on, print, print_json, talk};

/// Shows who changed the traffic, when and why, the newest first.
///
/// A change that came from outside, such as by `redis-cli SET`, is there too, by `outside`; and one that the guard has
/// refused, by `guard`, from what stands to what stands. Exit codes: 0; 2 usage or
/// config mistake; 6 the store could not be reached.
#[derive(Debug, Args)]
pub struct History {
    /// How many changes at most
    #[arg(
        long,
        short = 'n',
        env = "BLUEGREEN_LIMIT",
        default_value_t = 20,
        value_name = "COUNT"
    )]
    limit: usize,
}

impl History {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self { limit } = self;
        let config = common.load()?;
        let (name, stack) = common.stack(&config)?;
        let entries = block_on(async {
            let failed = |error| Failure::store(&common.store, &error, "");
            let mut session = common.store.connect(&stack.key).await.map_err(failed)?;
            session.past(&stack.key, limit.max(1)).await.map_err(failed)
        })?;
        if common.json {
            print_json(&json!({ "stack": name, "history": entries }));
        } else if entries.is_empty() {
            talk(&format!("the traffic of {name} has not been changed yet"));
        }
        if !common.json {
            for entry in entries {
                print(&entry.to_string());
            }
        }
        Ok(())
    }
}
