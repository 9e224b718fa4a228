//! Usage: reading the command line, and what is said of a mistake in it.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error, FromArgMatches};

use super::Arguments;
use crate::printable::{Printable, is_printable};

/// The flags whose values are told to nobody.
const SECRET: [&str; 4] = ["--store", "--token", "--read-token", "--why"];

/// What stands for a value that is not told.
const HIDDEN: &str = "…";

/// Reads the command line. Where it asks for help or has a mistake, that is printed, and the process ends.
pub fn parse() -> Arguments {
    let args: Vec<_> = std::env::args_os().collect();
    let parsed = without_values(Arguments::command()).try_get_matches_from(&args);
    parsed
        .and_then(|matches| Arguments::from_arg_matches(&matches))
        .unwrap_or_else(|error| presentable(error, &args).exit())
}

/// The command with a help that names the variables and not their values: these may hold anything.
fn without_values(command: Command) -> Command {
    command
        .mut_args(|arg| arg.hide_env_values(true))
        .mut_subcommands(without_values)
}

/// The mistake without what nobody should see, and printable.
fn presentable(mut error: Error, args: &[OsString]) -> Error {
    let of_secret = |text: &str, flag: &&str| {
        let rest = text.strip_prefix(flag);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
    };
    let context: Vec<_> = error
        .context()
        .map(|(kind, value)| (kind, value.clone()))
        .collect();
    let about_secret = context.iter().any(|(kind, value)| {
        matches!((kind, value), (ContextKind::InvalidArg, ContextValue::String(arg))
            if SECRET.iter().any(|flag| of_secret(arg, flag)))
    });
    // A token with white space in it that is not quoted comes in pieces.
    let has_secret = args.iter().any(|arg| {
        let arg = arg.to_string_lossy();
        SECRET[..3].iter().any(|flag| of_secret(&arg, flag))
    });
    let stray = error.kind() == ErrorKind::UnknownArgument && has_secret;
    for (kind, value) in context {
        let tell = |text: &str| match kind {
            ContextKind::InvalidValue if about_secret => HIDDEN.to_owned(),
            ContextKind::InvalidArg if stray && !text.starts_with('-') => HIDDEN.to_owned(),
            _ => Printable(text).to_string(),
        };
        let styled = |text: StyledStr| match text.to_string() {
            plain if plain.chars().all(is_printable) => text,
            plain => Printable(&plain).to_string().into(),
        };
        let value = match value {
            ContextValue::StyledStr(text) => ContextValue::StyledStr(styled(text)),
            ContextValue::StyledStrs(texts) => {
                ContextValue::StyledStrs(texts.into_iter().map(styled).collect())
            }
            ContextValue::String(text) => ContextValue::String(tell(&text)),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| tell(text)).collect())
            }
            other => other,
        };
        error.insert(kind, value);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(args: &[&str]) -> String {
        let args: Vec<OsString> = [&["bluegreen"], args]
            .concat()
            .iter()
            .map(Into::into)
            .collect();
        let parsed = without_values(Arguments::command()).try_get_matches_from(&args);
        presentable(parsed.expect_err("they have a mistake"), &args).to_string()
    }

    #[test]
    fn a_mistake_tells_no_secret() {
        let long = format!("s3cret{}", "x".repeat(1000));
        for args in [
            &["serve", "--token=a", "s3cret"][..],
            &["serve", "--read-token", "a", "s3cret", "b"],
            &["serve", "--tokn=s3cret"],
            &["flip", "--token=s3cret", "green"],
            &["flip", "--why", &long, "green"],
            &["flip", "--store=redis://:s3cret@h:1/x", "green"],
            &["flip", "--store=redis://u:s3cret@h:99999", "green"],
        ] {
            let told = told(args);
            assert!(!told.contains("s3cret"), "{args:?}: {told}");
        }
    }

    #[test]
    fn a_mistake_is_printable_and_names_what_is_not_secret() {
        for (args, expected) in [
            (&["serve", "--timeout=\x1b[2J"][..], r"\u{1b}[2J"),
            (&["flip", "--tim\u{202e}"], r"--tim\u{202e}"),
            (&["flip", "--why=release", "green", "42"], "'42'"),
            (&["fl\nip"], r"fl\nip"),
        ] {
            let told = told(args);
            assert!(told.contains(expected), "{args:?}: {told}");
            let bad = |c: char| c != '\n' && !is_printable(c);
            assert!(!told.contains(bad), "{told:?}");
        }
    }
}
