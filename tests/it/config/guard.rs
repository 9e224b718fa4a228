//! The guard of a stack.

use std::time::Duration;

use super::{SMALL, bad, good, lines};

/// The small config with these keys in its stack, and with these in its service.
fn with(stack: &str, service: &str) -> String {
    let text = SMALL.replacen("    services:\n", &format!("{stack}    services:\n"), 1);
    text.replacen(
        "        servers:\n",
        &format!("{service}        servers:\n"),
        1,
    )
}

#[test]
fn a_guard_has_its_time() {
    let health = "        health: /health\n";
    let of = |stack: &str| good(&with(stack, health)).config.stacks["s"].guard.clone();
    assert_eq!(of(""), None);
    for (time, within) in [
        ("", Duration::from_secs(2)),
        ("    guardTimeout: 500ms\n", Duration::from_millis(500)),
        ("    guardTimeout: 3\n", Duration::from_secs(3)),
    ] {
        let guard = of(&format!("    guard: [health]\n{time}"));
        assert_eq!(guard.map(|guard| guard.within), Some(within), "{time}");
    }
}

#[test]
fn a_guard_by_figures_needs_an_analysis_and_no_health() {
    let stack =
        "    guard: [analysis]\n    analysis: { metrics: { port: 1 }, errors: { limit: 1% } }\n";
    let guard = good(&with(stack, "")).config.stacks["s"].guard.clone();
    let guard = guard.unwrap();
    assert_eq!((guard.health, guard.analysis), (false, true));
}

#[test]
fn a_guard_that_can_do_nothing_is_a_mistake() {
    let health = "        health: /health\n";
    for (stack, service, expected) in [
        (
            "    guard: [health]\n",
            "",
            "3:5 stacks.s.guard | there is no server that can be asked for its health",
        ),
        (
            "    guardTimeout: 1s\n",
            health,
            "3:5 stacks.s.guardTimeout | there is no guard: this has no effect",
        ),
        (
            "    guard: []\n",
            health,
            "3:5 stacks.s.guard | this needs at least 1",
        ),
        (
            "    guard: [health, health]\n",
            health,
            "3:21 stacks.s.guard[1] | this is named twice",
        ),
        (
            "    guard: [health, analysis]\n",
            health,
            "3:21 stacks.s.guard[1] | the stack has no `analysis`",
        ),
        (
            "    guard: [analysis]\n    guardTimeout: 1s\n    analysis: { metrics: { port: 1 }, errors: { limit: 1% } }\n",
            health,
            "4:5 stacks.s.guardTimeout | no server is asked for its health",
        ),
        ("    guard: [helth]\n", health, "3:13 stacks.s.guard[0] | "),
        (
            "    guard: [health]\n    guardTimeout: 0s\n",
            health,
            "4:19 stacks.s.guardTimeout | this is no time limit",
        ),
    ] {
        let report = bad(&with(stack, service));
        let lines = lines(&report);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].starts_with(expected), "{expected}\n{lines:#?}");
    }
    let elsewhere = with("    guard: [health]\n", health)
        .replace("http://127.0.0.1:1", "a-blue@docker")
        .replace("http://127.0.0.1:2", "h2c://127.0.0.1:2");
    assert!(lines(&bad(&elsewhere))[0].contains("no server that can be asked"));
}
