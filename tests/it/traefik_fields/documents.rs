//! Documents made from the schema: one with every field, and one for every place.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::judge::Judge;

/// A field of a struct, at the first place where a document has that struct.
pub(super) struct Field {
    /// The way to the struct; `[]` is an entry of a list.
    pub(super) home: Vec<String>,
    /// The name of the field.
    pub(super) name: String,
    /// What the schema says of it.
    pub(super) schema: Value,
}

impl Field {
    /// A document with this value in the field and nothing else.
    pub(super) fn document(&self, value: Value) -> Value {
        document(&self.home, json!({ &self.name: value }))
    }

    /// The definition that the field refers to, without `traefik.`; empty if it is a list or map.
    pub(super) fn kind(&self) -> &str {
        let target = self.schema.get("$ref").and_then(Value::as_str);
        target.map_or("", |t| t.strip_prefix("#/$defs/traefik.").unwrap())
    }
}

/// A document with a value at the end of a way.
pub(super) fn document(way: &[String], value: Value) -> Value {
    way.iter()
        .rev()
        .fold(value, |value, step| match step.as_str() {
            "[]" => json!([value]),
            key => json!({ key: value }),
        })
}

/// The way to every struct of the schema, by its first place.
pub(super) fn structs(judge: &Judge) -> Vec<(Vec<String>, Map<String, Value>)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![(vec![], json!({ "$ref": "#/$defs/traefik.Configuration" }))];
    while let Some((way, schema)) = open.pop() {
        let target = schema.get("$ref").map(ToString::to_string);
        if target.is_some_and(|target| !seen.insert(target)) {
            continue;
        }
        let step = |name: &str| [way.clone(), vec![name.to_owned()]].concat();
        let schema = judge.follow(&schema);
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            open.extend(
                fields
                    .iter()
                    .map(|(name, field)| (step(name), field.clone())),
            );
            found.push((way.clone(), fields.clone()));
        } else if let Some(entry) = schema.get("additionalProperties") {
            open.push((step("x"), entry.clone()));
        } else if let Some(entry) = schema.get("items") {
            open.push((step("[]"), entry.clone()));
        } else if let Some(first) = schema.get("anyOf").and_then(|options| options.get(0)) {
            open.push((way, first.clone()));
        }
    }
    found
}

/// Every field of every struct of the schema.
pub(super) fn fields(judge: &Judge) -> Vec<Field> {
    let structs = structs(judge).into_iter();
    structs
        .flat_map(|(home, fields)| {
            fields.into_iter().map(move |(name, schema)| {
                let home = home.clone();
                Field { home, name, schema }
            })
        })
        .collect()
}

/// A value with every field that a schema has.
pub(super) fn full(judge: &Judge, schema: &Value) -> Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some("#/$defs/traefik.string") => return json!("x"),
        Some("#/$defs/traefik.strings") => return json!(["x", "y"]),
        Some("#/$defs/traefik.int") => return json!(12),
        Some("#/$defs/traefik.duration") => return json!("10s"),
        Some("#/$defs/traefik.bool") => return json!(true),
        Some("#/$defs/traefik.Plugin") => {
            return json!({ "a": 1, "b": [true], "c": { "d": ["e", 2] } });
        }
        _ => {}
    }
    let schema = judge.follow(schema);
    if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
        let fields = fields.iter();
        fields
            .map(|(name, field)| (name.clone(), full(judge, field)))
            .collect()
    } else if let Some(entry) = schema.get("additionalProperties") {
        json!({ "x": full(judge, entry) })
    } else if let Some(entry) = schema.get("items") {
        json!([full(judge, entry)])
    } else {
        full(judge, &schema["anyOf"][0])
    }
}

/// Whether Traefik leaves the field out of its log, because it may be secret or has no name in JSON.
fn is_hidden(way: &str) -> bool {
    let hidden = ["certificates", "caFiles", "rootCAs", "defaultCertificate"];
    let nameless = ["readTimeout", "writeTimeout"];
    let nameless = |name| way.contains("forwardingTimeouts") && nameless.contains(&name);
    way.rsplit('.')
        .next()
        .is_some_and(|name| hidden.contains(&name) || nameless(name))
}

/// Lists the fields of a document that are not in what Traefik made of it.
pub(super) fn lost(document: &Value, decoded: &Value, way: &str, found: &mut Vec<String>) {
    match document {
        Value::Object(object) => {
            for (key, value) in object {
                let way = format!("{way}.{key}");
                match decoded.get(key) {
                    _ if is_hidden(&way) => {}
                    Some(decoded) => lost(value, decoded, &way, found),
                    None => found.push(way),
                }
            }
        }
        Value::Array(entries) => {
            for (index, value) in entries.iter().enumerate() {
                lost(value, &decoded[index], &format!("{way}.{index}"), found);
            }
        }
        _ => {
            if decoded.is_null() {
                found.push(way.to_owned());
            }
        }
    }
}
