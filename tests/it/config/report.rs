//! The report, for people and as JSON.

use super::{SMALL, bad, lines};
use serde_json::json;

#[test]
fn a_report_reads_like_a_compiler() {
    let report = bad(&SMALL.replace("        servers:", "        rule: x\n        servers:"));
    assert_eq!(
        report.render(false),
        "\
error: the key `rule` is given twice
 --> bluegreen.yml:6:9
  |
6 |         rule: x
  |         ^^^^
  |
  = key: stacks.s.services.a.rule
  = help: keep one of the two
note: the other place
 --> bluegreen.yml:5:9
  |
5 |         rule: Host(`a`)
  |         ^^^^"
    );
    assert!(report.render(true).contains("\u{1b}["));
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        json!([{
            "severity": "error",
            "file": "bluegreen.yml",
            "line": 6,
            "column": 9,
            "key": "stacks.s.services.a.rule",
            "message": "the key `rule` is given twice",
            "hint": "keep one of the two",
            "other": { "file": "bluegreen.yml", "line": 5, "column": 9 },
        }])
    );
}

#[test]
fn columns_count_characters_and_long_lines_are_cut() {
    let wide = SMALL.replace("Host(`a`)", "'Host(\"é\u{1f600}\") x'");
    let lines = lines(&bad(&wide));
    assert!(lines[0].starts_with("5:27 "), "{lines:#?}");
    let long = format!("{SMALL}x: {{ {}, y: 'hunter2' }}\n", "z: 1".repeat(2000));
    let rendered = bad(&long).render(false);
    assert!(rendered.len() < 2000, "{rendered}");
}
