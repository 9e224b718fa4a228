//! What the schema says of a document is what the real Traefik does with it.

mod decoder;
mod documents;
mod judge;
mod rules;

use serde_json::{Value, json};

use decoder::Decoder;
use documents::{document, fields, full, lost, structs};
use judge::Judge;

/// Judges documents by the schema and by Traefik, and lists where they differ.
fn compare(cases: impl IntoIterator<Item = Value>) {
    let judge = Judge::new();
    let mut decoder = Decoder::start();
    let mut differences = Vec::new();
    for case in cases {
        match (judge.takes(&case), decoder.decode(&case)) {
            (true, Err(reason)) => {
                differences.push(format!("only Traefik refuses {case}: {reason}"))
            }
            (false, Ok(_)) => differences.push(format!("only the schema refuses {case}")),
            _ => {}
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A document with one entry in a map of its HTTP part.
fn entry(map: &str, value: Value) -> Value {
    json!({ "http": { map: { "x": value } } })
}

/// A document with one value in the configuration of a plugin.
fn plugin(value: &Value) -> Value {
    entry("middlewares", json!({ "plugin": { "p": { "f": value } } }))
}

#[test]
fn a_document_with_every_field_is_polled_and_nothing_in_it_is_ignored() {
    let judge = Judge::new();
    let document = full(&judge, &json!({ "$ref": "#/$defs/traefik.Configuration" }));
    assert!(judge.takes(&document), "the schema refuses {document}");
    let decoded = Decoder::polled(&document);
    let mut found = Vec::new();
    lost(&document, &decoded, "", &mut found);
    assert!(found.is_empty(), "Traefik ignores {found:?}");
}

#[test]
fn an_invented_field_is_refused_in_every_struct() {
    let judge = Judge::new();
    let structs = structs(&judge);
    assert!(structs.len() > 80, "{} structs are few", structs.len());
    // At the top, Traefik ignores what it does not know.
    let homes = structs
        .iter()
        .map(|(home, _)| home)
        .filter(|home| !home.is_empty());
    let cases: Vec<Value> = homes
        .map(|home| document(home, json!({ "invented": 1 })))
        .collect();
    assert!(cases.iter().all(|case| !judge.takes(case)));
    compare(cases);
}

#[test]
fn what_may_be_empty_is_what_traefik_takes_empty() {
    let mut cases = Vec::new();
    let judge = Judge::new();
    for field in fields(&judge) {
        let schema = judge.follow(&field.schema);
        let is_list = schema.get("items").is_some();
        let options = schema.get("anyOf").is_some();
        let values = match (is_list, options, field.kind()) {
            (_, _, "strings") => vec![json!([]), json!("x"), json!("x, y"), json!([{ "x": 1 }])],
            (true, ..) => vec![json!([]), json!([{}])],
            (_, true, _) => vec![json!({}), json!(true), json!(false), json!("True")],
            _ if schema.get("type") == Some(&json!("object")) => vec![json!({}), json!("x")],
            _ => continue,
        };
        cases.extend(values.into_iter().map(|value| field.document(value)));
    }
    for map in [
        "http.routers",
        "http.services",
        "tcp.routers",
        "udp.services",
        "tls.options",
    ] {
        let way: Vec<String> = map.split('.').map(str::to_owned).collect();
        cases.push(document(&way, json!({ "x": {} })));
    }
    compare(cases);
}

#[test]
fn every_number_duration_and_bool_is_one_to_traefik_too() {
    let mut cases = Vec::new();
    for field in fields(&Judge::new()) {
        if matches!(field.kind(), "int" | "duration" | "bool") {
            for value in [json!("x"), json!("10s"), json!(true), json!(12)] {
                cases.push(field.document(value));
            }
        }
    }
    assert!(cases.len() > 500, "{} cases are few", cases.len());
    compare(cases);
}

#[test]
fn a_scalar_may_be_written_as_traefik_takes_it() {
    let router = |field: &str, value: &Value| entry("routers", json!({ field: value }));
    let of_each_kind = |value: &Value| {
        [
            router("rule", value),
            router("entryPoints", &json!([value])),
            router("priority", value),
            router("observability", &json!({ "metrics": value })),
            entry("middlewares", json!({ "retry": { "timeout": value } })),
            entry(
                "middlewares",
                json!({ "errors": { "statusRewrites": { "404": value } } }),
            ),
            plugin(value),
        ]
    };
    let numbers = [0, 1, -1, 12, 999_999_999_999_999_999_i64].map(Value::from);
    let others = [json!(true), json!(false), json!(u64::MAX), json!(1e30)];
    let texts = [
        "",
        "0",
        "1",
        "+1",
        "-1",
        "007",
        "1_000",
        " 1",
        "1.0",
        "0x1",
        "99999999999999999999",
        "10s",
        "1h30m",
        "1.5s",
        ".5s",
        "1.s",
        ".s",
        "-3us",
        "3µs",
        "3μs",
        "5ns",
        "2ms",
        "10 s",
        "10S",
        "1d",
        "+1s",
        "--1s",
        "s",
        "-",
        "10s5",
        "true",
        "True",
        "TRUE",
        "tRUE",
        "t",
        "T",
        "F",
        "f",
        "False",
        "yes",
        "on",
        "x",
        "é",
    ];
    let texts = texts.map(Value::from);
    let scalars = numbers.iter().chain(&others).chain(&texts);
    compare(scalars.flat_map(of_each_kind));
}

#[test]
fn what_is_no_scalar_is_none_to_traefik_too() {
    let mut cases = Vec::new();
    let fraction = json!(1.5);
    for value in [
        fraction,
        json!([]),
        json!({}),
        json!([1]),
        json!({ "x": 1 }),
    ] {
        cases.extend([
            entry("routers", json!({ "priority": value })),
            entry("routers", json!({ "observability": { "metrics": value } })),
            entry("middlewares", json!({ "retry": { "timeout": value } })),
            entry(
                "middlewares",
                json!({ "errors": { "statusRewrites": { "404": value } } }),
            ),
        ]);
    }
    cases.push(entry("routers", json!({ "rule": { "x": 1 } })));
    cases.push(entry("routers", json!({ "entryPoints": [null] })));
    compare(cases);
}

#[test]
fn a_plugin_may_have_any_fields_but_not_any_lists() {
    let lists = json!([
        [], [1.5, 2], [1, "x"], [true, false], [true, 1], [[]], [["x"]], [null],
        [{}, { "x": [1] }], [{ "x": [true, 1] }], { "x": { "y": {} } }, {}, 1.5
    ]);
    compare(lists.as_array().unwrap().iter().map(plugin));
}

/// Traefik takes these documents, but not as they are written: they are refused, so that the user is told.
#[test]
fn what_traefik_would_ignore_or_mangle_is_refused() {
    let router = |value: Value| entry("routers", value);
    let balancer = |value: Value| entry("services", json!({ "loadBalancer": value }));
    let cases = [
        ("unknown at the top", json!({ "invented": 1 })),
        ("a null", router(json!({ "rule": null, "service": "x" }))),
        ("a null part", json!({ "http": null })),
        (
            "the spelling of a name",
            router(json!({ "entrypoints": ["web"] })),
        ),
        ("a fraction as a string", router(json!({ "rule": 1.5 }))),
        ("a list as a string", router(json!({ "rule": ["x"] }))),
        ("nothing as a string", router(json!({ "rule": {} }))),
        (
            "a map as strings",
            router(json!({ "entryPoints": { "web": 1 } })),
        ),
        (
            "an object among strings",
            router(json!({ "entryPoints": [{}] })),
        ),
        ("a number as an object", router(json!({ "tls": 1 }))),
        ("a word as a switch", router(json!({ "tls": "yes" }))),
        ("a string as a router", router(json!("x"))),
        ("a string as servers", balancer(json!({ "servers": "x" }))),
        (
            "strings as servers",
            balancer(json!({ "servers": ["http://x"] })),
        ),
        (
            "a map as servers",
            balancer(json!({ "servers": { "x": { "url": "http://x" } } })),
        ),
        (
            "a list as a map",
            json!({ "http": { "routers": [{ "rule": "x" }] } }),
        ),
        (
            "Kubernetes's fields",
            balancer(json!({ "servers": [{ "fenced": true }] })),
        ),
        (
            "the port of a TCP server",
            json!({ "tcp": { "services": {
            "x": { "loadBalancer": { "servers": [{ "port": "1" }] } } } } }),
        ),
        ("models", entry("models", json!({ "middlewares": ["x"] }))),
        ("booleans among strings", plugin(&json!([true, "x"]))),
    ];
    let judge = Judge::new();
    let mut decoder = Decoder::start();
    for (what, case) in cases {
        assert!(!judge.takes(&case), "{what} should be refused");
        if let Err(reason) = decoder.decode(&case) {
            panic!("Traefik refuses {what} too: {reason}");
        }
    }
}
