//! The commands, one file each.

pub mod board;
mod change;
pub mod check;
pub mod completions;
pub mod deploy;
pub mod down;
pub mod flip;
mod follow;
pub mod healthcheck;
pub mod history;
pub mod holder;
pub mod init;
pub mod interrupt;
mod nested;
mod observer;
pub mod plan;
mod print;
pub mod progress;
pub mod ramp;
pub mod render;
pub mod rollback;
pub mod rollout;
pub mod schema;
pub mod serve;
pub mod shift;
mod stage;
pub mod status;
mod told;
mod underway;
mod up;
pub mod usage;
pub mod verify;
mod view;
mod wrong;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Stack};
use crate::printable;
use crate::rollout::place::Place;
use crate::secret;
use crate::store::{InvalidStore, Store, StoreError};
use crate::verify::report::Report;
use print::{
    print, print_as_it_is, print_json, print_json_line, print_lines, print_outcome, talk,
    talk_report,
};

/// Switches a whole stack of services between its blue and its green deployment behind Traefik.
///
/// `bluegreen serve` is the endpoint that Traefik's HTTP provider polls. It generates the routers from one key in the
/// store, so that `redis-cli SET active green` moves every service at once; `bluegreen flip green` does it with care.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done as promised
  1  failed; nothing was changed
  2  usage or config mistake
  3  refused: a check failed; nothing was changed
  4  changed, then a check failed and it was rolled back (unless --no-rollback)
  5  changed, but not every instance confirmed in time (rolled back unless --no-rollback), or interrupted
  6  the store could not be reached; nothing was changed, or it says that this is not known
  7  somebody else changed the traffic meanwhile, or is at it";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Flip(flip::Flip),
    Rollback(rollback::Rollback),
    Shift(shift::Shift),
    Ramp(ramp::Ramp),
    Rollout(rollout::Rollout),
    Verify(verify::Verify),
    Deploy(deploy::Deploy),
    Down(down::Down),
    Status(status::Status),
    History(history::History),
    Check(check::Check),
    Init(init::Init),
    Render(render::Render),
    Schema(schema::Schema),
    Healthcheck(healthcheck::Healthcheck),
    Completions(completions::Completions),
}

/// Flags that all commands know.
#[derive(Debug, Args)]
pub struct Common {
    /// The config file, or a folder of which every *.yml is read
    #[arg(
        long,
        global = true,
        env = "BLUEGREEN_CONFIG",
        default_value = "bluegreen.yml",
        value_name = "PATH"
    )]
    pub config: PathBuf,
    /// The store: redis://, rediss://, redis+sentinel://, unix:// or file:DIR
    #[arg(
        long,
        global = true,
        env = "BLUEGREEN_STORE",
        default_value = "redis://127.0.0.1:6379",
        hide_env_values = true,
        value_parser = StoreParser,
        value_name = "URL"
    )]
    pub store: Store,
    /// The stack; needed where the config has several
    #[arg(long, global = true, env = "BLUEGREEN_STACK", value_name = "NAME")]
    pub stack: Option<String>,
    /// Print one JSON object
    #[arg(long, global = true, env = "BLUEGREEN_JSON", value_parser = crate::flag::parse)]
    pub json: bool,
    /// How long to wait, such as 30s or 2m
    #[arg(long, global = true, env = "BLUEGREEN_TIMEOUT", default_value = "60s", value_parser = crate::duration::parse, value_name = "DURATION")]
    pub timeout: Duration,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, env = "BLUEGREEN_VERBOSE")]
    pub verbose: u8,
    /// Say only what goes wrong
    #[arg(
        short,
        long,
        global = true,
        env = "BLUEGREEN_QUIET", value_parser = crate::flag::parse,
        conflicts_with = "verbose"
    )]
    pub quiet: bool,
}

/// Reads `--store`. What clap says of a wrong value repeats it, and it may hold a password: this says only what is wrong.
#[derive(Clone)]
struct StoreParser;

impl TypedValueParser for StoreParser {
    type Value = Store;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Store, clap::Error> {
        let store = value.to_str().ok_or(InvalidStore::Scheme);
        store.and_then(str::parse).map_err(|error| {
            let message = format!("--store, or BLUEGREEN_STORE: {error}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

/// Says something that is not worth a line where one asked for silence.
fn talk_unless_quiet(common: &Common, text: &str) {
    if !common.quiet && !common.json {
        talk(text);
    }
}

/// What a failure before the change means.
pub(crate) const NOTHING_CHANGED: &str = "; nothing was changed";

/// The meaning of an exit code other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Failed; nothing was changed.
    Failed = 1,
    /// A usage or config mistake.
    Usage = 2,
    /// Refused: a check failed; nothing was changed.
    Refused = 3,
    /// Changed, then a check failed and it was rolled back.
    RolledBack = 4,
    /// Changed, but not every instance confirmed in time.
    Unconfirmed = 5,
    /// The store could not be reached.
    Store = 6,
    /// Somebody else changed the traffic meanwhile.
    Conflict = 7,
}

/// Why a command does not end with 0.
#[derive(Debug)]
pub struct Failure {
    /// Its exit code.
    pub exit: Exit,
    /// What went wrong, and where.
    pub message: String,
    /// What there is to say of it in lines of their own.
    pub details: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
    /// What was verified before, for the JSON object.
    pub checks: Option<Report>,
}

impl Failure {
    /// A failure with a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            details: Vec::new(),
            hint: None,
            checks: None,
        }
    }

    /// The same with what was verified before.
    pub fn checks(mut self, checks: Report) -> Self {
        self.checks = Some(checks);
        self
    }

    /// The same with what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The store did not do what it was asked; `so` says what that means.
    pub fn store(store: &Store, error: &StoreError, so: &str) -> Self {
        match error {
            StoreError::Unreachable(reason) => {
                let message = format!("the store {store} can't be reached: {reason}{so}");
                Self::new(Exit::Store, message).hint(
                    "another store is given with --store; what a provider serves meanwhile is at its /status",
                )
            }
            StoreError::Unknown(_) => Self::new(Exit::Store, format!("the store {store}: {error}"))
                .hint("look with `bluegreen status`, once the store answers"),
            StoreError::Refused(refusal) => {
                let message = format!("the store {store} refuses: {refusal}{so}");
                let failure = Self::new(Exit::Failed, message);
                match refusal.may_pass {
                    true => failure.hint("this may pass by itself: try again"),
                    false => failure,
                }
            }
        }
    }
}

impl Arguments {
    /// Runs the command. What it has to say of a failure is printed here.
    pub fn run(self) -> ExitCode {
        let Self { command, common } = self;
        if !matches!(command, Command::Serve(_)) {
            crate::log::init(
                crate::log::Format::Text,
                crate::log::Level::of_command(common.verbose),
            );
        }
        let outcome = match command {
            Command::Serve(command) => command.run(&common),
            Command::Flip(command) => command.run(&common),
            Command::Rollback(command) => command.run(&common),
            Command::Shift(command) => command.run(&common),
            Command::Ramp(command) => command.run(&common),
            Command::Rollout(command) => command.run(&common),
            Command::Verify(command) => command.run(&common),
            Command::Deploy(command) => command.run(&common),
            Command::Down(command) => command.run(&common),
            Command::Status(command) => command.run(&common),
            Command::History(command) => command.run(&common),
            Command::Check(command) => command.run(&common),
            Command::Init(command) => command.run(&common),
            Command::Render(command) => command.run(&common),
            Command::Schema(command) => command.run(),
            Command::Healthcheck(command) => command.run(&common),
            Command::Completions(command) => command.run(),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                if common.json && !failure.message.is_empty() {
                    let mut object = serde_json::json!({
                        "exit": failure.exit as u8,
                        "error": failure.message,
                        "hint": failure.hint,
                    });
                    if !failure.details.is_empty() {
                        object["details"] = failure.details.clone().into();
                    }
                    if let Some(checks) = &failure.checks {
                        object["checks"] = checks.json();
                    }
                    print_outcome(&printable::json(&format!("{object:#}")));
                }
                if !failure.message.is_empty() {
                    talk(&format!("error: {}", failure.message));
                }
                for line in &failure.details {
                    talk(&format!("  {line}"));
                }
                if let Some(hint) = &failure.hint {
                    talk(&format!("hint: {hint}"));
                }
                ExitCode::from(failure.exit as u8)
            }
        }
    }
}

impl Common {
    /// Loads the config; its warnings go to stderr.
    ///
    /// # Errors
    ///
    /// A [`Failure`] with all its mistakes, which are printed here.
    pub fn load(&self) -> Result<Config, Failure> {
        match load_config(&self.config) {
            Ok(loaded) => {
                if !loaded.warnings.is_empty() && !self.quiet {
                    talk_report(&loaded.warnings);
                }
                Ok(loaded.config)
            }
            Err(report) => {
                talk_report(&report);
                let mistakes = report
                    .mistakes()
                    .iter()
                    .filter(|mistake| mistake.severity == config::Severity::Error)
                    .count();
                let s = if mistakes == 1 { "" } else { "s" };
                Err(Failure::new(
                    Exit::Usage,
                    format!("{}: {mistakes} mistake{s}", self.config.display()),
                ))
            }
        }
    }

    /// The folder of the config, in which its commands run.
    pub fn folder(&self) -> PathBuf {
        let folder = match self.config.is_dir() {
            true => Some(self.config.as_path()),
            false => self.config.parent(),
        };
        match folder {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    /// Where the config's commands run, and what a `bluegreen` that they call works with.
    pub fn place(&self) -> Place {
        let config = std::path::absolute(&self.config);
        Place {
            folder: self.folder(),
            config: config.unwrap_or_else(|_| self.config.clone()),
            store: self.store.url(),
        }
    }

    /// The stack that is meant, with its name.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where it does not exist, or several do and none is named.
    pub fn stack<'a>(&self, config: &'a Config) -> Result<(&'a str, &'a Stack), Failure> {
        let names = || {
            config
                .stacks
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let found = match &self.stack {
            Some(name) => config.stacks.get_key_value(name).ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    format!("there is no stack `{name}`; there are: {}", names()),
                )
            })?,
            None if config.stacks.len() > 1 => {
                return Err(Failure::new(Exit::Usage, "the config has several stacks")
                    .hint(format!("name one with --stack: {}", names())));
            }
            None => {
                let none = || Failure::new(Exit::Usage, "the config has no stack");
                config.stacks.iter().next().ok_or_else(none)?
            }
        };
        Ok((found.0, found.1))
    }
}

/// Loads a config with this process's environment.
pub(crate) fn load_config(path: &Path) -> Result<config::Loaded, config::Report> {
    config::load(path, &secret::variable)
}

/// Runs a command's async part on one thread: it waits more than it computes.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    use_ring();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the runtime can't start: {error}; nothing was changed"),
        )
    })?;
    let outcome = runtime.block_on(work);
    // A disk that hangs must not hold up what is to be said.
    runtime.shutdown_background();
    outcome
}

/// TLS needs to be told once which cryptography to use.
fn use_ring() {
    // An error says that it was told already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}
