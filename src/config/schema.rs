//! The JSON Schema of the config file: what editors complete it with, and what it is checked against.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::raw::RawConfig;
use crate::traefik::schema::definitions;

/// What the names of the definitions of Traefik's own fields begin with.
pub(super) const TRAEFIK: &str = "traefik.";

/// The JSON Schema of `bluegreen.yml`, draft 2020-12.
pub fn json_schema() -> Value {
    let mut schema = of::<RawConfig>();
    schema["patternProperties"] =
        json!({ "^x-": { "description": "Ignored: a home for YAML anchors." } });
    match schema.get_mut("$defs") {
        Some(Value::Object(defs)) => defs.extend(definitions()),
        _ => schema["$defs"] = definitions().into(),
    }
    schema
}

/// The JSON Schema of what is written as a type says.
pub(super) fn of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    refine(&mut schema);
    schema
}

/// Takes `null` out of what is optional, which is left out instead; defaults out of what is required; and line breaks
/// out of descriptions.
fn refine(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(refine),
        Value::Object(keywords) => {
            if let Some(Value::Array(kinds)) = keywords.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [kind] = kinds.as_mut_slice() {
                    let kind = kind.take();
                    keywords.insert("type".to_owned(), kind);
                }
            }
            if let Some(Value::Array(branches)) = keywords.get_mut("anyOf") {
                branches.retain(|branch| branch["type"] != "null");
                if let [Value::Object(branch)] = branches.as_mut_slice() {
                    let branch = std::mem::take(branch);
                    keywords.remove("anyOf");
                    keywords.extend(branch);
                }
            }
            if let Some(Value::String(text)) = keywords.get_mut("description") {
                *text = text.replace('\n', " ").replace("  ", "\n\n");
            }
            if let Some(Value::Array(required)) = keywords.get("required").cloned() {
                for name in required.iter().filter_map(Value::as_str) {
                    let property = keywords.get_mut("properties").and_then(|p| p.get_mut(name));
                    if let Some(Value::Object(property)) = property {
                        property.remove("default");
                    }
                }
            }
            keywords.values_mut().for_each(refine);
        }
        _ => {}
    }
}

/// The definition that a schema refers to, with its name.
pub(super) fn referred<'a>(root: &'a Value, schema: &'a Value) -> Option<(&'a str, &'a Value)> {
    let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
    Some((name, root.get("$defs")?.get(name)?))
}

/// The properties that a schema names.
pub(super) fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// Where else than in this schema a key belongs, in words, for a key that is not one of its own.
pub(super) fn home(root: &Value, schema: &Value, key: &str) -> Option<String> {
    let has = |schema: &Value| properties(schema).is_some_and(|p| p.contains_key(key));
    for (name, field) in properties(schema)? {
        let inner = referred(root, field).map_or(field, |(_, schema)| schema);
        if has(inner) {
            return Some(format!("it belongs in `{name}`: `{name}: {{ {key}: … }}`"));
        }
    }
    if has(root) {
        return Some("it belongs at the top of the file".to_owned());
    }
    let definitions = root.get("$defs")?.as_object()?.iter();
    let mut homes = definitions.filter(|(name, s)| !name.starts_with(TRAEFIK) && has(s));
    let requires = |schema: &Value| {
        let required = schema.get("required").and_then(Value::as_array);
        required.is_some_and(|required| required.iter().any(|name| name == key))
    };
    // Where it must be is more of a home than where it may be.
    let (name, _) = homes
        .clone()
        .find(|(_, s)| requires(s))
        .or_else(|| homes.next())?;
    let article = if name.starts_with(['A', 'E']) {
        "an"
    } else {
        "a"
    };
    Some(format!("it belongs in {article} {}", name.to_lowercase()))
}
