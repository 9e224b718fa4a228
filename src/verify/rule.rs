//! Rules: a request that Traefik's rule of a router matches.
//!
//! The grammar is Traefik's: matchers with `&&`, `||`, `!` and parentheses (pkg/rules/parser.go). `Host`, `Path`,
//! `PathPrefix`, `Method` and `Header` tell what to ask; a rule that needs more than them can't be asked for.

use crate::config::Production;

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

/// A request that the rule matches, if it is one that can be told; what the config gives of it goes before the rule.
pub(super) fn wanted(rule: &str, given: &Production) -> Option<Wanted> {
    let mut parser = Parser { rest: rule.trim() };
    let expression = parser.or()?;
    parser.rest.is_empty().then_some(())?;
    let given_first = Wanted {
        host: given.host.clone(),
        ..Wanted::default()
    };
    let ways = expression.ways(given).into_iter();
    ways.filter_map(|way| given_first.and(&way))
        .find(Wanted::is_consistent)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    Or(Vec<Self>),
    And(Vec<Self>),
    Not(Box<Self>),
    Matcher(String, Vec<String>),
}

impl Expression {
    /// The ways in which it can be met, the first as it is written first.
    fn ways(&self, given: &Production) -> Vec<Wanted> {
        match self {
            Self::Or(parts) => parts.iter().flat_map(|part| part.ways(given)).collect(),
            Self::And(parts) => parts.iter().fold(vec![Wanted::default()], |ways, part| {
                let others = part.ways(given);
                let both = ways
                    .iter()
                    .flat_map(|way| others.iter().filter_map(|other| way.and(other)));
                both.collect()
            }),
            Self::Not(inner) => vec![Wanted {
                nots: vec![(**inner).clone()],
                ..Wanted::default()
            }],
            Self::Matcher(name, arguments) => {
                of_matcher(name, arguments, given).into_iter().collect()
            }
        }
    }

    /// Whether a request meets it; nothing where that can't be told.
    fn met(&self, request: &Wanted) -> Option<bool> {
        match self {
            Self::Or(parts) => {
                let met: Vec<_> = parts.iter().map(|part| part.met(request)).collect();
                if met.contains(&Some(true)) {
                    return Some(true);
                }
                (!met.contains(&None)).then_some(false)
            }
            Self::And(parts) => {
                let met: Vec<_> = parts.iter().map(|part| part.met(request)).collect();
                if met.contains(&Some(false)) {
                    return Some(false);
                }
                (!met.contains(&None)).then_some(true)
            }
            Self::Not(inner) => inner.met(request).map(|met| !met),
            Self::Matcher(name, arguments) => {
                let value = arguments.first()?;
                let path = request.path.as_deref().or(request.prefix.as_deref());
                match name.as_str() {
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
                            name.eq_ignore_ascii_case(value) && Some(is) == arguments.get(1)
                        }))
                    }
                    _ => None,
                }
            }
        }
    }
}

fn of_matcher(name: &str, arguments: &[String], given: &Production) -> Option<Wanted> {
    let value = arguments.first()?.clone();
    let wanted = Wanted::default();
    match (name, arguments.get(1)) {
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
        within && self.nots.iter().all(|not| not.met(self) == Some(false))
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

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn or(&mut self) -> Option<Expression> {
        let mut parts = vec![self.and()?];
        while self.takes("||") {
            parts.push(self.and()?);
        }
        Some(Expression::Or(parts))
    }

    fn and(&mut self) -> Option<Expression> {
        let mut parts = vec![self.unary()?];
        while self.takes("&&") {
            parts.push(self.unary()?);
        }
        Some(Expression::And(parts))
    }

    fn unary(&mut self) -> Option<Expression> {
        if self.takes("!") {
            return Some(Expression::Not(Box::new(self.unary()?)));
        }
        if self.takes("(") {
            let inner = self.or()?;
            return self.takes(")").then_some(inner);
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric())?;
        let name = self.rest[..end].to_owned();
        self.rest = self.rest[end..].trim_start();
        let mut arguments = Vec::new();
        self.takes("(").then_some(())?;
        while !self.takes(")") {
            arguments.push(self.text()?);
            self.takes(",");
        }
        Some(Expression::Matcher(name, arguments))
    }

    fn text(&mut self) -> Option<String> {
        let quote = self
            .rest
            .chars()
            .next()
            .filter(|c| matches!(c, '`' | '"'))?;
        let (text, rest) = self.rest[1..].split_once(quote)?;
        // An escape within quotation marks is more than is needed here.
        (quote == '`' || !text.contains('\\')).then_some(())?;
        self.rest = rest.trim_start();
        Some(text.to_owned())
    }

    fn takes(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
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
}
