//! Interpolation: `${NAME}` and `${NAME:-default}` in a value are replaced from the environment.
//!
//! As in compose files, the default also stands in for an empty variable, and `$$` is a literal `$`. Unlike there, a
//! bare `$NAME` is left alone: routing rules and the hashes of basic-auth users are full of single `$`s, which are
//! kept as they are. It happens after YAML is parsed, so no value of a variable can break the file's structure.

/// A text with its variables replaced, or `None` where it has nothing to replace.
///
/// # Errors
///
/// The offset in bytes of what can't be replaced, with the reason.
pub(super) fn interpolate(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, (usize, Unreplaced)> {
    if !text.contains("${") && !text.contains("$$") {
        return Ok(None);
    }
    let mut result = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        result.push_str(&rest[..dollar]);
        let at = text.len() - rest.len() + dollar;
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (variable, after) = after.split_once('}').ok_or((at, Unreplaced::Unclosed))?;
            result.push_str(&replace(variable, env).map_err(|reason| (at, reason))?);
            rest = after;
        } else {
            result.push('$');
        }
    }
    result.push_str(rest);
    Ok(Some(result))
}

/// The value for what is between `${` and `}`.
fn replace(variable: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Unreplaced> {
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (variable, None),
    };
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid || default.is_some_and(|d| d.contains("${")) {
        return Err(Unreplaced::Form);
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Unreplaced::Unset(name.to_owned())),
    }
}

/// Why a variable can't be replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreplaced {
    /// It has no end.
    #[error("`${{` has no closing `}}`")]
    Unclosed,
    /// It is neither of the two forms.
    #[error("this is no variable")]
    Form,
    /// The environment does not have it.
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
}

impl Unreplaced {
    /// What to do about it.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Unclosed => "write `$${` for a literal `${`".to_owned(),
            Self::Form => {
                "only `${NAME}` and `${NAME:-default}` are replaced, and not nested; write `$${` for a literal `${`"
                    .to_owned()
            }
            Self::Unset(name) => format!("set it, or give a default: `${{{name}:-default}}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> Result<Option<String>, (usize, Unreplaced)> {
        interpolate(text, &|name| match name {
            "HOST" => Some("example.com".to_owned()),
            "EMPTY" => Some(String::new()),
            "SLY" => Some("${HOST}$$".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_replaced_once() {
        for (text, result) in [
            ("http://${HOST}:80", "http://example.com:80"),
            ("${HOST}${HOST}", "example.comexample.com"),
            ("${NONE:-a:-b}", "a:-b"),
            ("${EMPTY:-x}|${EMPTY}|${NONE:-}", "x||"),
            ("$${HOST} $$ $$$$", "${HOST} $ $$"),
            ("$$${HOST}", "$example.com"),
            ("${SLY}", "${HOST}$$"),
            ("é${HOST}é", "éexample.comé"),
        ] {
            assert_eq!(replaced(text), Ok(Some(result.to_owned())), "{text}");
        }
    }

    #[test]
    fn single_dollars_are_left_alone() {
        for text in ["admin:$apr1$H6uskkkW$IgXLP6", "$HOST", "^/a$", "$", "{}"] {
            assert_eq!(replaced(text), Ok(None), "{text}");
        }
        assert_eq!(
            replaced("$HOST ${HOST}"),
            Ok(Some("$HOST example.com".to_owned()))
        );
    }

    #[test]
    fn what_cannot_be_replaced_is_a_mistake() {
        for (text, at, reason) in [
            ("a ${HOST", 2, Unreplaced::Unclosed),
            ("${HOST} ${", 8, Unreplaced::Unclosed),
            ("é${NONE}", 2, Unreplaced::Unset("NONE".to_owned())),
            ("${}", 0, Unreplaced::Form),
            ("${1A}", 0, Unreplaced::Form),
            ("${HOST:?no}", 0, Unreplaced::Form),
            ("${NONE:-${HOST}}", 0, Unreplaced::Form),
        ] {
            assert_eq!(replaced(text), Err((at, reason)), "{text}");
        }
    }
}
