//! Rules of Traefik 2, and how Traefik 3 writes them. It disables the router of most of them; others mean something else
//! there, and match nobody.

use super::{Matcher, one_of, parse};

/// The matchers that have another form in Traefik 3.
const MATCHERS: [&str; 10] = [
    "ClientIP",
    "Headers",
    "HeadersRegexp",
    "Host",
    "HostHeader",
    "HostRegexp",
    "Method",
    "Path",
    "PathPrefix",
    "Query",
];

/// The rule as Traefik 3 writes it, where it is one of Traefik 2.
pub fn translated(rule: &str) -> Option<String> {
    let expression = parse(rule).ok()?;
    let mut translated = String::new();
    let mut from = 0;
    for matcher in expression.matchers() {
        if let Some(parts) = replacement(matcher) {
            let whole = rule.trim().len() == matcher.place.len();
            translated.push_str(&rule[from..matcher.place.start]);
            translated.push_str(&match parts.one() {
                Some(one) => one.to_owned(),
                None if whole => parts.joined(),
                None => format!("({})", parts.joined()),
            });
            from = matcher.place.end;
        }
    }
    translated.push_str(&rule[from..]);
    (from > 0).then(|| translated.trim().to_owned())
}

/// The matchers of Traefik 3 that mean what one of Traefik 2 meant.
pub(super) struct Replacement {
    matchers: Vec<String>,
    by: &'static str,
}

impl Replacement {
    fn one(&self) -> Option<&str> {
        match self.matchers.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    fn joined(&self) -> String {
        self.matchers.join(self.by)
    }
}

/// What a matcher is in Traefik 3, where that is something else.
pub(super) fn replacement(matcher: &Matcher) -> Option<Replacement> {
    let name = one_of(&matcher.name, MATCHERS)?;
    let values = &matcher.values;
    let each = |form: &dyn Fn(&str) -> String| {
        let matchers = values.iter().map(|value| form(value)).collect();
        Some(Replacement {
            matchers,
            by: " || ",
        })
    };
    let several = values.len() > 1;
    let templates = values.iter().any(|value| template(value, "").is_some());
    let plain = |name: &'static str| move |value: &str| format!("{name}({})", quoted(value));
    let pattern =
        |name: &'static str, plain: &'static str, within: &'static str, end: &'static str| {
            move |value: &str| match template(value, within) {
                Some(regexp) => format!("{name}({})", quoted(&format!("^{regexp}{end}"))),
                None => format!("{plain}({})", quoted(value)),
            }
        };
    match (name, values.as_slice()) {
        (_, []) => None,
        ("HostHeader", _) => each(&plain("Host")),
        ("Host", _) if several || templates => each(&pattern("HostRegexp", "Host", "[^.]+", "$")),
        ("HostRegexp", _) if several || templates => {
            each(&pattern("HostRegexp", "HostRegexp", "[^.]+", "$"))
        }
        ("Path", _) if several || templates => each(&pattern("PathRegexp", "Path", "[^/]+", "$")),
        ("PathPrefix", _) if several || templates => {
            each(&pattern("PathRegexp", "PathPrefix", "[^/]+", ""))
        }
        ("Method", _) if several => each(&plain("Method")),
        ("ClientIP", _) if several => each(&plain("ClientIP")),
        ("Headers", [name, value]) => Some(Replacement {
            matchers: vec![format!("Header({}, {})", quoted(name), quoted(value))],
            by: "",
        }),
        ("HeadersRegexp", [name, value]) => Some(Replacement {
            matchers: vec![format!("HeaderRegexp({}, {})", quoted(name), quoted(value))],
            by: "",
        }),
        ("Query", _) if values.iter().all(|value| value.contains('=')) => {
            let pairs = values.iter().filter_map(|value| value.split_once('='));
            let query = |(name, value): (&str, &str)| match value {
                "" => format!("Query({})", quoted(name)),
                value => format!("Query({}, {})", quoted(name), quoted(value)),
            };
            Some(Replacement {
                matchers: pairs.map(query).collect(),
                by: " && ",
            })
        }
        _ => None,
    }
}

/// The regular expression of a template such as `{sub:[a-z]+}.x`; `any` is what a name alone stands for.
fn template(value: &str, any: &str) -> Option<String> {
    let mut regexp = String::new();
    let mut rest = value;
    let mut found = false;
    while let Some(at) = opens(rest) {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let mut depth = 1;
        let end = after.find(|c| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0
        })?;
        let (name, pattern) = match after[..end].split_once(':') {
            Some((name, pattern)) => (name, pattern),
            None => (&after[..end], any),
        };
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        // `{2,3}` is how often, in a regular expression.
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            || !name.chars().all(word)
        {
            return None;
        }
        found = true;
        regexp.push_str(&literal(before));
        regexp.push_str(&match pattern.contains('|') {
            true => format!("({pattern})"),
            false => pattern.to_owned(),
        });
        rest = &after[end + 1..];
    }
    regexp.push_str(&literal(rest));
    found.then_some(regexp)
}

/// Where a template begins; `${` begins a variable, which becomes a text.
fn opens(text: &str) -> Option<usize> {
    let mut found = text.match_indices('{').map(|(at, _)| at);
    found.find(|at| !text[..*at].ends_with('$'))
}

/// A regular expression that matches this text alone; variables stay.
fn literal(text: &str) -> String {
    let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
    let mut escaped = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = match rest.find('}') {
            Some(end) if rest.starts_with("${") => end + 1,
            _ => c.len_utf8(),
        };
        if taken == c.len_utf8() && special(c) {
            escaped.push('\\');
        }
        escaped.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    escaped
}

fn quoted(value: &str) -> String {
    match value.contains('`') {
        true => format!("{value:?}"),
        false => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_traefik_2_is_written_as_traefik_3_takes_it() {
        for (old, new) in [
            ("Host(`a`, `b`)", "Host(`a`) || Host(`b`)"),
            (
                "Host(`a`, `b`) && PathPrefix(`/x`)",
                "(Host(`a`) || Host(`b`)) && PathPrefix(`/x`)",
            ),
            ("HostRegexp(`{host:.+}`)", "HostRegexp(`^.+$`)"),
            (
                "HostRegexp(`{sub:[a-z]{2,3}}.x.com`, `b`)",
                r"HostRegexp(`^[a-z]{2,3}\.x\.com$`) || HostRegexp(`b`)",
            ),
            ("Host(`{sub}.x`)", r"HostRegexp(`^[^.]+\.x$`)"),
            (
                "PathPrefix(`/a`, `/b`)",
                "PathPrefix(`/a`) || PathPrefix(`/b`)",
            ),
            ("PathPrefix(`/{v:v1|v2}/x`)", "PathRegexp(`^/(v1|v2)/x`)"),
            (
                "!Path(`/a`, `/{id}`)",
                "!(Path(`/a`) || PathRegexp(`^/[^/]+$`))",
            ),
            (
                "Host(`a.${DOMAIN:-x.y}`, `{sub}.${DOMAIN:-x.y}`)",
                r"Host(`a.${DOMAIN:-x.y}`) || HostRegexp(`^[^.]+\.${DOMAIN:-x.y}$`)",
            ),
            ("Headers(`X`, `y`)", "Header(`X`, `y`)"),
            ("HeadersRegexp(`X`, `y`)", "HeaderRegexp(`X`, `y`)"),
            ("Query(`a=b`)", "Query(`a`, `b`)"),
            ("query(`a=b`, `c=`)", "Query(`a`, `b`) && Query(`c`)"),
            ("Method(`GET`, `POST`)", "Method(`GET`) || Method(`POST`)"),
            ("HostHeader(`a`) || Host(`b`)", "Host(`a`) || Host(`b`)"),
        ] {
            assert_eq!(translated(old).as_deref(), Some(new), "{old}");
            assert_eq!(translated(new), None, "{new}");
        }
    }
}
