//! Kinds: which types of values a schema takes, and how to say so.

use serde_json::Value;

use super::findings::Findings;
use super::node::{Content, Node, Scalar};
use super::path::Path;
use super::schema::referred;

/// So many values are listed where one of them is expected; of more, the description says more.
const LISTED: usize = 4;

/// The types that a schema takes, itself or by what it refers to; none where it takes any.
pub(super) fn kinds<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a str> {
    if let Some((_, schema)) = referred(root, schema) {
        return kinds(root, schema);
    }
    if let Some(Value::Array(branches)) = schema.get("anyOf") {
        return branches.iter().flat_map(|b| kinds(root, b)).collect();
    }
    match (schema.get("type"), schema.get("enum")) {
        (Some(Value::String(kind)), _) => vec![kind],
        (Some(Value::Array(kinds)), _) => kinds.iter().filter_map(Value::as_str).collect(),
        (_, Some(Value::Array(values))) => values.iter().map(kind).collect(),
        _ => Vec::new(),
    }
}

/// Whether a value is of a type.
pub(super) fn is(node: &Node, wanted: &str) -> bool {
    match &node.content {
        Content::List(_) => wanted == "array",
        Content::Map(_) => wanted == "object",
        Content::Scalar(scalar) => {
            let kind = kind(&scalar.value);
            kind == wanted || (kind == "integer" && wanted == "number")
        }
    }
}

/// The type of a value, as JSON Schema names it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Tells what was expected, and what came.
pub(super) fn mismatch(
    root: &Value,
    node: &Node,
    schema: &Value,
    path: &Path,
    findings: &mut Findings,
) {
    let found = node.describe();
    let expected = expected(root, schema);
    let finding = findings.error(
        node.span,
        path,
        format!("expected {expected}, found {found}"),
    );
    let kinds = kinds(root, schema);
    let wants = |kind: &str| kinds.contains(&kind);
    let Content::Scalar(scalar) = &node.content else {
        return;
    };
    let written = scalar.shown();
    match &scalar.value {
        Value::Null => finding.hint("give it a value, or remove the key"),
        Value::String(text) if matches!(text.as_str(), "yes" | "no" | "on" | "off") => {
            finding.hint("write `true` or `false`: this is a text in YAML 1.2")
        }
        value if wants("string") && !value.is_string() => {
            finding.hint(format!("quote it: `\"{written}\"`"))
        }
        Value::String(text) if !Scalar::new(text.clone(), true).value.is_string() => {
            finding.hint("remove the quotes")
        }
        _ if wants("array") => finding.hint(format!("make it a list: `[{written}]`")),
        _ => return,
    };
}

/// What a schema takes, in words: `a list`, `a whole number from 1 to 65535`.
pub(super) fn expected(root: &Value, schema: &Value) -> String {
    if let Some((_, schema)) = referred(root, schema) {
        return expected(root, schema);
    }
    let description = schema.get("description").and_then(Value::as_str);
    let keyword = |name: &str| schema.get(name);
    match (keyword("type"), keyword("anyOf"), keyword("enum")) {
        // A plain type says more than the description of what it is for.
        (Some(Value::String(kind)), None, None) => match (keyword("minimum"), keyword("maximum")) {
            (Some(least), Some(most)) => format!("{} from {least} to {most}", word(kind)),
            (Some(least), None) if least != 0 => format!("{} of at least {least}", word(kind)),
            _ => word(kind).to_owned(),
        },
        (None, Some(Value::Array(branches)), _) if description.is_none() => {
            let words: Vec<_> = branches.iter().map(|b| expected(root, b)).collect();
            words.join(", or ")
        }
        (_, _, Some(Value::Array(values))) if description.is_none() || values.len() <= LISTED => {
            let words: Vec<_> = values.iter().map(|v| format!("`{}`", plain(v))).collect();
            words.join(" or ")
        }
        _ => description.map_or_else(
            || "something else".to_owned(),
            |text| uncapitalized(first_sentence(text)),
        ),
    }
}

fn word(kind: &str) -> &str {
    match kind {
        "null" => "nothing",
        "boolean" => "`true` or `false`",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "a list",
        "object" => "a mapping",
        _ => "a text",
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The first sentence of a description, without its full stop.
pub(super) fn first_sentence(description: &str) -> &str {
    let paragraph = description.lines().next().unwrap_or_default();
    let first = paragraph.split(". ").next().unwrap_or_default();
    first.trim_end_matches('.')
}

/// A sentence as a part of another.
fn uncapitalized(sentence: &str) -> String {
    match sentence.strip_prefix("A ") {
        Some(rest) => format!("a {rest}"),
        None => sentence.to_owned(),
    }
}
