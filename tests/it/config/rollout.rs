//! Hooks and gates: what is taken, and each mistake by itself, where it is told, by which key, and with which hint.

use std::time::Duration;

use bluegreen::check::Body;
use bluegreen::hook::{Action, Hook, Stage};
use serde_json::json;

use super::{SMALL, bad, good, lines};

fn with(keys: &str) -> String {
    SMALL.replace("    services:", &format!("    {keys}\n    services:"))
}

/// Keys of a stack, in flow style, and what the only line about them holds, and which hint.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &str)] = &[
    ("hooks: {}", "3:5 stacks.s.hooks | at least one key is needed here", "remove"),
    ("hooks: { befor: { command: x } }", "3:14 stacks.s.hooks.befor | unknown key `befor`", "did you mean `before`?"),
    ("hooks: { before: x }", "3:22 stacks.s.hooks.before | expected a hook", ""),
    ("hooks: { before: [] }", "3:14 stacks.s.hooks.before | this needs at least 1, and has 0", "add"),
    ("hooks: { before: {} }", "3:14 stacks.s.hooks.before | the hook does nothing", "give it a `command`"),
    ("hooks: { before: [{ command: x }, { timeout: 1s }] }", "3:39 stacks.s.hooks.before[1] | the hook does nothing", "give it a `command`"),
    ("hooks: { before: { comand: x } }", "3:24 stacks.s.hooks.before.comand | unknown key `comand`", "did you mean `command`?"),
    ("hooks: { before: { command: '' } }", "3:33 stacks.s.hooks.before.command | the command is empty", "program"),
    ("hooks: { before: { command: x, timeout: 0 } }", "3:45 stacks.s.hooks.before.timeout | this is no time limit", "10s"),
    ("hooks: { after: { command: x, http: { url: 'http://a' } } }", "3:35 stacks.s.hooks.after.http | a hook is a command or a request, not both", "two hooks"),
    ("hooks: { after: { http: { method: PUT } } }", "3:23 stacks.s.hooks.after.http.url | the key `url` is missing", "The URL"),
    ("hooks: { after: { http: { url: a } } }", "3:36 stacks.s.hooks.after.http.url | `a` is a URL without a scheme", "http://"),
    ("hooks: { after: { http: { url: 'http://me:pw@a/' } } }", "3:36 stacks.s.hooks.after.http.url | `http://*****@a/` is a URL with a user or password", "Authorization"),
    ("hooks: { after: { http: { url: 'http://a/{colour}' } } }", "3:46 stacks.s.hooks.after.http.url | there is no value `colour`", "did you mean `{color}`?"),
    ("hooks: { after: { http: { url: 'http://a/{id}' } } }", "3:46 stacks.s.hooks.after.http.url | there is no value `id`", "known here are `by`, `color`, `from`, `rollout`, `stack`, `stage`, `to`, `why`"),
    ("hooks: { after: { http: { url: 'http://a', method: post } } }", "3:56 stacks.s.hooks.after.http.method | `post` is not a method", "`POST`"),
    ("hooks: { after: { http: { url: 'http://a', json: 1, text: b } } }", "3:57 stacks.s.hooks.after.http.text | a request has one body", "keep `json` or `text`"),
    ("hooks: { after: { http: { url: 'http://a', headers: { 'a b': c } } } }", "3:59 stacks.s.hooks.after.http.headers.\"a b\" | `a b` can't be the name of a header", "Content-Type"),
    ("hooks: { after: { http: { url: 'http://a', expect: 200 } } }", "3:56 stacks.s.hooks.after.http.expect | expected a mapping, found the number `200`", ""),
    ("gates: {}", "3:5 stacks.s.gates | at least one key is needed here", "remove"),
    ("gates: { approve: yes }", "3:23 stacks.s.gates.approve | expected `true` or `false`, found `yes`", "YAML 1.2"),
    ("gates: { freeze: [{ from: 0 17 * * FRI, to: 0 8 * * MON }] }", "3:23 stacks.s.gates.freeze[0].timeZone | the key `timeZone` is missing", "Where the clocks are"),
    ("gates: { freeze: [{ from: 0 17 * * FRI, to: 0 8 * * MON, timeZone: Europe/Berln }] }", "3:72 stacks.s.gates.freeze[0].timeZone | there is no time zone `Europe/Berln`", "did you mean `Europe/Berlin`?"),
    ("gates: { freeze: [{ from: 0 17 * * FRI, to: 0 8 * * MON, timeZone: tokyo }] }", "3:72 stacks.s.gates.freeze[0].timeZone | there is no time zone `tokyo`", "did you mean `Asia/Tokyo`?"),
    ("gates: { freeze: [{ from: 0 17 * * FRI, to: 0 8 * * MON, timeZone: ours }] }", "3:72 stacks.s.gates.freeze[0].timeZone | there is no time zone `ours`", "`Europe/Berlin` or `UTC`"),
    ("gates: { freeze: [{ from: 0 17 * * FRY, to: 0 8 * * MON, timeZone: UTC }] }", "3:40 stacks.s.gates.freeze[0].from | this can't be the day of week of a cron expression", "0 to 7, or SUN to SAT"),
    ("gates: { freeze: [{ from: 0 17 * * FRI, to: 0 25 * * MON, timeZone: UTC }] }", "3:51 stacks.s.gates.freeze[0].to | this can't be the hour of a cron expression", "0 to 23"),
    ("gates: { freeze: [{ from: 17:00 FRI, to: 0 8 * * MON, timeZone: UTC }] }", "3:31 stacks.s.gates.freeze[0].from | a cron expression has five fields, and this has 2", "on Fridays at 17:00"),
    ("gates: { freeze: [{ from: 0 17 * * FRI Europe/Berlin, to: 0 8 * * MON, timeZone: UTC }] }", "3:31 stacks.s.gates.freeze[0].from | a cron expression has five fields, and this has 6", "`timeZone`"),
    ("gates: { freeze: [{ from: 0 17 * * FRI, to: 0 8 31 6 *, timeZone: UTC }] }", "3:49 stacks.s.gates.freeze[0].to | no day is ever like this", "choose a day"),
];

#[test]
fn each_mistake_is_told_once_with_its_place_and_a_hint() {
    for (keys, told, hint) in MISTAKES {
        let all = lines(&bad(&with(keys)));
        assert_eq!(all.len(), 1, "{keys}: {all:#?}");
        assert!(all[0].starts_with(told), "{keys}: {all:#?}");
        assert!(all[0].contains(hint), "{keys}: {all:#?}");
    }
}

#[test]
fn a_stage_has_one_hook_or_several() {
    let config = good(&with(
        "hooks: { before: { command: './migrate.sh {color}', timeout: 2m }, after: [{ command: [ls, -l] }, { http: { url: 'http://a/{why}' } }] }",
    ));
    let hooks = &config.config.stacks["s"].hooks;
    assert_eq!(hooks.of(Stage::Before), hooks.before);
    let times = |hooks: &[Hook]| hooks.iter().map(|hook| hook.timeout).collect::<Vec<_>>();
    assert_eq!(times(&hooks.before), [Duration::from_secs(120)]);
    assert_eq!(times(&hooks.after), [Duration::from_secs(60); 2]);
    assert!(hooks.back.is_empty() && hooks.stop.is_empty());
}

/// The body of the request of a hook.
fn body(call: &str) -> Body {
    let loaded = good(&with(&format!(
        "hooks: {{ after: {{ http: {{ url: 'http://a', {call} }} }} }}"
    )));
    match &loaded.config.stacks["s"].hooks.after[0].action {
        Action::Call(call) => call.body.clone(),
        Action::Command(command) => panic!("{command}"),
    }
}

#[test]
fn a_request_without_a_body_of_its_own_says_what_the_rollout_is() {
    let all = json!({
        "stage": "{stage}", "stack": "{stack}", "color": "{color}", "from": "{from}", "to": "{to}",
        "rollout": "{rollout}", "by": "{by}", "why": "{why}",
    });
    for method in ["POST", "PUT", "PATCH"] {
        assert_eq!(body(&format!("method: {method}")), Body::Json(all.clone()));
    }
    for method in ["GET", "HEAD", "DELETE"] {
        assert_eq!(body(&format!("method: {method}")), Body::None);
    }
    assert_eq!(body("json: null"), Body::Json(json!(null)));
    assert_eq!(body("text: ''"), Body::Text(String::new()));
}

#[test]
fn gates_are_open_unless_the_config_says_otherwise() {
    let gates = good(SMALL).config.stacks["s"].gates.clone();
    assert!(!gates.approve && gates.freeze.is_empty());
    let gates = good(&with(
        "gates: { approve: true, freeze: [{ from: '0 17 * * 5', to: 0 8 * * mon, timeZone: europe/berlin, why: weekend }] }",
    ));
    let gates = gates.config.stacks["s"].gates.clone();
    assert!(gates.approve);
    assert_eq!(gates.freeze[0].zone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(gates.freeze[0].why, "weekend");
}
