//! Variables: the texts of compose files, where `${NAME}` stands for a value of the environment.
//!
//! Compose knows more forms than bluegreen.yml does. A [`Text`] keeps the variables, so that it can be written as
//! bluegreen.yml takes them, or be looked at with their defaults in place.

use std::collections::BTreeMap;

/// A text of a compose file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable {
        name: String,
        default: Option<String>,
    },
}

/// The values of an `.env` file.
pub(super) type Values = BTreeMap<String, String>;

impl Text {
    /// Reads a text as compose does; what is in the `.env` file becomes the default of its variable.
    pub(super) fn parse(text: &str, values: &Values) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            literal.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                literal.push('$');
                rest = after;
                continue;
            }
            let braced = rest.strip_prefix('{').and_then(|after| {
                let end = closing(after)?;
                Some((&after[..end], &after[end + 1..]))
            });
            let (inner, after) = braced.unwrap_or_else(|| rest.split_at(name_length(rest)));
            let (name, operation) = inner.split_at(name_length(inner));
            if name.is_empty() {
                literal.push('$');
                continue;
            }
            let written = operation.strip_prefix(":-").or(operation.strip_prefix('-'));
            let default = match values.get(name) {
                Some(value) => Some(value.clone()),
                None => written.and_then(|default| Self::parse(default, values).value()),
            };
            parts.extend(literal_part(&mut literal));
            parts.push(Part::Variable {
                name: name.to_owned(),
                default,
            });
            rest = after;
        }
        literal.push_str(rest);
        parts.extend(literal_part(&mut literal));
        Self(parts)
    }

    /// The text with the defaults of its variables, if all of them have one.
    pub(super) fn value(&self) -> Option<String> {
        let values = self.0.iter().map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Variable { default, .. } => default.as_deref(),
        });
        values.collect()
    }

    /// The text as it is written in bluegreen.yml, if all of its variables have a default that can be written there.
    pub(super) fn written(&self) -> Option<String> {
        let mut written = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => written.push_str(&escaped(text)),
                Part::Variable { name, default } => {
                    // What follows a single `$` would not be a variable.
                    if written.ends_with('$') && !written.ends_with("$$") {
                        written.push('$');
                    }
                    let default = default.as_ref().filter(|default| !default.contains('}'))?;
                    written.push_str(&format!("${{{name}:-{default}}}"));
                }
            }
        }
        Some(written)
    }

    /// The same with this default for every variable that has none.
    pub(super) fn or_default(&self, default: &str) -> Self {
        let parts = self.0.iter().cloned().map(|part| match part {
            Part::Variable {
                name,
                default: None,
            } => Part::Variable {
                name,
                default: Some(default.to_owned()),
            },
            part => part,
        });
        Self(parts.collect())
    }

    /// The first variable without a value.
    pub(super) fn unknown(&self) -> Option<&str> {
        self.0.iter().find_map(|part| match part {
            Part::Variable {
                name,
                default: None,
            } => Some(name.as_str()),
            _ => None,
        })
    }

    /// The parts between colons; a colon within a variable does not count.
    pub(super) fn split(&self) -> Vec<Self> {
        let mut pieces = vec![Self::default()];
        let mut bracketed = false;
        for part in &self.0 {
            let Part::Literal(text) = part else {
                if let Some(piece) = pieces.last_mut() {
                    piece.0.push(part.clone());
                }
                continue;
            };
            let mut literal = String::new();
            for c in text.chars() {
                match c {
                    ':' if !bracketed => {
                        if let Some(piece) = pieces.last_mut() {
                            piece.0.extend(literal_part(&mut literal));
                        }
                        pieces.push(Self::default());
                    }
                    c => {
                        bracketed = (bracketed || c == '[') && c != ']';
                        literal.push(c);
                    }
                }
            }
            if let Some(piece) = pieces.last_mut() {
                piece.0.extend(literal_part(&mut literal));
            }
        }
        pieces
    }
}

fn literal_part(literal: &mut String) -> Option<Part> {
    let text = std::mem::take(literal);
    (!text.is_empty()).then_some(Part::Literal(text))
}

/// Where the `}` is that belongs to a `{` before this text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

/// A text without variables as it is written in bluegreen.yml, where `${` begins one and `$$` is a `$`.
pub(super) fn escaped(text: &str) -> String {
    if text.contains("${") || text.contains("$$") {
        text.replace('$', "$$")
    } else {
        text.to_owned()
    }
}

/// The values of an `.env` file.
pub(super) fn dotenv(text: &str) -> Values {
    let pairs = text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let (name, value) = (name.trim_end(), value.trim());
        let named = !name.is_empty() && name_length(name) == name.len();
        let quoted = ['"', '\''].iter().find_map(|quote| {
            let inner = value.strip_prefix(*quote)?;
            inner.split_once(*quote).map(|(inner, _)| inner)
        });
        let value = quoted.unwrap_or_else(|| value.split(" #").next().unwrap_or_default().trim());
        // A value that itself has variables is not worth the guess.
        (named && !value.contains('$')).then(|| (name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Text {
        let values = dotenv("# the ports\nPORT=8091 # of the api\nexport NAME=\"x y\"\nBAD\n1=2\n");
        Text::parse(text, &values)
    }

    #[test]
    fn variables_keep_their_names_and_get_a_default() {
        for (text, value, written) in [
            ("8091", Some("8091"), Some("8091")),
            ("${A:-1}:${B-2}", Some("1:2"), Some("${A:-1}:${B:-2}")),
            ("${A:-${B:-3}}", Some("3"), Some("${A:-3}")),
            (
                "$PORT/${PORT:?no}",
                Some("8091/8091"),
                Some("${PORT:-8091}/${PORT:-8091}"),
            ),
            ("${NAME}", Some("x y"), Some("${NAME:-x y}")),
            ("${GONE}", None, None),
            ("^/a$", Some("^/a$"), Some("^/a$")),
            ("$$a$${1}", Some("$a${1}"), Some("$$a$${1}")),
            ("$$${A:-1}", Some("$1"), Some("$$${A:-1}")),
            ("a${", Some("a${"), Some("a$${")),
        ] {
            let parsed = parse(text);
            assert_eq!(parsed.value().as_deref(), value, "{text}");
            assert_eq!(parsed.written().as_deref(), written, "{text}");
        }
        assert_eq!(parse("1${GONE}").unknown(), Some("GONE"));
    }

    #[test]
    fn colons_within_variables_and_brackets_do_not_split() {
        let split =
            |text: &str| -> Vec<_> { parse(text).split().iter().map(Text::value).collect() };
        let texts =
            |texts: &[&str]| -> Vec<_> { texts.iter().map(|t| Some((*t).to_owned())).collect() };
        assert_eq!(split("${W:-1:80}:80"), texts(&["1:80", "80"]));
        assert_eq!(split("[::1]:1:2"), texts(&["[::1]", "1", "2"]));
        assert_eq!(split("127.0.0.1::80"), texts(&["127.0.0.1", "", "80"]));
    }
}
