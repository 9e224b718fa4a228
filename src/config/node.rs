//! Nodes: what a YAML file says, with the position of everything in it.

use serde_json::{Map, Number, Value};

use super::findings::{Span, shown};
use super::path::{Path, Step};

/// A value of a YAML file.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it is; of a mapping or a list, where it begins.
    pub(super) span: Span,
    /// What it is.
    pub(super) content: Content,
}

/// What a [`Node`] is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A text, number, truth value or nothing.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping; no key is in it twice.
    Map(Vec<Entry>),
}

/// A single value.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    /// The value by YAML's core schema; a quoted one is always a text.
    pub(super) value: Value,
    /// The text, with variables replaced.
    pub(super) text: String,
    /// The text as it is written in the file, where variables were replaced in it: these may be secrets.
    pub(super) written: Option<String>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key is.
    pub(super) span: Span,
    /// The value.
    pub(super) node: Node,
}

impl Node {
    /// The value of this key, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }

    /// The value at a path.
    pub(super) fn at(&self, path: &Path) -> Option<&Self> {
        let mut node = self;
        for step in path.steps() {
            node = node.child(step)?.1;
        }
        Some(node)
    }

    /// Where the key of the value at a path is, or of the nearest value around it that the file has.
    pub(super) fn key_span(&self, path: &Path) -> Span {
        let (mut node, mut span) = (self, self.span);
        for step in path.steps() {
            match node.child(step) {
                Some(child) => (span, node) = child,
                None => break,
            }
        }
        span
    }

    /// Where the value at a path is, or the nearest one around it that the file has.
    pub(super) fn value_span(&self, path: &Path) -> Span {
        self.at(path)
            .map_or_else(|| self.key_span(path), |node| node.span)
    }

    fn child(&self, step: &Step) -> Option<(Span, &Self)> {
        match (step, &self.content) {
            (Step::Key(key), _) => self.get(key).map(|entry| (entry.span, &entry.node)),
            (Step::Index(index), Content::List(nodes)) => {
                nodes.get(*index).map(|node| (node.span, node))
            }
            _ => None,
        }
    }

    /// The value as JSON.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(scalar) => scalar.value.clone(),
            Content::List(nodes) => nodes.iter().map(Self::to_value).collect(),
            Content::Map(entries) => entries
                .iter()
                .map(|e| (e.key.clone(), e.node.to_value()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    /// What this is, for a message.
    pub(super) fn describe(&self) -> String {
        match &self.content {
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a mapping".to_owned(),
            Content::Scalar(scalar) => match scalar.value {
                Value::Null => "nothing".to_owned(),
                Value::Number(_) => format!("the number `{}`", scalar.shown()),
                _ => format!("`{}`", scalar.shown()),
            },
        }
    }
}

impl Scalar {
    /// A scalar of this text; a plain one gets its type from it.
    pub(super) fn new(text: String, plain: bool) -> Self {
        let value = if plain {
            resolve(&text)
        } else {
            Value::String(text.clone())
        };
        Self {
            value,
            text,
            written: None,
        }
    }

    /// The text for a message: as it is written, so that no variable's value is told.
    pub(super) fn shown(&self) -> String {
        shown(self.written.as_ref().unwrap_or(&self.text))
    }
}

/// The value of a plain scalar by YAML 1.2's core schema.
///
/// What JSON can't hold, `.inf` and `.nan`, stays a text.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if !unsigned.is_empty() && digits(unsigned) {
        let whole = text.strip_prefix('+').unwrap_or(text);
        if let Ok(number) = whole.parse::<i64>() {
            return Some(number.into());
        }
        if let Ok(number) = whole.parse::<u64>() {
            return Some(number.into());
        }
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_is_fine = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    let mantissa_is_fine = mantissa.bytes().any(|b| b.is_ascii_digit())
        && match mantissa.split_once('.') {
            Some((whole, fraction)) => digits(whole) && digits(fraction),
            None => digits(mantissa),
        };
    if exponent_is_fine && mantissa_is_fine {
        text.parse().ok().and_then(Number::from_f64)
    } else {
        None
    }
}

fn radix(digits: &str, radix: u32) -> Option<Number> {
    let valid = digits.chars().all(|c| c.is_digit(radix));
    let number = u64::from_str_radix(digits, radix).ok()?;
    valid.then(|| number.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_resolve_by_the_core_schema() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("yes", json!("yes")),
            ("-12", json!(-12)),
            ("+7", json!(7)),
            ("007", json!(7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0x+1", json!("0x+1")),
            ("18446744073709551615", json!(u64::MAX)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1e3", json!(1000.0)),
            ("1e", json!("1e")),
            (".", json!(".")),
            ("-", json!("-")),
            ("1.2.3", json!("1.2.3")),
            (".nan", json!(".nan")),
            ("1e999", json!("1e999")),
            ("12:30", json!("12:30")),
        ] {
            assert_eq!(resolve(text), value, "{text:?}");
        }
    }
}
