//! Templates: `{name}` in a text stands for a value.
//!
//! What is between braces and is no name stays as it is, so JSON and shell can be written as ever.

use std::collections::BTreeMap;

use serde_json::Value;

/// The values by name.
pub type Values = BTreeMap<String, Value>;

/// The names that a text refers to, each with the byte at which its `{` stands.
pub fn names(text: &str) -> Vec<(usize, &str)> {
    let mut names = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let name = text[open + 1..].split('}').next().unwrap_or_default();
        if is_name(name) && text[open + 1 + name.len()..].starts_with('}') {
            names.push((open, name));
        }
        from = open + 1;
    }
    names
}

/// Whether this can be the name of a value.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// A text with its values; a name without a value stays as it is.
pub fn fill(text: &str, values: &Values) -> String {
    let mut filled = String::new();
    let mut done = 0;
    for (at, name) in names(text) {
        if let Some(value) = values.get(name) {
            filled.push_str(&text[done..at]);
            match value {
                Value::String(text) => filled.push_str(text),
                other => filled.push_str(&other.to_string()),
            }
            done = at + name.len() + 2;
        }
    }
    filled + &text[done..]
}

/// A JSON value with the values in its texts; a text that is nothing but one name becomes that value as it is, a
/// number a number.
pub fn fill_json(json: &Value, values: &Values) -> Value {
    match json {
        Value::String(text) => {
            let whole = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
            match whole.and_then(|name| values.get(name)) {
                Some(value) => value.clone(),
                None => fill(text, values).into(),
            }
        }
        Value::Array(items) => items.iter().map(|item| fill_json(item, values)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), fill_json(value, values)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> Values {
        let value = json!({ "id": 7, "run": "k3f9", "title": "{id}" });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn names_are_replaced_once_and_the_rest_stays() {
        for (text, filled) in [
            ("/deals/{id}", "/deals/7"),
            ("{run}-{run}{id}", "k3f9-k3f97"),
            ("{title}", "{id}"),
            (r#"{"id":{id}}"#, r#"{"id":7}"#),
            ("{none} { id } {} {", "{none} { id } {} {"),
            ("é{id}é", "é7é"),
        ] {
            assert_eq!(fill(text, &values()), filled, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_one_name_becomes_the_value_itself() {
        let json = json!({ "id": "{id}", "title": "deal {id}", "list": ["{run}", 1, null] });
        let filled = json!({ "id": 7, "title": "deal 7", "list": ["k3f9", 1, null] });
        assert_eq!(fill_json(&json, &values()), filled);
    }

    #[test]
    fn names_are_found_where_they_stand() {
        assert_eq!(names("a{b}{{c}} {d e}{f"), [(1, "b"), (5, "c")]);
    }
}
