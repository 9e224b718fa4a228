//! Rules: a request that Traefik's rule of a router matches.
//!
//! `Host`, `Path`, `PathPrefix`, `Method` and `Header` tell what to ask; a rule that needs more than them can't be asked for.

use crate::config::Production;
use crate::traefik::rule::{Expression, Matcher, parse};

/// What a request needs to match a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The host, where the rule names one.
    pub(super) host: Option<String>,
    /// What the path begins with, where the rule says so.
    pub(super) prefix: Option<String>,
    /// The whole path, where the rule says so.
    pub(super) path: Option<String>,
    /// Request headers with their values.
    pub(super) headers: Vec<(String, String)>,
    /// What must not match.
    nots: Vec<Expression>,
}

/// How many choices are made to find a request: more than a rule that somebody wrote has.
const CHOICES: usize = 1000;

/// A request that the rule matches, if it is one that can be told; what the config gives of it goes before the rule.
pub(super) fn wanted(rule: &str, given: &Production) -> Option<Wanted> {
    let expression = parse(rule).ok()?;
    let given_first = Wanted {
        host: given.host.clone(),
        ..Wanted::default()
    };
    let mut choices = CHOICES;
    first(vec![&expression], given_first, given, &mut choices)
}

/// The first way, as it is written, in which all of these can be met on top of what is wanted already; the last of them
/// comes first. Where one can't be met, the choice before it is made anew: what the rule allows is never listed.
fn first(
    mut all: Vec<&Expression>,
    mut wanted: Wanted,
    given: &Production,
    choices: &mut usize,
) -> Option<Wanted> {
    while let Some(next) = all.pop() {
        match next {
            Expression::Or(parts) => {
                return parts.iter().find_map(|part| {
                    *choices = choices.checked_sub(1)?;
                    let mut all = all.clone();
                    all.push(part);
                    first(all, wanted.clone(), given, choices)
                });
            }
            Expression::And(parts) => all.extend(parts.iter().rev()),
            Expression::Not(inner) => wanted.nots.push((**inner).clone()),
            Expression::Matcher(matcher) => wanted = wanted.and(&of_matcher(matcher, given)?)?,
        }
    }
    wanted.is_consistent().then_some(wanted)
}

/// Whether a request meets it; nothing where that can't be told.
fn met(expression: &Expression, request: &Wanted) -> Option<bool> {
    match expression {
        Expression::Or(parts) => {
            let met: Vec<_> = parts.iter().map(|part| met(part, request)).collect();
            if met.contains(&Some(true)) {
                return Some(true);
            }
            (!met.contains(&None)).then_some(false)
        }
        Expression::And(parts) => {
            let met: Vec<_> = parts.iter().map(|part| met(part, request)).collect();
            if met.contains(&Some(false)) {
                return Some(false);
            }
            (!met.contains(&None)).then_some(true)
        }
        Expression::Not(inner) => met(inner, request).map(|met| !met),
        Expression::Matcher(matcher) => {
            let value = matcher.values.first()?;
            let path = request.path.as_deref().or(request.prefix.as_deref());
            match matcher.known()? {
                "Host" => {
                    let host = request.host.as_ref();
                    Some(host.is_some_and(|host| host.eq_ignore_ascii_case(value)))
                }
                "Method" => Some(value == "GET"),
                "Path" => Some(path? == value),
                // What is asked below a prefix is not decided yet, but it won't be there.
                "PathPrefix" => Some(path.unwrap_or("/").starts_with(value.as_str())),
                "Header" => {
                    let mut headers = request.headers.iter();
                    Some(headers.any(|(name, is)| {
                        name.eq_ignore_ascii_case(value) && Some(is) == matcher.values.get(1)
                    }))
                }
                _ => None,
            }
        }
    }
}

fn of_matcher(matcher: &Matcher, given: &Production) -> Option<Wanted> {
    let value = matcher.values.first()?.clone();
    let wanted = Wanted::default();
    match (matcher.known()?, matcher.values.get(1)) {
        // Whether a pattern matches what is given is for whoever gave it to know.
        ("HostRegexp", None) if given.host.is_some() => Some(wanted),
        ("PathRegexp", None) => Some(Wanted {
            path: Some(given.path.clone()?),
            ..wanted
        }),
        ("Host", None) => Some(Wanted {
            host: Some(value),
            ..wanted
        }),
        ("Path", None) => Some(Wanted {
            path: Some(value),
            ..wanted
        }),
        ("PathPrefix", None) => Some(Wanted {
            prefix: Some(value),
            ..wanted
        }),
        ("Method", None) if value == "GET" => Some(wanted),
        ("Header", Some(is)) => Some(Wanted {
            headers: vec![(value, is.clone())],
            ..wanted
        }),
        _ => None,
    }
}

impl Wanted {
    /// What meets both.
    fn and(&self, other: &Self) -> Option<Self> {
        fn one<T: Clone + PartialEq>(a: &Option<T>, b: &Option<T>) -> Option<Option<T>> {
            match (a, b) {
                (Some(a), Some(b)) if a != b => None,
                _ => Some(a.clone().or_else(|| b.clone())),
            }
        }
        let prefix = match (&self.prefix, &other.prefix) {
            // The longer one meets both.
            (Some(a), Some(b)) if a.starts_with(b.as_str()) => Some(a.clone()),
            (Some(a), Some(b)) if b.starts_with(a.as_str()) => Some(b.clone()),
            (a, b) => one(a, b)?,
        };
        let host = match (&self.host, &other.host) {
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => Some(a.clone()),
            (a, b) => one(a, b)?,
        };
        Some(Self {
            host,
            path: one(&self.path, &other.path)?,
            prefix,
            headers: [self.headers.clone(), other.headers.clone()].concat(),
            nots: [self.nots.clone(), other.nots.clone()].concat(),
        })
    }

    /// Whether nothing in it contradicts itself.
    fn is_consistent(&self) -> bool {
        let within = match (&self.path, &self.prefix) {
            (Some(path), Some(prefix)) => path.starts_with(prefix.as_str()),
            _ => true,
        };
        within && self.nots.iter().all(|not| met(not, self) == Some(false))
    }

    /// The path to ask for, where this one is best; whether it is that one.
    pub(super) fn path_for(&self, best: &str) -> (String, bool) {
        let path = best.split('?').next().unwrap_or(best);
        let fits = self.path.as_deref().is_none_or(|wanted| wanted == path)
            && self
                .prefix
                .as_deref()
                .is_none_or(|prefix| path.starts_with(prefix));
        if fits {
            return (best.to_owned(), true);
        }
        let other = self.path.as_ref().or(self.prefix.as_ref());
        (other.map_or("/", String::as_str).to_owned(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_tells_what_to_ask() {
        for (rule, host, path) in [
            ("Host(`a`)", Some("a"), ("/health", true)),
            ("Host(\"a\")||Host(`b`)", Some("a"), ("/health", true)),
            ("HostRegexp(`x`) || Host(`b`)", Some("b"), ("/health", true)),
            (
                "Host(`a`) && PathPrefix(`/api`)",
                Some("a"),
                ("/api", false),
            ),
            ("PathPrefix(`/`)", None, ("/health", true)),
            (
                "Path(`/x`) && (Host(`a`) || Host(`b`))",
                Some("a"),
                ("/x", false),
            ),
            (
                "!Host(`a`) && (Host(`a`) || Host(`b`))",
                Some("b"),
                ("/health", true),
            ),
            (
                "Host(`a`) && !PathPrefix(`/admin`)",
                Some("a"),
                ("/health", true),
            ),
            ("Host(`a`) && Method(`GET`)", Some("a"), ("/health", true)),
        ] {
            let wanted = wanted(rule, &Production::default()).unwrap_or_else(|| panic!("{rule}"));
            let (asked, is_best) = wanted.path_for("/health");
            assert_eq!(wanted.host.as_deref(), host, "{rule}");
            assert_eq!((asked.as_str(), is_best), path, "{rule}");
        }
        let headers = wanted("Header(`X-Tenant`, `t`)", &Production::default())
            .unwrap()
            .headers;
        assert_eq!(headers, [("X-Tenant".to_owned(), "t".to_owned())]);
    }

    #[test]
    fn what_the_config_gives_goes_before_the_rule() {
        let ask = |rule: &str, host: Option<&str>, path: Option<&str>| {
            let given = Production {
                host: host.map(str::to_owned),
                path: path.map(str::to_owned),
                urls: Vec::new(),
            };
            let wanted = wanted(rule, &given)?;
            let (asked, is_best) = wanted.path_for(path.unwrap_or("/health"));
            Some((wanted.host.unwrap_or_default(), asked, is_best))
        };
        let wanted = |host: &str, path: &str, is_best: bool| {
            Some((host.to_owned(), path.to_owned(), is_best))
        };
        for (rule, host, path, expected) in [
            (
                "HostRegexp(`^.+$`)",
                Some("a"),
                None,
                wanted("a", "/health", true),
            ),
            (
                "HostRegexp(`^.+$`) && PathPrefix(`/x`)",
                Some("a"),
                Some("/x/y"),
                wanted("a", "/x/y", true),
            ),
            (
                "HostRegexp(`^.+$`) && PathPrefix(`/x`)",
                Some("a"),
                None,
                wanted("a", "/x", false),
            ),
            (
                "HostRegexp(`^.+$`) && ClientIP(`::1`)",
                Some("a"),
                None,
                None,
            ),
            (
                "Host(`a`) || Host(`b`)",
                Some("b"),
                None,
                wanted("b", "/health", true),
            ),
            ("Host(`a`) || Host(`b`)", Some("c"), None, None),
            ("Host(`A`)", Some("a"), None, wanted("a", "/health", true)),
            (
                "PathPrefix(`/`)",
                Some("a"),
                None,
                wanted("a", "/health", true),
            ),
            ("Host(`a`) && PathRegexp(`^/x`)", None, None, None),
            (
                "Host(`a`) && PathRegexp(`^/x`)",
                None,
                Some("/x"),
                wanted("a", "/x", true),
            ),
        ] {
            assert_eq!(ask(rule, host, path), expected, "{rule} {host:?} {path:?}");
        }
    }

    #[test]
    fn a_rule_that_needs_more_tells_nothing() {
        for rule in [
            "HostRegexp(`^a$`)",
            "Host(`a`) && ClientIP(`10.0.0.0/8`)",
            "Host(`a`) && !ClientIP(`10.0.0.0/8`)",
            "Host(`a`) && Host(`b`)",
            "Method(`POST`)",
            "Host(`a`",
            "",
        ] {
            assert_eq!(wanted(rule, &Production::default()), None, "{rule}");
        }
    }

    /// Each of them has two ways: 2 to the power of 40 together.
    #[test]
    fn a_rule_of_many_choices_is_not_multiplied_out() {
        let many =
            |choice: &dyn Fn(usize) -> String| (0..40).map(choice).collect::<Vec<_>>().join(" && ");
        let rule = many(&|n| format!("(Host(`a`) || Host(`b{n}`))"));
        let found = wanted(&rule, &Production::default()).unwrap();
        assert_eq!(found.host.as_deref(), Some("a"));
        // Only the last of them tells which way it is.
        let rule = many(&|n| format!("(Host(`a`) || Header(`X-{n}`, `y`))"));
        let found = wanted(&format!("{rule} && Path(`/x`)"), &Production::default()).unwrap();
        assert_eq!(
            (found.host.as_deref(), found.path.as_deref()),
            (Some("a"), Some("/x"))
        );
        // And what can't be met at all is not tried for ever.
        let rule = many(&|n| format!("(Header(`X-{n}`, `y`) || Header(`Y-{n}`, `y`))"));
        let rule = format!("{rule} && Path(`/x`) && Path(`/y`)");
        assert_eq!(wanted(&rule, &Production::default()), None);
    }
}
