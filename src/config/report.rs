//! The report: every mistake that was found in a config, with its place, its key and what to do about it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::{Serialize, Serializer};

use crate::printable::Printable;

/// The most mistakes that are rendered; whoever has more has made one mistake many times.
const RENDERED: usize = 100;

/// Everything that was found in a config, in the order of the files and of the places in them.
///
/// As JSON it is a list of [`Mistake`]s. It shows no more of a file than the lines that a mistake is on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report {
    mistakes: Vec<Mistake>,
}

/// One thing that is wrong with a config, or that it says in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Whether the config is refused for it.
    pub severity: Severity,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// The key in question, as a dotted path such as `stacks.deals.services.api.servers.gren`; empty for the whole
    /// file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What was probably meant, or what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The other place, where two of them disagree: the first of two doubled keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<Place>,
}

/// Whether a config is refused for a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The config is refused.
    Error,
    /// The config is taken.
    Warning,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// The line, counted from 1; none where the file as a whole is meant, such as one that can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What to show of the line.
    #[serde(skip)]
    pub(super) excerpt: Option<Excerpt>,
}

/// A line of a file, and what of it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The text of the line.
    pub(super) text: String,
    /// The bytes of it that are meant.
    pub(super) start: usize,
    /// The end of these bytes.
    pub(super) end: usize,
}

impl Excerpt {
    /// The line as it can be shown, and the bytes of it that are meant.
    fn printable(&self) -> (String, Range<usize>) {
        let Self { text, start, end } = self;
        // Tabs are layout, which the renderer knows to draw.
        let printable = |text: &str| {
            let parts: Vec<_> = text.split('\t').map(printable).collect();
            parts.join("\t")
        };
        let before = printable(&text[..*start]);
        let meant = before.clone() + &printable(&text[*start..*end]);
        let span = before.len()..meant.len();
        (meant + &printable(&text[*end..]), span)
    }
}

impl Report {
    /// A report of these mistakes, which are in order.
    pub(super) fn new(mistakes: Vec<Mistake>) -> Self {
        Self { mistakes }
    }

    /// Adds mistakes of files that could not be read; the report is in the order of the files still.
    pub(super) fn add(&mut self, mistakes: Vec<Mistake>) {
        self.mistakes.extend(mistakes);
        self.mistakes
            .sort_by(|a, b| a.place.file.cmp(&b.place.file));
    }

    /// What was found, in order.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Whether something was found for which the config is refused.
    pub(super) fn has_errors(&self) -> bool {
        self.mistakes.iter().any(Mistake::is_error)
    }

    /// The report for a person to read, with terminal colors or plain.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = String::new();
        for (i, mistake) in self.mistakes.iter().take(RENDERED).enumerate() {
            if i > 0 {
                text.push_str("\n\n");
            }
            text.push_str(&renderer.render(&mistake.groups()));
        }
        if let Some(rest @ 1..) = self.mistakes.len().checked_sub(RENDERED) {
            text.push_str(&format!("\n\n… and {rest} more"));
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

impl Mistake {
    /// Whether the config is refused for it.
    pub(super) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The parts that the renderer draws: the message at its place, the key, the hint, and the other place. What they
    /// say may be quoted from a file, which may hold anything.
    fn groups(&self) -> Vec<Group<'_>> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = self.place.show(Group::with_title(
            level.primary_title(printable(&self.message)),
        ));
        if !self.key.is_empty() {
            group = group.element(
                Level::NOTE
                    .with_name(Some("key"))
                    .message(printable(&self.key)),
            );
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(printable(hint)));
        }
        let other = self.other.as_ref().map(|place| {
            place.show(Group::with_title(
                Level::NOTE.secondary_title("the other place"),
            ))
        });
        std::iter::once(group).chain(other).collect()
    }
}

fn printable(text: &str) -> String {
    Printable(text).to_string()
}

/// A path as text: one that is not UTF-8 is no reason to tell nothing.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl Place {
    /// Adds the line, or only the name of the file where there is none to show.
    fn show<'a>(&'a self, group: Group<'a>) -> Group<'a> {
        let path = printable(&self.file.to_string_lossy());
        match (self.line, self.column, &self.excerpt) {
            (Some(line), _, Some(excerpt)) => {
                let (text, span) = excerpt.printable();
                group.element(
                    Snippet::source(text)
                        .path(path)
                        .line_start(line)
                        .annotation(AnnotationKind::Primary.span(span)),
                )
            }
            (Some(line), Some(column), None) => {
                group.element(Origin::path(path).line(line).char_column(column))
            }
            _ => group.element(Origin::path(path)),
        }
    }
}
