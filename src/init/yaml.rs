//! YAML: values as they are written into bluegreen.yml.

use serde_json::{Map, Value};

use crate::printable::is_printable;

/// The longest mapping or list that is written on one line, in characters.
const LINE: usize = 72;

/// A text as a value: plain where that is read as the same text again.
pub(super) fn text(text: &str) -> String {
    scalar(text, false)
}

/// A value within `{ }` or `[ ]`, on one line.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text, true),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(flow).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let entries: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", scalar(key, true), flow(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// The entries of a mapping as lines with this indentation.
pub(super) fn block(map: &Map<String, Value>, indent: usize, lines: &mut Vec<String>) {
    for (key, value) in map {
        entry(key, value, indent, lines);
    }
}

/// A key and its value: on one line where that is short.
pub(super) fn entry(key: &str, value: &Value, indent: usize, lines: &mut Vec<String>) {
    let space = " ".repeat(indent);
    let key = scalar(key, true);
    let short =
        || Some(flow(value)).filter(|line| indent + line.len() <= LINE && depth(value) <= 2);
    match value {
        Value::String(value) => lines.push(format!("{space}{key}: {}", text(value))),
        _ if short().is_some() => {
            lines.push(format!("{space}{key}: {}", short().unwrap_or_default()));
        }
        Value::Object(map) => {
            lines.push(format!("{space}{key}:"));
            block(map, indent + 2, lines);
        }
        Value::Array(values) => {
            lines.push(format!("{space}{key}:"));
            for value in values {
                item(value, indent + 2, lines);
            }
        }
        value => lines.push(format!("{space}{key}: {}", flow(value))),
    }
}

fn item(value: &Value, indent: usize, lines: &mut Vec<String>) {
    let space = " ".repeat(indent);
    let Value::Object(map) = value else {
        lines.push(match value {
            Value::String(value) => format!("{space}- {}", text(value)),
            value => format!("{space}- {}", flow(value)),
        });
        return;
    };
    let at = lines.len();
    block(map, indent + 2, lines);
    match lines.get_mut(at) {
        Some(first) => first.replace_range(indent..=indent, "-"),
        None => lines.push(format!("{space}- {{}}")),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => {
            values.iter().map(depth).max().unwrap_or(0)
                + usize::from(values.iter().any(Value::is_object))
        }
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn scalar(text: &str, flow: bool) -> String {
    if is_plain(text, flow) {
        return text.to_owned();
    }
    let quotable = text.chars().all(is_printable);
    if quotable && text.contains(['"', '\\']) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    // JSON's notation is YAML's too, but for characters that YAML wants escaped.
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_printable(c) => quoted.push(c),
            c => match u32::from(c) {
                code @ ..=0xffff => quoted.push_str(&format!("\\u{code:04x}")),
                code => quoted.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    quoted + "\""
}

/// Whether a text can stand without quotes.
fn is_plain(text: &str, flow: bool) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    let begins = first.is_alphanumeric() || matches!(first, '/' | '^' | '(' | '$' | '.' | '_');
    let number_like = first.is_ascii_digit() || first == '.';
    let number = number_like
        && (text.parse::<f64>().is_ok() || text.starts_with("0x") || text.starts_with("0o"));
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .contains(&text.to_ascii_lowercase().as_str())
        || [".inf", ".nan"].contains(&text.to_ascii_lowercase().as_str());
    begins
        && !number
        && !word
        && text.chars().all(is_printable)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && text.trim() == text
        && !(flow && text.contains([',', '[', ']', '{', '}', '`']))
        && !(flow && text.contains(':') && !text.contains("://"))
}
