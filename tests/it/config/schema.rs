//! The JSON Schema that editors get.

use bluegreen::config;
use serde_json::Value;

/// Calls a function for each schema in a schema.
fn each(schema: &Value, see: &mut dyn FnMut(&Value)) {
    see(schema);
    for map in ["properties", "$defs", "patternProperties"] {
        for schema in schema
            .get(map)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            each(schema.1, see);
        }
    }
    for list in ["anyOf"] {
        for schema in schema
            .get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            each(schema, see);
        }
    }
    for one in ["items", "additionalProperties"] {
        if let Some(schema) = schema.get(one).filter(|s| s.is_object()) {
            each(schema, see);
        }
    }
}

#[test]
fn every_key_has_a_help_and_no_reference_dangles() {
    let root = config::json_schema();
    assert_eq!(
        root["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(root["additionalProperties"], false);
    assert!(root["patternProperties"]["^x-"].is_object());
    for (name, definition) in root["$defs"].as_object().unwrap() {
        assert!(definition["description"].is_string(), "{name}");
        let ours = !name.starts_with("traefik.");
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            assert!(!ours || property["description"].is_string(), "{name}.{key}");
        }
    }
    let mut references = 0;
    each(&root, &mut |schema| {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.strip_prefix("#/$defs/").unwrap();
            assert!(root["$defs"].get(name).is_some(), "{reference}");
            references += 1;
        }
    });
    assert!(references > 50, "{references}");
}

/// A keyword that the check of the file does not know would be promised to editors and checked by nobody.
#[test]
fn the_schema_has_no_keyword_that_the_check_does_not_know() {
    let known = [
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maximum",
        "minItems",
        "minProperties",
        "minimum",
        "pattern",
        "patternProperties",
        "properties",
        "required",
        "title",
        "type",
    ];
    each(&config::json_schema(), &mut |schema| {
        for keyword in schema.as_object().into_iter().flatten().map(|(k, _)| k) {
            assert!(known.contains(&keyword.as_str()), "{keyword}: {schema}");
        }
    });
}

#[test]
fn the_keys_of_the_example_are_in_the_schema() {
    let root = config::json_schema();
    let keys = |schema: &Value| -> Vec<String> {
        let properties = schema["properties"].as_object().unwrap();
        properties.keys().cloned().collect()
    };
    assert_eq!(
        keys(&root),
        [
            "defaultCertificate",
            "lenient",
            "marker",
            "stacks",
            "traefik"
        ]
    );
    assert_eq!(
        keys(&root["$defs"]["Stack"]),
        [
            "analysis",
            "checks",
            "colorHeader",
            "colors",
            "containers",
            "down",
            "entryPoints",
            "gates",
            "guard",
            "guardTimeout",
            "hooks",
            "key",
            "leaveOutDead",
            "preview",
            "production",
            "services",
            "up",
            "upTimeout"
        ]
    );
    assert_eq!(
        keys(&root["$defs"]["Service"]),
        [
            "health",
            "leaveOutDead",
            "loadBalancer",
            "production",
            "router",
            "rule",
            "servers"
        ]
    );
    for (name, required) in [
        ("Stack", vec!["services"]),
        ("Service", vec!["rule", "servers"]),
        ("Marker", vec!["entryPoint", "port"]),
    ] {
        let definition = &root["$defs"][name];
        assert_eq!(definition["required"], Value::from(required.clone()));
        for key in required {
            assert!(
                definition["properties"][key].get("default").is_none(),
                "{name}.{key}"
            );
        }
    }
}
