//! `leaveOutDead`, of a stack and of a service.

use super::{bad, good, lines};

/// A stack with these keys, and a service with these and these servers in blue.
fn config(stack: &str, service: &str, blue: &str) -> String {
    format!(
        "\
stacks:
  s:
{stack}    services:
      a:
        rule: Host(`a`)
{service}        servers:
          blue: {blue}
          green: http://127.0.0.1:3
      b: {{ rule: Host(`b`), health: /, servers: {{ blue: ['http://127.0.0.1:4', 'http://127.0.0.1:5'], green: x@docker }} }}
"
    )
}

const TWO: &str = "['http://127.0.0.1:1', 'http://127.0.0.1:2']";

#[test]
fn a_service_says_for_itself_or_the_stack_for_all_for_which_it_is_possible() {
    let of = |stack: &str, service: &str, blue: &str| {
        let loaded = good(&config(stack, service, blue));
        let services = loaded.config.stacks["s"].services.clone();
        ["a", "b"].map(|name| services[name].leaves_out_dead)
    };
    let (yes, no) = ("    leaveOutDead: true\n", "    leaveOutDead: false\n");
    let health = "        health: /health\n";
    let own = |value: &str| format!("{health}        leaveOutDead: {value}\n");
    assert_eq!(of("", health, TWO), [false, false]);
    assert_eq!(of("", &own("true"), TWO), [true, false]);
    assert_eq!(of(no, &own("true"), TWO), [true, false]);
    assert_eq!(of(yes, health, TWO), [true, true]);
    assert_eq!(of(yes, &own("false"), TWO), [false, true]);
    // Where it is not possible a stack asks for nothing.
    assert_eq!(of(yes, "", TWO), [false, true]);
    assert_eq!(of(yes, health, "http://127.0.0.1:1"), [false, true]);
}

#[test]
fn what_can_never_leave_out_anybody_is_a_mistake() {
    let own = "        leaveOutDead: true\n";
    let asked = format!("        health: /health\n{own}");
    for (service, blue, expected) in [
        (
            own,
            TWO,
            "6:9 stacks.s.services.a.leaveOutDead | without a `health` path nobody knows which servers are dead",
        ),
        (
            &*asked,
            "http://127.0.0.1:1",
            "7:9 stacks.s.services.a.leaveOutDead | no color has several servers that can be asked",
        ),
        (
            &*asked,
            "x@docker",
            "7:9 stacks.s.services.a.leaveOutDead | no color has several servers that can be asked",
        ),
        (
            &*asked,
            "['h2c://a:1', 'h2c://a:2']",
            "7:9 stacks.s.services.a.leaveOutDead | no color has several",
        ),
    ] {
        let report = bad(&config("", service, blue));
        let lines = lines(&report);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].starts_with(expected), "{expected}\n{lines:#?}");
    }
    let nobody = config("    leaveOutDead: true\n", "", TWO).replace(", 'http://127.0.0.1:5'", "");
    let report = bad(&nobody);
    assert!(
        lines(&report)[0]
            .starts_with("3:5 stacks.s.leaveOutDead | there is no service with several servers"),
        "{:#?}",
        lines(&report)
    );
}
