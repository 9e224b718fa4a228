//! Findings: the mistakes as they are collected, by position in the sources; a [`Report`] is made of them at the end.

use std::collections::HashSet;
use std::path::PathBuf;

use super::path::Path;
use super::report::{Excerpt, Mistake, Place, Report, Severity};
use crate::printable::beginning;

/// The most characters of a line that are shown; beyond it a mistake is only named by its position.
const SHOWN_OF_A_LINE: usize = 400;

/// A file of the config, as text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Where it was read from.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) text: String,
}

/// A range of text in one of the sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Span {
    /// The index of the source.
    pub(super) source: usize,
    /// The first byte.
    pub(super) start: usize,
    /// The byte after the last.
    pub(super) end: usize,
    /// The line of the first byte, counted from 1.
    pub(super) line: usize,
    /// The column of the first byte in characters, counted from 1.
    pub(super) column: usize,
}

/// One mistake, by position.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    severity: Severity,
    span: Span,
    path: Path,
    message: String,
    hint: Option<String>,
    other: Option<Span>,
}

impl Finding {
    /// Adds what was probably meant, or what to do.
    pub(super) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the other place, where two of them disagree.
    pub(super) fn other(&mut self, span: Span) -> &mut Self {
        self.other = Some(span);
        self
    }
}

/// The mistakes found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    found: Vec<Finding>,
}

impl Findings {
    /// Adds a mistake for which the config is refused.
    pub(super) fn error(
        &mut self,
        span: Span,
        path: &Path,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.add(Severity::Error, span, path, message.into())
    }

    /// Adds something that is worth telling.
    pub(super) fn warning(
        &mut self,
        span: Span,
        path: &Path,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.add(Severity::Warning, span, path, message.into())
    }

    fn add(
        &mut self,
        severity: Severity,
        span: Span,
        path: &Path,
        message: String,
    ) -> &mut Finding {
        let at = self.found.len();
        self.found.push(Finding {
            severity,
            span,
            path: path.clone(),
            message,
            hint: None,
            other: None,
        });
        &mut self.found[at]
    }

    /// Adds what was found elsewhere.
    pub(super) fn append(&mut self, mut others: Self) {
        self.found.append(&mut others.found);
    }

    /// How many mistakes there are for which the config is refused.
    pub(super) fn errors(&self) -> usize {
        self.found
            .iter()
            .filter(|f| f.severity == Severity::Error)
            .count()
    }

    /// Whether this value, or a part of it, has a mistake already, so that checks that rely on it would mislead.
    pub(super) fn broken(&self, path: &Path) -> bool {
        self.found
            .iter()
            .any(|f| f.severity == Severity::Error && f.path.is_in(path))
    }

    /// The report, in order of position; what an alias repeats is told once.
    pub(super) fn into_report(mut self, sources: &[Source]) -> Report {
        self.found.sort_by_key(|f| f.span);
        let mut told = HashSet::new();
        self.found
            .retain(|f| told.insert((f.span, f.message.clone())));
        let mistakes = self.found.into_iter().map(|f| Mistake {
            severity: f.severity,
            place: f.span.place(sources),
            key: f.path.to_string(),
            message: f.message,
            hint: f.hint,
            other: f.other.map(|span| span.place(sources)),
        });
        Report::new(mistakes.collect())
    }
}

impl Span {
    /// The place of the byte `at` of a scalar's text, where the scalar is written plainly enough to tell; else the
    /// whole scalar.
    pub(super) fn part(self, source: &str, text: &str, at: usize) -> Self {
        let written = &source[self.start..self.end];
        let Some(before) = written.find(text).filter(|_| !text.contains('\n')) else {
            return self;
        };
        let start = before + at;
        let length = written[start..].chars().next().map_or(0, char::len_utf8);
        Self {
            start: self.start + start,
            end: self.start + start + length,
            column: self.column + written[..start].chars().count(),
            ..self
        }
    }

    /// The place, with the line to show for it.
    fn place(self, sources: &[Source]) -> Place {
        let source = &sources[self.source];
        let text = &source.text;
        let line_start = text[..self.start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let start = self.start - line_start;
        let excerpt = (start <= line.len() && start < SHOWN_OF_A_LINE).then(|| {
            let line = without_passwords(line);
            let shown: String = line.chars().take(SHOWN_OF_A_LINE).collect();
            let end = (self.end - line_start).clamp(start, shown.len());
            Excerpt {
                text: shown,
                start,
                end,
            }
        });
        Place {
            file: source.path.clone(),
            line: Some(self.line),
            column: Some(self.column),
            excerpt,
        }
    }
}

/// A text with each byte of the users and passwords of URLs in it as a `*`, so that every place in it is where it was.
fn without_passwords(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
        let url_ends = url.find(ends).unwrap_or(url.len());
        let user_ends = url[..url_ends].rfind('@').unwrap_or(0);
        shown += before;
        shown += &"*".repeat(user_ends);
        rest = &url[user_ends..];
    }
    shown + rest
}

/// A text from a config or a parser for a message: not too long, and without passwords.
pub(super) fn shown(text: &str) -> String {
    const SHOWN: usize = 100;
    beginning(&without_passwords(text), SHOWN)
}

/// The one of these names that was probably meant, if one is near; a wrong case is nearest.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// As similar as `servrs` and `servers`, or `gren` and `green`, and not `header` and `health`.
    const SIMILAR: f64 = 0.84;
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(&lower, &k.to_lowercase()), k))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Names for a message: `` `blue`, `green` ``.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|n| format!("`{n}`")).collect();
    quoted.join(", ")
}
