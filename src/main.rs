//! The command line: parse, run, turn the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    bluegreen::commands::Arguments::parse().run()
}
