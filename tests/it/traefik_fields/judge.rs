//! A minimal walker for the keywords of the schema of Traefik's fields: it says yes or no.

use bluegreen::traefik::{patterns, schema};
use serde_json::{Map, Value};

/// The schema of Traefik's fields, to judge documents by.
pub(super) struct Judge {
    /// The definitions of the schema.
    pub(super) definitions: Map<String, Value>,
}

impl Judge {
    /// A judge by the definitions as they are.
    pub(super) fn new() -> Self {
        let definitions = schema::definitions();
        Self { definitions }
    }

    /// Whether the schema takes a document.
    pub(super) fn takes(&self, document: &Value) -> bool {
        self.matches(&self.definitions["traefik.Configuration"], document)
    }

    /// The definition that a schema refers to, or the schema itself.
    pub(super) fn follow<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str);
        let name = target.map(|t| t.strip_prefix("#/$defs/").unwrap());
        name.map_or(schema, |name| &self.definitions[name])
    }

    fn matches(&self, schema: &Value, value: &Value) -> bool {
        let schema = schema.as_object().unwrap();
        schema.iter().all(|(keyword, rule)| match keyword.as_str() {
            "$ref" => self.matches(self.follow(&Value::Object(schema.clone())), value),
            "description" => true,
            "type" => match rule.as_array() {
                Some(types) => types.iter().any(|t| is_of_type(value, t)),
                None => is_of_type(value, rule),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "anyOf" => rule
                .as_array()
                .unwrap()
                .iter()
                .any(|s| self.matches(s, value)),
            "pattern" => value.as_str().is_none_or(|text| {
                patterns::matches(rule.as_str().unwrap(), text).expect("a known pattern")
            }),
            "minimum" => value.as_f64().is_none_or(|v| v >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|v| v <= rule.as_f64().unwrap()),
            "minProperties" => value.as_object().is_none_or(|o| !o.is_empty()),
            "items" => value
                .as_array()
                .is_none_or(|a| a.iter().all(|v| self.matches(rule, v))),
            "properties" => value.as_object().is_none_or(|object| {
                let known = |key: &String| rule.get(key);
                object
                    .iter()
                    .all(|(k, v)| known(k).is_none_or(|s| self.matches(s, v)))
            }),
            "additionalProperties" => value.as_object().is_none_or(|object| {
                let known = |key| {
                    schema
                        .get("properties")
                        .is_some_and(|p| p.get(key).is_some())
                };
                let mut others = object.iter().filter(|(key, _)| !known(key.as_str()));
                match rule {
                    Value::Bool(false) => others.next().is_none(),
                    rule => others.all(|(_, v)| self.matches(rule, v)),
                }
            }),
            other => panic!("the schema uses `{other}`"),
        })
    }
}

fn is_of_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|v| v.fract() == 0.0),
        other => panic!("the schema uses the type `{other}`"),
    }
}
