//! One run of the command line, with everything expected that it may print.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::eventually;
use super::process::{Log, Process, guarded};
use super::provider::{Provider, clean_environment};

/// How long something may take until it is said: what waits says so within 5 s.
const SAYS_WITHIN: Duration = Duration::from_secs(20);

/// Above every `--timeout` that a test gives.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A run that is expected to print nothing and to exit with 0, unless told otherwise.
///
/// ```ignore
/// Cli::new(&["flip", "green"]).of(&provider).stderr("green has the traffic").run().await;
/// Cli::new(&["flip", "purple"]).of(&provider).code(2).stderr("unknown color `purple`").run().await;
/// ```
#[must_use = "nothing happens before `run`"]
pub(crate) struct Cli {
    command: Command,
    shown: String,
    code: Option<i32>,
    stdout: Expect,
    stderr: Expect,
}

enum Expect {
    Exactly(String),
    Parts(Vec<String>),
    Anything,
}

/// What a run printed.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Cli {
    pub(crate) fn new(args: &[&str]) -> Self {
        let mut command = guarded(env!("CARGO_BIN_EXE_bluegreen"));
        clean_environment(&mut command);
        command.args(args);
        Self {
            command,
            shown: format!("bluegreen {}", args.join(" ")),
            code: Some(0),
            stdout: Expect::Exactly(String::new()),
            stderr: Expect::Exactly(String::new()),
        }
    }

    /// With this provider's config file and store.
    pub(crate) fn of(self, provider: &Provider) -> Self {
        self.config(provider.config()).store(provider.store())
    }

    pub(crate) fn config(self, path: PathBuf) -> Self {
        self.env("BLUEGREEN_CONFIG", &path.display().to_string())
    }

    pub(crate) fn store(self, url: &str) -> Self {
        self.env("BLUEGREEN_STORE", url)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// The folder in which it runs.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(crate) fn code(mut self, code: i32) -> Self {
        self.code = Some(code);
        self
    }

    /// How it ends is the caller's business.
    pub(crate) fn any_code(mut self) -> Self {
        self.code = None;
        self
    }

    /// stdout holds this text; called again, that one too.
    pub(crate) fn stdout(mut self, part: &str) -> Self {
        self.stdout.add(part);
        self
    }

    /// stderr holds this text; called again, that one too.
    pub(crate) fn stderr(mut self, part: &str) -> Self {
        self.stderr.add(part);
        self
    }

    pub(crate) fn stdout_is(mut self, text: &str) -> Self {
        self.stdout = Expect::Exactly(text.into());
        self
    }

    pub(crate) fn stderr_is(mut self, text: &str) -> Self {
        self.stderr = Expect::Exactly(text.into());
        self
    }

    pub(crate) fn any_stdout(mut self) -> Self {
        self.stdout = Expect::Anything;
        self
    }

    pub(crate) fn any_stderr(mut self) -> Self {
        self.stderr = Expect::Anything;
        self
    }

    /// Starts it, for a test that does something meanwhile.
    pub(crate) fn start(mut self) -> Started {
        let log = Log::default();
        let parts = [&self.stdout, &self.stderr].map(Expect::parts).concat();
        Started {
            process: Process::spawn(&self.shown, &mut self.command, &log),
            log,
            shown: self.shown,
            code: self.code,
            parts,
        }
    }

    /// Runs it, and checks all that is expected at once.
    pub(crate) async fn run(self) -> Output {
        let Self {
            command,
            shown,
            code,
            stdout,
            stderr,
        } = self;
        let mut command = tokio::process::Command::from(command);
        command
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output
            .unwrap_or_else(|_| panic!("`{shown}` runs for more than {PATIENCE:?}"))
            .unwrap();
        let output = Output {
            // A signal ended it where there is no code.
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        let mut wrong = Vec::new();
        if let Some(code) = code.filter(|code| *code != output.code) {
            wrong.push(format!("exit code {} instead of {code}", output.code));
        }
        wrong.extend(stdout.unmet("stdout", &output.stdout));
        wrong.extend(stderr.unmet("stderr", &output.stderr));
        let Output { stdout, stderr, .. } = &output;
        let wrong = wrong.join("\n  ");
        assert!(
            wrong.is_empty(),
            "`{shown}`:\n  {wrong}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        output
    }
}

/// A run that has begun.
///
/// What it prints goes to one log, in which the expected parts of both streams are looked for.
pub(crate) struct Started {
    process: Process,
    log: Log,
    shown: String,
    code: Option<i32>,
    parts: Vec<String>,
}

impl Started {
    /// Waits until it has printed this text.
    pub(crate) async fn says(&self, text: &str) {
        self.says_times(text, 1).await;
    }

    /// Waits until it has printed this text a second time.
    pub(crate) async fn says_again(&self, text: &str) {
        self.says_times(text, 2).await;
    }

    async fn says_times(&self, text: &str, times: usize) {
        let what = format!("`{}` says `{text}`", self.shown);
        eventually(&what, SAYS_WITHIN, async || {
            if self.log.count(text) >= times {
                Ok(())
            } else {
                Err(format!("\n{}", self.log))
            }
        })
        .await;
    }

    /// Sends a signal, such as `INT`.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.process.kill();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it does not run any more.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// Waits until it has ended, and gives its exit code; -1 where a signal ended it.
    pub(crate) async fn code(&mut self) -> i32 {
        let status = self.process.wait(PATIENCE).await;
        status.code().unwrap_or(-1)
    }

    /// Waits until it has ended, and checks all that is expected at once. Gives what it has printed.
    pub(crate) async fn end(mut self) -> String {
        let status = self.process.wait(PATIENCE).await;
        // Its log is complete then.
        self.process.kill();
        let Self {
            log,
            shown,
            code,
            parts,
            ..
        } = &self;
        let text = log.lines().join("\n");
        let missing: Vec<_> = parts.iter().filter(|part| !text.contains(*part)).collect();
        assert!(
            (code.is_none() || status.code() == *code) && missing.is_empty(),
            "`{shown}`: {status}, expected {code:?}; without {missing:?}\n{log}"
        );
        text
    }
}

impl Output {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON: {error}: {self:?}"))
    }
}

impl Expect {
    fn add(&mut self, part: &str) {
        match self {
            Self::Parts(parts) => parts.push(part.into()),
            Self::Exactly(_) | Self::Anything => *self = Self::Parts(vec![part.into()]),
        }
    }

    fn parts(&self) -> Vec<String> {
        match self {
            Self::Parts(parts) => parts.clone(),
            Self::Exactly(_) | Self::Anything => Vec::new(),
        }
    }

    fn unmet(&self, name: &str, text: &str) -> Vec<String> {
        match self {
            Self::Exactly(expected) if expected != text => {
                vec![format!("{name} is not {expected:?}")]
            }
            Self::Parts(parts) => {
                let missing = parts.iter().filter(|part| !text.contains(*part));
                missing
                    .map(|part| format!("{name} is without {part:?}"))
                    .collect()
            }
            Self::Exactly(_) | Self::Anything => Vec::new(),
        }
    }
}
