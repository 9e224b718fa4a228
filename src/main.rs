//! The command line: parse, run, turn the outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    bluegreen::commands::usage::parse().run()
}
