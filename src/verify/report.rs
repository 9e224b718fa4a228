//! The report: what came of each check.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::printable::beginning;

/// How much of a detail is in a sentence, in characters.
const SHORT: usize = 160;

/// What came of a check, with the details for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it should be.
    Passed(String),
    /// It is not.
    Failed(String),
    /// It could not be found out.
    Unmeasured(String),
    /// It can't be found out in this way, however often it is tried.
    Unmeasurable(String),
    /// It was not looked for, and why.
    Skipped(String),
}

impl Outcome {
    /// Whether nothing speaks against it.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Passed(_) | Self::Skipped(_))
    }

    /// What there is to say.
    pub fn detail(&self) -> &str {
        match self {
            Self::Passed(text)
            | Self::Failed(text)
            | Self::Unmeasured(text)
            | Self::Unmeasurable(text)
            | Self::Skipped(text) => text,
        }
    }

    /// It in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Failed(_) => "failed",
            Self::Unmeasured(_) | Self::Unmeasurable(_) => "unmeasured",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The containers of a compose project.
    Containers,
    /// One server.
    Health,
    /// A smoke test of the config.
    Check,
    /// The instances of Traefik.
    Instances,
    /// The routers of the stack in Traefik.
    Routers,
    /// A service through Traefik.
    Answer,
    /// The figures of a color's traffic.
    Analysis,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Containers => "containers",
            Self::Health => "health",
            Self::Check => "check",
            Self::Instances => "instances",
            Self::Routers => "routers",
            Self::Answer => "answer",
            Self::Analysis => "analysis",
        })
    }
}

/// One check, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it looks at.
    pub kind: Kind,
    /// Which of them.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took until that was known.
    pub took: Duration,
    /// How often it was tried.
    pub attempts: u32,
}

impl Line {
    /// A check that is not looked for.
    pub(super) fn skipped(kind: Kind, name: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            outcome: Outcome::Skipped(why.into()),
            took: Duration::ZERO,
            attempts: 0,
        }
    }

    /// It as JSON; the time is in seconds.
    pub fn json(&self) -> Value {
        json!({
            "kind": self.kind.to_string(), "name": self.name, "outcome": self.outcome.word(),
            "detail": self.outcome.detail(), "seconds": self.took.as_secs_f64(), "attempts": self.attempts,
        })
    }

    /// It as a row of a table; what is wrong stands in rows below.
    pub fn rows(&self) -> Vec<String> {
        let Self {
            kind,
            name,
            outcome,
            took,
            attempts,
        } = self;
        let detail = outcome.detail();
        let head = format!("{:<10}  {kind:<10}  ", outcome.word());
        if let Outcome::Skipped(why) = outcome {
            return vec![format!("{head}{name}: {why}")];
        }
        let mut row = format!("{head}{name:<32}  {:>6}", time(*took));
        if *attempts > 1 {
            row += &format!("  ({attempts} attempts)");
        }
        if let (Outcome::Passed(_), false) = (outcome, detail.is_empty()) {
            row += &format!("  {detail}");
        }
        let below = match outcome {
            Outcome::Failed(_) | Outcome::Unmeasured(_) | Outcome::Unmeasurable(_) => detail,
            Outcome::Passed(_) | Outcome::Skipped(_) => "",
        };
        let below = below.lines().map(|line| format!("            {line}"));
        std::iter::once(row).chain(below).collect()
    }
}

/// A time, in the unit in which it reads well.
pub fn time(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

/// What came of all checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The checks.
    pub lines: Vec<Line>,
}

/// What a report says as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that was looked for is as it should be.
    Passed,
    /// Something is not.
    Failed,
    /// Nothing is known to be wrong, but not everything could be found out.
    Unmeasured,
    /// Nothing was looked for.
    Nothing,
}

impl Report {
    /// A report of these checks.
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Self {
        Self {
            lines: lines.into_iter().collect(),
        }
    }

    /// What it says as a whole.
    pub fn verdict(&self) -> Verdict {
        let any = |word: &str| self.lines.iter().any(|line| line.outcome.word() == word);
        if any("failed") {
            Verdict::Failed
        } else if any("unmeasured") {
            Verdict::Unmeasured
        } else if any("passed") {
            Verdict::Passed
        } else {
            Verdict::Nothing
        }
    }

    /// It without what can't be measured at all, which says nothing for or against what is verified.
    pub fn measurable(&self) -> Self {
        let lines = self.lines.iter();
        Self::new(
            lines
                .filter(|line| !matches!(line.outcome, Outcome::Unmeasurable(_)))
                .cloned(),
        )
    }

    /// The checks as JSON.
    pub fn json(&self) -> Value {
        self.lines.iter().map(Line::json).collect()
    }

    /// The first of what is wrong, and how much more there is, for a sentence.
    pub fn wrong(&self) -> String {
        let mut lines = self.lines.iter();
        let failed = lines.find(|line| matches!(line.outcome, Outcome::Failed(_)));
        let wrong: Vec<_> = self
            .lines
            .iter()
            .filter(|line| !line.outcome.is_good())
            .collect();
        let Some(first) = failed.or(wrong.first().copied()) else {
            return "nothing".to_owned();
        };
        let detail = first.outcome.detail().lines().next().unwrap_or_default();
        let short = beginning(detail, SHORT);
        let others = match wrong.len() {
            1 => String::new(),
            all => format!(", and {} more", all - 1),
        };
        format!("{} {} ({short}){others}", first.kind, first.name)
    }
}
