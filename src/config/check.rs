//! The smoke tests of a stack, resolved: steps, or a command.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::Command;
use std::time::Duration;

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::Service;
use super::findings::{listed, nearest, shown};
use super::path::Path;
use super::raw::{
    RawCheck, RawCommand, RawDuration, RawExpect, RawStatus, RawStep, RawTarget, RawTexts,
};
use super::resolve::Resolver;
use crate::color::Color;
use crate::{duration, template};

/// The values that every check has from the start: its target's color, the stack, and a text that is another one in
/// each run.
pub const GIVEN: [&str; 3] = ["color", "stack", "run"];

/// A smoke test.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What it is called.
    pub name: String,
    /// Whether it is run against a color, before that gets the traffic.
    pub on_color: bool,
    /// Whether it is run against production.
    pub on_production: bool,
    /// How long one run of it may take.
    pub timeout: Duration,
    /// What it does.
    pub action: Action,
    /// Requests that are made after the steps, whatever came of them.
    pub cleanup: Vec<Step>,
}

/// What a smoke test does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Requests, one after the other.
    Steps(Vec<Step>),
    /// A command, which passes with exit code 0.
    Command(CommandLine),
}

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandLine {
    /// A command line for `sh -c`.
    Shell(String),
    /// A program with its arguments.
    Program(Vec<String>),
}

/// One request, and what is expected of its answer. Its texts are templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The service that is asked.
    pub service: String,
    /// The method.
    pub method: Method,
    /// The path, with a query where there is one.
    pub path: String,
    /// Request headers.
    pub headers: Vec<(HeaderName, String)>,
    /// What is sent.
    pub body: Body,
    /// How long the answer may take; none where only the check's own time limits it.
    pub timeout: Option<Duration>,
    /// What is expected.
    pub expect: Expect,
    /// The values of the answer that later steps need, by name.
    pub save: Vec<(String, Source)>,
}

impl Step {
    /// The texts of the request, which are templates.
    fn texts(&self) -> Vec<&str> {
        fn of_json<'a>(json: &'a Value, texts: &mut Vec<&'a str>) {
            match json {
                Value::String(text) => texts.push(text),
                Value::Array(items) => items.iter().for_each(|item| of_json(item, texts)),
                Value::Object(fields) => fields.values().for_each(|value| of_json(value, texts)),
                _ => {}
            }
        }
        let mut texts = vec![self.path.as_str()];
        texts.extend(self.headers.iter().map(|(_, value)| value.as_str()));
        match &self.body {
            Body::None => {}
            Body::Text(text) => texts.push(text),
            Body::Json(json) => of_json(json, &mut texts),
        }
        texts
    }

    /// Whether all values that the request refers to are there.
    pub fn has(&self, values: &template::Values) -> bool {
        let texts = self.texts();
        let mut names = texts.iter().flat_map(|text| template::names(text));
        names.all(|(_, name)| values.contains_key(name))
    }
}

impl CommandLine {
    /// The command to run.
    pub fn command(&self) -> Command {
        match self {
            Self::Shell(line) => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(line);
                command
            }
            Self::Program(words) => {
                // The config's check has made sure of the first.
                let mut command = Command::new(words.first().map_or("", String::as_str));
                command.args(words.iter().skip(1));
                command
            }
        }
    }

    /// It with the color in the place of `{color}`.
    pub fn of_color(&self, color: &Color) -> Self {
        let values = template::Values::from([("color".to_owned(), color.as_str().into())]);
        let fill = |text: &String| template::fill(text, &values);
        match self {
            Self::Shell(line) => Self::Shell(fill(line)),
            Self::Program(words) => Self::Program(words.iter().map(fill).collect()),
        }
    }
}

/// As it would be typed.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(line) => f.write_str(line.trim()),
            Self::Program(words) => f.write_str(&words.join(" ")),
        }
    }
}

/// What is sent with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON.
    Json(Value),
    /// Text.
    Text(String),
}

/// What is expected of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// The statuses that are good; empty for any 2xx.
    pub status: Vec<u16>,
    /// Headers that must be there, with their values.
    pub headers: Vec<(HeaderName, String)>,
    /// Texts that must be in the body.
    pub contains: Vec<String>,
    /// Values in the JSON of the body.
    pub json: Vec<(JsonPath, Value)>,
}

/// Where a value of an answer is.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// In the JSON of the body.
    Json(JsonPath),
    /// In a header.
    Header(HeaderName),
}

/// What a check can refer to.
pub(super) struct Around<'a> {
    /// The services of the stack.
    pub(super) services: &'a BTreeMap<String, Service>,
    /// Whether it says where production is.
    pub(super) production: bool,
}

/// Resolves the checks of a stack.
pub(super) fn checks(
    raw: Vec<RawCheck>,
    path: &Path,
    around: &Around<'_>,
    resolver: &mut Resolver<'_>,
) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for (i, raw) in raw.into_iter().enumerate() {
        let path = path.index(i);
        let name = path.key("name");
        if !resolver.findings.broken(&name) {
            if raw.name.trim().is_empty() || raw.name.contains(char::is_control) {
                resolver
                    .error_at_value(&name, "this can't be the name of a check")
                    .hint("say in a few words what it shows, such as `approval life cycle`");
            } else if checks.iter().any(|check| check.name == raw.name) {
                let message = format!("another check is named `{}` too", shown(&raw.name));
                resolver
                    .error_at_value(&name, message)
                    .hint("give it a name of its own: by it you will know which one failed");
            }
        }
        checks.push(check(raw, &path, around, resolver));
    }
    checks
}

fn check(raw: RawCheck, path: &Path, around: &Around<'_>, resolver: &mut Resolver<'_>) -> Check {
    let RawCheck {
        name,
        on,
        timeout,
        steps: raw_steps,
        cleanup: raw_cleanup,
        command: raw_command,
    } = raw;
    let on_production = on.contains(&RawTarget::Production);
    if on_production && !around.production {
        resolver
            .error(&path.key("on"), "the stack does not say where production is")
            .hint("add `production: http://127.0.0.1:80` to the stack: where this host reaches Traefik's entrypoint");
    }
    let timeout = time(timeout, &path.key("timeout"), resolver);
    let intact = !resolver.findings.broken(&path.key("steps"))
        && !resolver.findings.broken(&path.key("command"));
    if intact && raw_steps.is_empty() == raw_command.is_none() {
        let (at, message) = match raw_command {
            Some(_) => (
                path.key("command"),
                "a check has steps or a command, not both",
            ),
            None => (path.clone(), "the check does nothing"),
        };
        resolver
            .error(&at, message)
            .hint("give it `steps`, a list of requests, or a `command`");
    }
    if raw_command.is_some() && !raw_cleanup.is_empty() {
        resolver
            .error(
                &path.key("cleanup"),
                "a command has no steps to clean up after",
            )
            .hint("have the command clean up itself");
    }
    let mut known: BTreeSet<String> = GIVEN.iter().map(|name| (*name).to_owned()).collect();
    let mut steps = |raw, at: &str, resolver: &mut Resolver<'_>| {
        steps(raw, &path.key(at), &mut known, around, resolver)
    };
    let in_order = steps(raw_steps, "steps", resolver);
    let cleanup = steps(raw_cleanup, "cleanup", resolver);
    let action = match raw_command {
        Some(raw) => Action::Command(command(raw, &path.key("command"), resolver)),
        None => Action::Steps(in_order),
    };
    Check {
        name,
        on_color: on.contains(&RawTarget::Color),
        on_production,
        timeout,
        action,
        cleanup,
    }
}

/// Resolves a command.
pub(super) fn command(raw: RawCommand, path: &Path, resolver: &mut Resolver<'_>) -> CommandLine {
    let (command, at, program) = match raw {
        RawCommand::Shell(line) => (CommandLine::Shell(line.clone()), path.clone(), Some(line)),
        RawCommand::Program(words) => {
            let first = words.first().cloned();
            (CommandLine::Program(words), path.index(0), first)
        }
    };
    if program.is_some_and(|program| program.trim().is_empty()) {
        resolver
            .error_at_value(&at, "the command is empty")
            .hint("name a program, or remove the key");
    }
    command
}

fn steps(
    raw: Vec<RawStep>,
    path: &Path,
    known: &mut BTreeSet<String>,
    around: &Around<'_>,
    resolver: &mut Resolver<'_>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (i, raw) in raw.into_iter().enumerate() {
        steps.extend(step(raw, &path.index(i), known, around, resolver));
    }
    steps
}

fn step(
    raw: RawStep,
    path: &Path,
    known: &mut BTreeSet<String>,
    around: &Around<'_>,
    resolver: &mut Resolver<'_>,
) -> Option<Step> {
    let RawStep {
        service,
        method,
        path: asked,
        headers,
        json,
        text,
        timeout,
        expect,
        save,
    } = raw;
    service_named(&service, &path.key("service"), around, resolver);
    let method_path = path.key("method");
    let method = match Method::from_bytes(method.as_bytes()) {
        Ok(method) if method.as_str().chars().all(|c| !c.is_ascii_lowercase()) => Some(method),
        _ => {
            resolver
                .error_at_value(
                    &method_path,
                    format!("`{}` is not a method", shown(&method)),
                )
                .hint("write it in capitals, such as `POST`");
            None
        }
    };
    let asked_path = path.key("path");
    if !resolver.findings.broken(&asked_path) && !asked.starts_with('/') {
        resolver
            .error_at_value(&asked_path, "the path does not begin with `/`")
            .hint("write a path, such as `/deals?limit=1`");
    }
    templated(&asked, &asked_path, known, resolver);
    if json.is_some() && text.is_some() {
        resolver
            .error(
                &path.key("text"),
                "a request has one body, and this has two",
            )
            .hint("keep `json` or `text`");
    }
    if let Some(json) = &json {
        templated_json(json, &path.key("json"), known, resolver);
    }
    if let Some(text) = &text {
        templated(text, &path.key("text"), known, resolver);
    }
    let headers = header_values(headers, &path.key("headers"), known, resolver);
    let timeout = timeout.map(|raw| time(raw, &path.key("timeout"), resolver));
    let expect = expected(expect, &path.key("expect"), known, resolver);
    let save = saved(save, &path.key("save"), known, resolver);
    Some(Step {
        service,
        method: method?,
        path: asked,
        headers,
        body: match (json, text) {
            (Some(json), _) => Body::Json(json),
            (None, Some(text)) => Body::Text(text),
            (None, None) => Body::None,
        },
        timeout,
        expect,
        save,
    })
}

fn service_named(name: &str, path: &Path, around: &Around<'_>, resolver: &mut Resolver<'_>) {
    if resolver.findings.broken(path) || around.services.contains_key(name) {
        return;
    }
    let known = around.services.keys().map(String::as_str);
    let hint = match nearest(name, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("it has {}", listed(known)),
    };
    resolver
        .error_at_value(path, format!("the stack has no service `{}`", shown(name)))
        .hint(hint);
}

fn expected(
    raw: RawExpect,
    path: &Path,
    known: &BTreeSet<String>,
    resolver: &mut Resolver<'_>,
) -> Expect {
    let RawExpect {
        status,
        headers,
        contains,
        json,
    } = raw;
    let at = path.key("contains");
    let contains = match contains {
        None => Vec::new(),
        Some(RawTexts::One(text)) => {
            templated(&text, &at, known, resolver);
            vec![text]
        }
        Some(RawTexts::Many(texts)) => {
            for (i, text) in texts.iter().enumerate() {
                templated(text, &at.index(i), known, resolver);
            }
            texts
        }
    };
    let at = path.key("json");
    let mut values = Vec::new();
    for (text, value) in json {
        let at = at.key(&text);
        templated_json(&value, &at, known, resolver);
        match JsonPath::parse(&text) {
            Ok(json_path) => values.push((json_path, value)),
            Err(error) => {
                resolver
                    .error(&at, format!("this is not a JSONPath: {}", error.message()))
                    .hint("write one (RFC 9535), such as `$.status` or `$.items[0].id`");
            }
        }
    }
    Expect {
        status: match status {
            None => Vec::new(),
            Some(RawStatus::One(status)) => vec![status],
            Some(RawStatus::Many(statuses)) => statuses,
        },
        headers: header_values(headers, &path.key("headers"), known, resolver),
        contains,
        json: values,
    }
}

fn saved(
    raw: BTreeMap<String, String>,
    path: &Path,
    known: &mut BTreeSet<String>,
    resolver: &mut Resolver<'_>,
) -> Vec<(String, Source)> {
    let mut saved = Vec::new();
    for (name, text) in raw {
        let at = path.key(&name);
        if !template::is_name(&name) {
            resolver
                .error(
                    &at,
                    format!("`{}` can't be the name of a value", shown(&name)),
                )
                .hint("letters, digits, `-` and `_` make a name, which begins with a letter");
        } else if GIVEN.contains(&name.as_str()) {
            resolver
                .error(
                    &at,
                    format!("`{name}` is a value that every check has already"),
                )
                .hint("choose another name");
        }
        let source = match text.strip_prefix("header:") {
            Some(header) => HeaderName::from_bytes(header.trim().as_bytes())
                .map(Source::Header)
                .map_err(|_| "this is not the name of a header".to_owned()),
            None => JsonPath::parse(&text)
                .map(Source::Json)
                .map_err(|error| format!("this is not a JSONPath: {}", error.message())),
        };
        match source {
            Ok(source) => saved.push((name.clone(), source)),
            Err(message) => {
                resolver
                    .error_at_value(&at, message)
                    .hint("write a JSONPath (RFC 9535), such as `$.id`, or `header:NAME`");
            }
        }
        known.insert(name);
    }
    saved
}

fn header_values(
    raw: BTreeMap<String, String>,
    path: &Path,
    known: &BTreeSet<String>,
    resolver: &mut Resolver<'_>,
) -> Vec<(HeaderName, String)> {
    let mut headers = Vec::new();
    for (name, value) in raw {
        let at = path.key(&name);
        templated(&value, &at, known, resolver);
        if HeaderValue::from_str(&value).is_err() {
            resolver
                .error_at_value(&at, "this can't be the value of a header")
                .hint("it is one line without control characters");
        }
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => headers.push((name, value)),
            Err(_) => {
                resolver
                    .error(
                        &at,
                        format!("`{}` can't be the name of a header", shown(&name)),
                    )
                    .hint("write one, such as `Content-Type`");
            }
        }
    }
    headers
}

/// Checks that every `{name}` in a text is known by then.
fn templated(text: &str, path: &Path, known: &BTreeSet<String>, resolver: &mut Resolver<'_>) {
    for (at, name) in template::names(text) {
        if known.contains(name) {
            continue;
        }
        let span = resolver.part(path, at);
        let names = known.iter().map(String::as_str);
        let hint = match nearest(name, names.clone()) {
            Some(meant) => format!("did you mean `{{{meant}}}`?"),
            None => format!(
                "known here are {}; `save` in an earlier step adds to them",
                listed(names)
            ),
        };
        resolver
            .findings
            .error(span, path, format!("there is no value `{}`", shown(name)))
            .hint(hint);
    }
}

/// The same for all texts in a JSON value.
fn templated_json(
    json: &Value,
    path: &Path,
    known: &BTreeSet<String>,
    resolver: &mut Resolver<'_>,
) {
    match json {
        Value::String(text) => templated(text, path, known, resolver),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                templated_json(item, &path.index(i), known, resolver);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                templated_json(value, &path.key(name), known, resolver);
            }
        }
        _ => {}
    }
}

/// A time limit, which is above zero.
fn time(raw: RawDuration, path: &Path, resolver: &mut Resolver<'_>) -> Duration {
    let parsed = match raw {
        RawDuration::Seconds(seconds) => {
            Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
        }
        RawDuration::Text(text) => duration::parse(&text),
    };
    match parsed {
        Ok(time) if !time.is_zero() => time,
        parsed => {
            let why = parsed
                .err()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            resolver
                .error_at_value(path, format!("this is no time limit{why}"))
                .hint("write one, such as `10s` or `2m`");
            Duration::ZERO
        }
    }
}
