//! Mistakes in smoke tests: each by itself, where it is told, by which key, and with which hint.

use super::{SMALL, lines, parse};

/// A check, in flow style, and what the only line about it holds, and which hint.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &str)] = &[
    ("{ name: x }", "checks[0] | the check does nothing", "give it `steps`"),
    ("{ steps: [{ service: a, path: / }] }", "checks[0].name | the key `name` is missing", "What it is called"),
    ("{ name: ' ', command: x }", "checks[0].name | this can't be the name of a check", "few words"),
    ("{ name: x, command: y }, { name: x, command: z }", "checks[1].name | another check is named `x` too", "of its own"),
    ("{ name: x, command: y, steps: [{ service: a, path: / }] }", "checks[0].command | a check has steps or a command, not both", "give it"),
    ("{ name: x, command: y, cleanup: [{ service: a, path: / }] }", "checks[0].cleanup | a command has no steps to clean up after", "itself"),
    ("{ name: x, command: '' }", "checks[0].command | the command is empty", "program"),
    ("{ name: x, command: [''] }", "checks[0].command[0] | the command is empty", "program"),
    ("{ name: x, command: y, on: [production] }", "checks[0].on | the stack does not say where production is", "production: http://127.0.0.1:80"),
    ("{ name: x, command: y, on: [prod] }", "checks[0].on[0] | expected `color` or `production`, found `prod`", ""),
    ("{ name: x, command: y, timeout: 0 }", "checks[0].timeout | this is no time limit", "10s"),
    ("{ name: x, command: y, timeout: 1e19 }", "checks[0].timeout | this is no time limit: a duration can't be longer than a year", "10s"),
    ("{ name: x, command: y, timeout: soon }", "checks[0].timeout | this is no time limit", "10s"),
    ("{ name: x, comand: y }", "checks[0].comand | unknown key `comand`", "did you mean `command`?"),
    ("{ name: x, steps: [{ service: aa, path: / }] }", "steps[0].service | the stack has no service `aa`", "did you mean `a`?"),
    ("{ name: x, steps: [{ service: a, path: health }] }", "steps[0].path | the path does not begin with `/`", "write a path"),
    ("{ name: x, steps: [{ service: a, path: /, method: post }] }", "steps[0].method | `post` is not a method", "`POST`"),
    ("{ name: x, steps: [{ service: a, path: /, json: 1, text: b }] }", "steps[0].text | a request has one body", "keep `json` or `text`"),
    ("{ name: x, steps: [{ service: a, path: /, headers: { 'a b': c } }] }", "steps[0].headers.\"a b\" | `a b` can't be the name of a header", "Content-Type"),
    ("{ name: x, steps: [{ service: a, path: '/{colour}' }] }", "steps[0].path | there is no value `colour`", "did you mean `{color}`?"),
    ("{ name: x, steps: [{ service: a, path: '/{id}' }] }", "steps[0].path | there is no value `id`", "`save` in an earlier step"),
    ("{ name: x, steps: [{ service: a, path: /, json: { b: ['{id}'] }, save: { id: $ } }] }", "steps[0].json.b[0] | there is no value `id`", "`save`"),
    ("{ name: x, steps: [{ service: a, path: /, expect: { status: 99 } }] }", "steps[0].expect.status | expected", ""),
    ("{ name: x, steps: [{ service: a, path: /, expect: {} }] }", "steps[0].expect | at least one key is needed here", "remove"),
    ("{ name: x, steps: [{ service: a, path: /, expect: { json: { id: 1 } } }] }", "steps[0].expect.json.id | this is not a JSONPath", "RFC 9535"),
    ("{ name: x, steps: [{ service: a, path: /, save: { id: id } }] }", "steps[0].save.id | this is not a JSONPath", "header:NAME"),
    ("{ name: x, steps: [{ service: a, path: /, save: { id: 'header:a b' } }] }", "steps[0].save.id | this is not the name of a header", "header:NAME"),
    ("{ name: x, steps: [{ service: a, path: /, save: { '1': $ } }] }", "steps[0].save.1 | `1` can't be the name of a value", "letter"),
    ("{ name: x, steps: [{ service: a, path: /, save: { run: $ } }] }", "steps[0].save.run | `run` is a value that every check has already", "another name"),
];

#[test]
fn each_mistake_in_a_check_is_told_once_with_its_place_and_a_hint() {
    for (checks, told, hint) in MISTAKES {
        let text = SMALL.replace(
            "    services:",
            &format!("    checks: [{checks}]\n    services:"),
        );
        let report = parse(&text).unwrap_err();
        let all = lines(&report);
        assert_eq!(all.len(), 1, "{checks}: {all:#?}");
        assert!(
            all[0].contains(&format!("stacks.s.{told}").replace("s.steps", "s.checks[0].steps")),
            "{checks}: {all:#?}"
        );
        assert!(all[0].contains(hint), "{checks}: {all:#?}");
    }
}

#[test]
fn what_a_step_saves_is_known_to_the_next_and_to_the_cleanup() {
    let check = "{ name: x, steps: [{ service: a, path: /, save: { id: $.id } }, { service: a, path: '/{id}' }],
      cleanup: [{ service: a, path: '/{id}/{run}/{stack}' }] }";
    let text = SMALL.replace(
        "    services:",
        &format!("    checks: [{check}]\n    services:"),
    );
    let config = parse(&text).unwrap().config;
    assert_eq!(config.stacks["s"].checks[0].cleanup.len(), 1);
}
