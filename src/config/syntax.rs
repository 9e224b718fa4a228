//! What is not YAML at all, told with what was probably meant.

use granit_parser::ScanError;

use super::findings::{Findings, Span, shown};
use super::path::Path;

/// Tells of text that can't be read as YAML.
pub(super) fn tell(error: &ScanError, source: usize, text: &str, findings: &mut Findings) {
    let marker = error.marker();
    let start = marker.byte_offset().filter(|at| text.is_char_boundary(*at));
    let (before, after) = text.split_at(start.unwrap_or(text.len()));
    let span = Span {
        source,
        start: before.len(),
        end: before.len() + after.chars().next().map_or(0, char::len_utf8),
        line: marker.line(),
        column: marker.col() + 1,
    };
    let reason = error.info();
    let message = format!("this is not YAML: {}", shown(&reason));
    let finding = findings.error(span, &Path::default(), message);
    let line = text
        .lines()
        .nth(marker.line().saturating_sub(1))
        .unwrap_or_default();
    if reason.contains("tab") {
        finding.hint("indent with spaces");
    } else if reason.contains("flow") && line.contains("${") {
        finding.hint("within `{ }` and `[ ]`, quote what has `${` in it");
    } else if reason.contains("unexpected character") {
        finding.hint("quote the value");
    } else if reason.contains("mapping values") || reason.contains("':'") {
        finding.hint("check the indentation, and quote a value that has `: ` in it");
    }
}
