//! Checks: the smoke tests of a stack. The config says them, [`crate::verify`] runs them.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use hyper::Method;
use hyper::header::HeaderName;
use serde_json::Value;
use serde_json_path::JsonPath;

use crate::color::Color;
use crate::template;

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
