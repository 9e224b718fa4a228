//! The preview of a stack, resolved.

use super::path::Path;
use super::raw::RawPreview;
use super::resolve::Resolver;
use super::{Preview, rule};

/// Resolves the preview of a stack.
pub(super) fn preview(raw: RawPreview, path: &Path, resolver: &mut Resolver<'_>) -> Preview {
    let RawPreview {
        header,
        entry_point,
        rule,
    } = raw;
    if let Some(header) = &header {
        check_header(header, &path.key("header"), resolver);
    }
    if let Some(entry_point) = &entry_point {
        resolver.word(&path.key("entryPoint"), entry_point);
    }
    if let Some(rule) = &rule {
        rule::check(rule, &Default::default(), &path.key("rule"), resolver);
        if header.is_none() && entry_point.is_none() {
            resolver
                .error(&path.key("rule"), "the rule narrows a preview that there is not")
                .hint("add `header: X-Color`, by which a color is asked for, or `entryPoint`, which shows the idle one");
        }
    }
    Preview {
        header,
        entry_point,
        rule,
    }
}

/// A header's name is a token (RFC 9110, section 5.6.2); a backtick, which is one too, would end it in a rule.
pub(super) fn check_header(header: &str, path: &Path, resolver: &mut Resolver<'_>) {
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_|~".contains(c);
    if header.is_empty() || !header.chars().all(fits) {
        resolver
            .error_at_value(path, "this can't be the name of a header")
            .hint("write one, such as `X-Color`");
    }
}
