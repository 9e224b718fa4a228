//! `completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Arguments, Failure, print_as_it_is};

/// Prints the completions for a shell.
///
/// For bash: `bluegreen completions bash > /etc/bash_completion.d/bluegreen`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// Never.
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { shell } = self;
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "bluegreen", &mut script);
        print_as_it_is(String::from_utf8_lossy(&script).trim_end());
        Ok(())
    }
}
