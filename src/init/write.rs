//! Writing: the draft as the text of a bluegreen.yml, with a comment for what is not known.

use serde_json::{Value, json};

use super::draft::{Draft, Said, Service};
use super::yaml;
use crate::printable::Printable;

/// What a comment begins with that is for somebody to look at.
pub(super) const UNKNOWN: &str = "not found in the files";

/// The text of a bluegreen.yml.
pub(super) fn write(draft: &Draft, files: &str) -> String {
    let mut lines = vec![
        format!("# Written by `bluegreen init` from {}.", one_line(files)),
        "# What those do not say is a comment, or has one beside it: look for \"not found in the files\".".to_owned(),
        "stacks:".to_owned(),
        commented(&format!("  {}:", yaml::text(&draft.stack.value)), draft.stack.comment.as_deref()),
        commented("    key: active", Some("redis-cli SET active COLOR moves all services at once")),
        commented(
            &format!("    colors: {}", yaml::flow(&json!(names(draft)))),
            draft.first.as_deref().or(Some("the first has the traffic while the key has never been set")),
        ),
    ];
    if draft.entry_points.is_empty() && draft.on().all(|service| service.entry_points.is_empty()) {
        unknown(
            &mut lines,
            "    # entryPoints: [web]",
            "without it, Traefik's default ones",
        );
    } else if !draft.entry_points.is_empty() {
        lines.push(format!(
            "    entryPoints: {}",
            yaml::flow(&json!(draft.entry_points))
        ));
    }
    match &draft.production {
        Some(Said { value, comment }) => {
            lines.push(commented(
                &format!("    production: {}", yaml::text(value)),
                comment.as_deref(),
            ));
        }
        None => unknown(
            &mut lines,
            "    # production: http://127.0.0.1:80",
            "where does this host reach Traefik's entrypoint?",
        ),
    }
    containers(draft, &mut lines);
    lines.extend([
        commented(
            "    # checks: [{ name: TITLE, steps: [{ service: NAME, path: /, expect: { contains: TEXT } }] }]",
            Some("what a color must do before it gets traffic"),
        ),
        commented(
            "    # up: docker compose -f compose.{color}.yml up -d --build",
            Some("how `deploy` brings a color up; `upTimeout: 15m`: how long that may take"),
        ),
    ]);
    lines.push("    services:".to_owned());
    for sentence in &draft.servers {
        lines.push(format!("      # {sentence}"));
    }
    for (at, service) in draft.services.iter().enumerate() {
        if at > 0 {
            lines.push(String::new());
        }
        self::service(service, draft, &mut lines);
    }
    if !draft.traefik.is_empty() {
        lines.extend([
            String::new(),
            "# Goes into the served document as it is.".to_owned(),
            "traefik:".to_owned(),
        ]);
        yaml::block(&draft.traefik, 2, &mut lines);
    }
    lines.push(String::new());
    match &draft.certificate {
        Some(file) => lines.push(format!(
            "# defaultCertificate: generated   # {file} has a default certificate, which is copied above"
        )),
        None => lines.extend([
            "# Without a default certificate Traefik makes an RSA key at every change, and a flip waits some 80 ms for it.".to_owned(),
            "defaultCertificate: generated".to_owned(),
        ]),
    }
    lines.extend([
        String::new(),
        "# The document names its own revision in a router; Traefik's own entrypoint is asked for it, so that `flip` knows".to_owned(),
        "# not only that Traefik has fetched the document, but that it routes by it.".to_owned(),
    ]);
    match &draft.marker {
        Some((entry_point, port)) => {
            lines.push(format!(
                "marker: {}",
                yaml::flow(&json!({ "entryPoint": entry_point, "port": port }))
            ));
        }
        None => unknown(
            &mut lines,
            "# marker: { entryPoint: traefik, port: 8080 }",
            "has Traefik such an entrypoint?",
        ),
    }
    lines.join("\n") + "\n"
}

fn names(draft: &Draft) -> Vec<&str> {
    draft.colors.iter().map(|color| color.as_str()).collect()
}

fn containers(draft: &Draft, lines: &mut Vec<String>) {
    let known = &draft.containers;
    let unsure = draft.containers_unsure.as_deref();
    if unsure.is_none() && draft.colors.iter().all(|color| known.contains_key(color)) {
        lines.push(format!(
            "    containers: {}",
            yaml::flow(&json!(by_color(draft)))
        ));
        return;
    }
    let proposal = format!("    # containers: {}", yaml::flow(&json!(by_color(draft))));
    unknown(
        lines,
        &proposal,
        unsure.unwrap_or("each color's compose project"),
    );
}

/// The compose project of each color; where it is not known, one that would be usual.
fn by_color(draft: &Draft) -> serde_json::Map<String, Value> {
    let project = |color: &crate::color::Color| {
        let known = draft.containers.get(color).cloned();
        known.unwrap_or_else(|| draft.project(color))
    };
    let colors = draft.colors.iter();
    colors
        .map(|color| (color.to_string(), project(color).into()))
        .collect()
}

fn service(service: &Service, draft: &Draft, out: &mut Vec<String>) {
    let Service {
        name,
        off,
        rule,
        servers,
        health,
        entry_points,
        router,
        load_balancer,
    } = service;
    let mut lines = vec![
        format!("{}:", yaml::text(name)),
        commented(
            &format!("  rule: {}", yaml::text(&rule.value)),
            rule.comment.as_deref(),
        ),
        "  servers:".to_owned(),
    ];
    for color in &draft.colors {
        match servers.get(color).map(Vec::as_slice) {
            Some([one]) => {
                lines.push(commented(
                    &format!("    {color}: {}", yaml::text(&one.value)),
                    one.comment.as_deref(),
                ));
            }
            Some(many) if !many.is_empty() => {
                lines.push(format!("    {color}:"));
                for one in many {
                    lines.push(commented(
                        &format!("      - {}", yaml::text(&one.value)),
                        one.comment.as_deref(),
                    ));
                }
            }
            _ => lines.push(commented(
                &format!("    {color}: http://127.0.0.1:80"),
                Some("where is it?"),
            )),
        }
    }
    match health {
        Some(health) => {
            lines.push(commented(
                &format!("  health: {}", yaml::text(&health.value)),
                health.comment.as_deref(),
            ));
        }
        None => unknown(
            &mut lines,
            "  # health: /health",
            "which path answers 200 when a server is well?",
        ),
    }
    let mut router = router.clone();
    if !entry_points.is_empty() {
        router.insert("entryPoints".to_owned(), json!(entry_points));
    }
    for (key, fields) in [("router", &router), ("loadBalancer", load_balancer)] {
        if !fields.is_empty() {
            yaml::entry(key, &Value::Object(fields.clone()), 2, &mut lines);
        }
    }
    match off {
        None => out.extend(lines.iter().map(|line| format!("      {line}"))),
        Some(reason) => {
            out.push(format!(
                "      # {name} is not switched: {}.",
                one_line(reason)
            ));
            // Nobody has to look at what is not switched.
            let unknown = format!("{UNKNOWN}: ");
            out.extend(
                lines
                    .iter()
                    .map(|line| format!("      # {}", line.replace(&unknown, ""))),
            );
        }
    }
}

fn commented(line: &str, comment: Option<&str>) -> String {
    match comment {
        Some(comment) => format!("{line}   # {}", one_line(comment)),
        None => line.to_owned(),
    }
}

fn unknown(lines: &mut Vec<String>, line: &str, question: &str) {
    lines.push(commented(line, Some(&format!("{UNKNOWN}: {question}"))));
}

/// A comment must not go on in a line of its own: that would be read.
fn one_line(text: &str) -> String {
    Printable(text).to_string()
}
