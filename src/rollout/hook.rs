//! Runs the hooks of a stage of a rollout, one after the other.
//!
//! A command ends with all that it has started: when it is done, when its time is over, and when nobody waits for it
//! any more. What fails is told without secrets, and on lines that are safe to look at, so that it can be kept anywhere.

use std::collections::VecDeque;
use std::process::ExitStatus;
use std::time::Duration;

use url::{Position, Url, form_urlencoded};

use super::place::Place;
use super::record::Record;
use crate::check::CommandLine;
use crate::color::Color;
use crate::command::{END_WITHIN, Running};
use crate::hook::{Action, Call, Hook, Hooks, Stage};
use crate::printable::{Printable, beginning};
use crate::template::{Values, fill};
use crate::verify::ask::{Request, Trust};
use crate::verify::steps::meets;

/// The longest line, in bytes: what is longer is several.
const LONGEST_LINE: usize = 4096;

/// How many of the last lines of a command a failure has.
const LAST_LINES: usize = 5;

/// How much of each of them, and of what was run, in characters.
const SHOWN: usize = 200;

/// What a hook is told of its rollout.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The stage.
    pub stage: Stage,
    /// The stack's name.
    pub stack: &'a str,
    /// The color that it is about: the one that gets the traffic, or the one that is stopped.
    pub color: &'a Color,
    /// The traffic before the rollout; none where nobody knows it.
    pub from: Option<&'a str>,
    /// The traffic that the rollout is for.
    pub to: &'a str,
    /// The rollout's name; empty where a color is stopped without one.
    pub rollout: &'a str,
    /// Who asked for it.
    pub by: &'a str,
    /// Why, in their words; empty where they said nothing.
    pub why: &'a str,
}

/// What there is to tell while hooks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// A hook has begun; what it does, without secrets.
    Began(&'a str),
    /// A line that a command has printed, as it did, without its end.
    Line(&'a [u8]),
}

/// A hook that failed. All of its texts are printable, and without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hook `{hook}` failed: {what}: {cause}{}", .output.last().map(|line| format!(": {line}")).unwrap_or_default())]
pub struct HookFailed {
    /// Which: its stage, and where that has several its place among them, as in `before[1]`.
    pub hook: String,
    /// What it was to do: its command, or its method and its server.
    pub what: String,
    /// How it failed.
    pub cause: Cause,
    /// The last lines that its command has printed, the beginning of each.
    pub output: Vec<String>,
}

/// How a hook failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Its command can't be run.
    #[error("it can't be run: {0}")]
    NotRun(String),
    /// Its command ended with another status than 0.
    #[error("{0}")]
    Ended(ExitStatus),
    /// Its command took longer than it may.
    #[error("not done within {0:?}; it was ended, with all that it had started")]
    Late(Duration),
    /// Its request was not answered.
    #[error("{0}")]
    NoAnswer(String),
    /// Its request was not answered as expected.
    #[error("{0}")]
    Answer(String),
}

/// Runs the hooks of the stage that is told, up to the first that fails; commands in this place.
///
/// # Errors
///
/// The one that failed.
pub async fn run(
    hooks: &Hooks,
    told: &Told<'_>,
    place: &Place,
    tell: &dyn Fn(Said<'_>),
) -> Result<(), HookFailed> {
    let hooks = hooks.of(told.stage);
    for (i, hook) in hooks.iter().enumerate() {
        let what = what(hook, told);
        tell(Said::Began(&what));
        let (done, output) = match &hook.action {
            Action::Command(line) => {
                let line = line.of_color(told.color);
                command(&line, told, place, hook.timeout, tell).await
            }
            Action::Call(call) => (ask(call, told, hook.timeout).await, Vec::new()),
        };
        if let Err(cause) = done {
            let hook = match hooks.len() {
                1 => told.stage.to_string(),
                _ => format!("{}[{i}]", told.stage),
            };
            return Err(HookFailed {
                hook,
                what,
                cause,
                output,
            });
        }
    }
    Ok(())
}

/// What a hook does, without secrets: of a URL only the server, because many have one in their path.
fn what(hook: &Hook, told: &Told<'_>) -> String {
    match &hook.action {
        Action::Command(line) => shown(&line.of_color(told.color).to_string()),
        Action::Call(call) => {
            let server = url(call, told).map_or_else(|_| "?".to_owned(), |url| server(&url));
            shown(&format!("{} {server}", call.method))
        }
    }
}

impl<'a> Told<'a> {
    /// What hooks are told of this rollout.
    pub fn of(record: &'a Record, stage: Stage, color: &'a Color) -> Self {
        Self {
            stage,
            stack: &record.stack,
            color,
            from: record.from.as_deref(),
            to: record.request.goal(),
            rollout: &record.id,
            by: &record.by,
            why: &record.why,
        }
    }

    /// What a command has in its environment.
    fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        let all = [
            ("STACK", self.stack),
            ("COLOR", self.color.as_str()),
            ("BLUEGREEN_FROM", self.from.unwrap_or_default()),
            ("BLUEGREEN_TO", self.to),
            ("BLUEGREEN_ROLLOUT", self.rollout),
            // A `bluegreen` that a hook calls takes these for its own, unless told otherwise.
            ("BLUEGREEN_STACK", self.stack),
            ("BLUEGREEN_BY", self.by),
            ("BLUEGREEN_WHY", self.why),
        ];
        let stage = ("BLUEGREEN_STAGE", self.stage.to_string());
        // What comes from the store may hold what no environment can.
        let all = all.map(|(name, value)| (name, value.replace('\0', "")));
        all.into_iter().chain([stage])
    }

    /// What the texts of a request have for the names in [`GIVEN`](crate::hook::GIVEN).
    fn values(&self) -> Values {
        let values = [
            ("stage", self.stage.to_string().into()),
            ("stack", self.stack.into()),
            ("color", self.color.as_str().into()),
            ("from", self.from.into()),
            ("to", self.to.into()),
            ("rollout", self.rollout.into()),
            ("by", self.by.into()),
            ("why", self.why.into()),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value));
        Values::from(values)
    }
}

/// Runs a command; how it failed, and the last lines that it has printed.
async fn command(
    line: &CommandLine,
    told: &Told<'_>,
    place: &Place,
    within: Duration,
    tell: &dyn Fn(Said<'_>),
) -> (Result<(), Cause>, Vec<String>) {
    let mut command = line.command();
    command
        .current_dir(&place.folder)
        .envs(told.environment())
        .env("BLUEGREEN_CONFIG", &place.config)
        .envs(place.store.iter().map(|url| ("BLUEGREEN_STORE", url)));
    let mut printed = Printed {
        tell,
        line: Vec::new(),
        last: VecDeque::new(),
    };
    let mut running = match Running::start(command) {
        Ok(running) => running,
        Err(error) => return (Err(Cause::NotRun(shown(&error.to_string()))), Vec::new()),
    };
    let mut take = |piece: &[u8]| printed.take(piece);
    let ended = tokio::time::timeout(within, running.wait(&mut take)).await;
    let done = match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(Cause::Ended(status)),
        Ok(Err(error)) => Err(Cause::NotRun(shown(&error.to_string()))),
        Err(_) => {
            running.end(END_WITHIN, &mut take).await;
            Err(Cause::Late(within))
        }
    };
    printed.end();
    (done, printed.last.into())
}

/// What a command prints, line by line.
struct Printed<'a> {
    tell: &'a dyn Fn(Said<'_>),
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The last that have, as they are shown.
    last: VecDeque<String>,
}

impl Printed<'_> {
    fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            self.line.extend_from_slice(text);
            if ends || self.line.len() >= LONGEST_LINE {
                self.end();
            }
        }
    }

    /// Ends a line, if one has begun.
    fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return;
        }
        (self.tell)(Said::Line(line));
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(shown(&String::from_utf8_lossy(line)));
    }
}

/// Makes a request.
async fn ask(call: &Call, told: &Told<'_>, within: Duration) -> Result<(), Cause> {
    let values = told.values();
    let url = url(call, told).map_err(|error| Cause::NoAnswer(format!("its URL: {error}")))?;
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let request = Request {
        method: call.method.clone(),
        trust: Trust::Host,
        ..Request::get(&server(&url), path, within)
    };
    let request = request.with(&call.headers, &call.body, &values);
    let shown = |text: &str| without_what_was_sent(text, &request);
    let answer = request.ask().await;
    let answer = answer.map_err(|error| Cause::NoAnswer(shown(error.why())))?;
    meets(&call.expect, &answer, &values)
        .map_err(|what| Cause::Answer(shown(&format!("{what}, got {}", answer.shown()))))
}

/// The URL with its values.
fn url(call: &Call, told: &Told<'_>) -> Result<Url, url::ParseError> {
    let values = told.values().into_iter().map(|(name, value)| {
        let text = value.as_str().unwrap_or_default();
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        // A `+` is a space in a query only.
        (name, encoded.replace('+', "%20").into())
    });
    Url::parse(&fill(&call.url, &values.collect()))
}

/// Its scheme, host and port.
fn server(url: &Url) -> String {
    url[..Position::BeforePath].to_owned()
}

/// A text that a server may have said, without what only the server is to know: a header or a path that it repeats.
fn without_what_was_sent(text: &str, request: &Request) -> String {
    /// What is shorter is no secret, and may stand anywhere.
    const SHORTEST: usize = 6;
    let headers = request.headers.iter().flat_map(|(_, value)| {
        // `Bearer` and the like are none.
        let credentials = value.split_once(' ').map(|(_, credentials)| credentials);
        [Some(value.as_str()), credentials].into_iter().flatten()
    });
    let sent = headers.chain([request.path.as_str()]);
    let sent = sent.filter(|sent| sent.len() >= SHORTEST);
    let text = sent.fold(text.to_owned(), |text, sent| text.replace(sent, "…"));
    Printable(&text).to_string()
}

/// The beginning of a text, as it can be kept and shown anywhere.
fn shown(text: &str) -> String {
    Printable(&beginning(text.trim(), SHOWN)).to_string()
}
