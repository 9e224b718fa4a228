//! The JSON Schema of the config file: what editors complete it with, and what it is checked against.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::raw::RawConfig;
use crate::traefik::schema::definitions;

/// What the names of the definitions of Traefik's own fields begin with.
pub(super) const TRAEFIK: &str = "traefik.";

/// The JSON Schema of `bluegreen.yml`, draft 2020-12.
pub fn json_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<RawConfig>().to_value();
    schema["patternProperties"] = json!({ "^x-": { "description": "Ignored: a home for YAML anchors." } });
    match schema.get_mut("$defs") {
        Some(Value::Object(defs)) => defs.extend(definitions()),
        _ => schema["$defs"] = definitions().into(),
    }
    schema
}

/// The definition that a schema refers to, its name, and whether it describes something of Traefik's.
pub(super) fn referred<'a>(root: &'a Value, schema: &'a Value) -> Option<(&'a str, &'a Value)> {
    let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
    Some((name, root.get("$defs")?.get(name)?))
}

/// The properties that a schema names.
pub(super) fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}
