//! Traefik's dynamic configuration as JSON Schema, made from `fields.txt`.

use serde_json::{Map, Value, json};

use super::patterns::{DURATION, INT};

/// The fields by struct; its head says how to read it.
const FIELDS: &str = include_str!("fields.txt");

/// The largest number that [`INT`] takes too: 18 digits.
const LARGEST: i64 = 999_999_999_999_999_999;

/// The definitions of a JSON Schema (draft 2020-12) for everything that Traefik's file decoder takes,
/// and so its HTTP provider.
///
/// The keys are `traefik.Configuration` (the whole document), `traefik.Router`,
/// `traefik.ServersLoadBalancer` and so on, as Traefik names its Go structs; the definitions refer to
/// each other as `#/$defs/traefik.Router`. Whether an object may be empty is up to the place, not to the
/// struct: there, `minProperties` stands beside `$ref`.
///
/// Sources: Traefik's `pkg/config/dynamic`, `pkg/tls` and `pkg/types`; paerser's `file/raw_node.go`,
/// `parser/nodes_metadata.go` and `parser/element_fill.go`.
pub fn definitions() -> Map<String, Value> {
    let mut definitions = values();
    for block in FIELDS.split("\n\n").filter(|b| !b.starts_with('#')) {
        let mut lines = block.lines();
        let Some((name, description)) = lines.next().and_then(|head| head.split_once(": ")) else {
            continue;
        };
        let properties: Map<String, Value> = lines
            .filter_map(|line| line.trim().split_once(' '))
            .map(|(field, kind)| (field.to_owned(), of_field(kind.trim())))
            .collect();
        definitions.insert(
            format!("traefik.{name}"),
            json!({
                "description": format!("Traefik's {description}"),
                "type": "object",
                "properties": properties,
                "additionalProperties": false,
            }),
        );
    }
    definitions
}

/// What a field of a kind takes. Only here does Traefik refuse empty objects and maps.
fn of_field(kind: &str) -> Value {
    if let Some(kind) = kind.strip_suffix('?') {
        return json!({ "anyOf": [of_entry(kind), refer("switch")] });
    }
    let mut schema = of_entry(kind);
    if kind.starts_with('{') || kind.starts_with(char::is_uppercase) {
        schema["minProperties"] = json!(1);
    }
    schema
}

/// What an entry of a list or map takes.
fn of_entry(kind: &str) -> Value {
    let list = kind.strip_prefix('[').and_then(|k| k.strip_suffix(']'));
    let map = kind.strip_prefix('{').and_then(|k| k.strip_suffix('}'));
    match (list, map) {
        (Some("string"), _) => refer("strings"),
        (Some(kind), _) => json!({ "type": "array", "items": of_entry(kind) }),
        (_, Some(kind)) => json!({ "type": "object", "additionalProperties": of_entry(kind) }),
        _ => refer(kind),
    }
}

fn refer(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/traefik.{name}") })
}

/// The definitions of scalars and of plugins.
///
/// Traefik turns every scalar into a string and parses that, so a number in a string is as good as a
/// number. It writes a fraction with six digits, `1.500000`: as a string, that is not what was meant.
fn values() -> Map<String, Value> {
    let values = json!({
        "traefik.string": {
            "description": "a string",
            "type": ["string", "integer", "boolean"],
        },
        "traefik.strings": {
            "description": "a list of strings, or one string with commas between them",
            "type": ["array", "string", "integer", "boolean"],
            "items": refer("string"),
        },
        "traefik.int": {
            "description": "a whole number",
            "type": ["integer", "string"],
            "pattern": INT,
            "minimum": -LARGEST,
            "maximum": LARGEST,
        },
        "traefik.duration": {
            "description": "a duration such as `10s` or `1m30s`, or a number of seconds",
            "type": ["integer", "string"],
            "pattern": DURATION,
            "minimum": -LARGEST,
            "maximum": LARGEST,
        },
        "traefik.bool": {
            "description": "`true` or `false`",
            "enum": [
                true, false, "true", "false", 1, 0, "1", "0",
                "True", "TRUE", "T", "t", "False", "FALSE", "F", "f",
            ],
        },
        "traefik.switch": {
            "description": "`true` for an object with its defaults, `false` for none",
            "enum": [true, false, "true", "True", "TRUE", "false", "False", "FALSE"],
        },
        "traefik.Plugin": {
            "description": "The configuration of a plugin of Traefik, with fields of its own",
            "type": "object",
            "additionalProperties": refer("PluginValue"),
        },
        "traefik.PluginValue": {
            "description": "A value in a plugin's configuration; a list has no lists in it, and \
                            Booleans only among themselves",
            "anyOf": [
                { "type": ["string", "number", "boolean"] },
                refer("Plugin"),
                { "type": "array", "items": { "type": "boolean" } },
                {
                    "type": "array",
                    "items": { "anyOf": [{ "type": ["string", "number"] }, refer("Plugin")] },
                },
            ],
        },
    });
    match values {
        Value::Object(values) => values,
        _ => Map::new(),
    }
}
