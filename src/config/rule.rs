//! Rules: a first look at a Traefik rule, for what is easily mistyped.

/// What is wrong with a rule, if that can be told without Traefik, and at which byte.
///
/// Names and arguments of matchers are Traefik's to judge; a router with a bad rule answers 404 there.
pub(super) fn unbalanced(rule: &str) -> Option<(usize, &'static str)> {
    let mut open = Vec::new();
    let mut quoted: Option<(usize, char)> = None;
    let mut escaped = false;
    for (at, c) in rule.char_indices() {
        match (quoted, c) {
            (Some((_, '"')), _) if escaped => escaped = false,
            (Some((_, '"')), '\\') => escaped = true,
            (Some((_, quote)), c) if c == quote => quoted = None,
            (Some(_), _) => {}
            (None, '`' | '"') => quoted = Some((at, c)),
            (None, '(') => open.push(at),
            (None, ')') => {
                if open.pop().is_none() {
                    return Some((at, "this `)` closes nothing"));
                }
            }
            (None, _) => {}
        }
    }
    match (quoted, open.pop()) {
        (Some((at, '`')), _) => Some((at, "this backtick is not closed")),
        (Some((at, _)), _) => Some((at, "this quotation mark is not closed")),
        (None, Some(at)) => Some((at, "this `(` is not closed")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_parentheses_are_balanced() {
        for rule in [
            "Host(`a`)",
            "(Host(`a`) || Path(\"/b)\\\"\")) && !Method(`GET`)",
            "PathRegexp(`^/(a|b$`)",
        ] {
            assert_eq!(unbalanced(rule), None, "{rule}");
        }
        for (rule, at) in [
            ("Host(`a)", 5),
            ("Host(`a`", 4),
            ("Host(`a`))", 9),
            ("(Host(`a`)", 0),
            ("Host(\"a)", 5),
            ("é)", 2),
        ] {
            assert_eq!(unbalanced(rule).map(|(at, _)| at), Some(at), "{rule}");
        }
    }
}
