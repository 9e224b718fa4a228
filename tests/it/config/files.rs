//! Files: one, or a folder of them, and what can't be read.

use super::{SMALL, env, lines};
use bluegreen::config::{self, Loaded, Report, Severity};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A folder with these files in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file in it");
    }
    folder
}

fn load(path: &Path) -> Result<Loaded, Report> {
    config::load(path, &env)
}

/// The only mistake that loading a path tells.
fn only(path: &Path) -> (String, Report) {
    let report = load(path).expect_err("a mistake");
    let lines = lines(&report);
    assert_eq!(lines.len(), 1, "{report}");
    (lines[0].clone(), report)
}

const STACK: &str = "{ key: KEY, services: { a: { rule: Host(`a`), servers: { blue: http://a, green: http://b } } } }";

#[test]
fn a_folder_is_read_file_by_file_in_the_order_of_names() {
    let two = STACK.replace("KEY", "two");
    let folder = folder(&[
        (
            "b.yml",
            &format!(
                "stacks: {{ two: {two} }}\ntraefik: {{ http: {{ middlewares: {{ y: {{ compress: {{}} }} }} }} }}\nx-b: 1"
            ),
        ),
        (
            "a.yml",
            &format!(
                "{SMALL}traefik: {{ http: {{ middlewares: {{ x: {{ chain: {{ middlewares: [y] }} }} }} }} }}\nx-b: 2"
            ),
        ),
        ("c.yml", "marker: { entryPoint: t, port: 1 }"),
        (".hidden.yml", "nonsense"),
        ("README.md", "nonsense"),
    ]);
    fs::create_dir(folder.path().join("d.yml")).unwrap();
    let Loaded { config, warnings } = load(folder.path()).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(config.stacks.keys().collect::<Vec<_>>(), ["s", "two"]);
    assert!(config.marker.is_some());
    assert_eq!(
        config.files,
        ["a.yml", "b.yml", "c.yml"].map(|f| folder.path().join(f))
    );
    assert_eq!(
        Value::from(config.traefik),
        json!({ "http": { "middlewares": {
            "x": { "chain": { "middlewares": ["y"] } },
            "y": { "compress": {} },
        } } })
    );
}

#[test]
fn files_that_contradict_each_other_are_told_with_both_places() {
    for (first, second, start) in [
        (
            SMALL,
            "stacks:\n  s: {}",
            "2:3 stacks.s | `s` is in another file already",
        ),
        (
            "marker: { entryPoint: t, port: 1 }",
            "\nmarker: { entryPoint: t, port: 1 }",
            "2:1 marker |",
        ),
        (
            "defaultCertificate: generated",
            "defaultCertificate: generated",
            "1:1 defaultCertificate |",
        ),
        (
            "traefik: { tls: { options: { a: { minVersion: VersionTLS12 } } } }",
            "traefik: { tls: { options: { a: { minVersion: VersionTLS13 } } } }",
            "1:35 traefik.tls.options.a.minVersion |",
        ),
        (
            "traefik: { http: { middlewares: { a: { compress: {} } } } }",
            "traefik: { http: { middlewares: 5 } }",
            "1:20 traefik.http.middlewares |",
        ),
    ] {
        let good = STACK.replace("KEY", "other");
        let folder = folder(&[
            ("0.yml", &format!("stacks: {{ good: {good} }}")),
            ("1.yml", first),
            ("2.yml", second),
        ]);
        let (line, report) = only(folder.path());
        assert!(line.starts_with(start), "{start}\n{line}");
        let mistake = &report.mistakes()[0];
        assert_eq!(mistake.place.file, folder.path().join("2.yml"));
        assert_eq!(
            mistake.other.as_ref().unwrap().file,
            folder.path().join("1.yml")
        );
    }
    let folder = folder(&[
        (
            "1.yml",
            &format!("stacks: {{ one: {} }}", STACK.replace("KEY", "k")),
        ),
        (
            "2.yml",
            &format!("stacks: {{ two: {} }}", STACK.replace("KEY", "k")),
        ),
    ]);
    let (line, report) = only(folder.path());
    assert!(
        line.contains("stacks.two.key | the key `k` is that of another stack"),
        "{line}"
    );
    let other = report.mistakes()[0].other.as_ref().unwrap();
    assert_eq!(other.file, folder.path().join("1.yml"));
}

#[test]
fn a_broken_file_does_not_hide_the_mistakes_of_the_others() {
    let folder = folder(&[
        ("1.yml", "a: [\n"),
        (
            "2.yml",
            &SMALL.replace(
                "servers:",
                "router: { middlewares: [of-1], prio: 5 }\n        servers:",
            ),
        ),
        ("3.yml", "stacks: { t: { key: t, services: {} } }"),
        ("4.yml", ""),
    ]);
    let report = load(folder.path()).unwrap_err();
    let lines = lines(&report);
    let starts = [
        "1:4  | this is not YAML: unclosed bracket",
        "6:40 stacks.s.services.a.router.prio |",
        "1:24 stacks.t.services |",
        "1:1  | the file is empty",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{start}\n{lines:#?}");
    }
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let folder = folder(&[
        ("latin.yml", ""),
        ("large.yml", &"#".repeat((4 << 20) + 1)),
        (
            "largest.yml",
            &format!("{SMALL}{}", "#".repeat((4 << 20) - SMALL.len())),
        ),
        ("mark.yml", &format!("\u{feff}{SMALL}typo: 1")),
    ]);
    fs::write(folder.path().join("latin.yml"), b"stacks:\n  caf\xe9: {}\n").unwrap();
    for (file, start) in [
        (
            "gone.yml",
            "0:0  | the config file does not exist | name it with `--config`",
        ),
        (
            "latin.yml",
            "0:0  | the config file is not UTF-8 text, first on line 2 | save it as UTF-8",
        ),
        ("large.yml", "0:0  | the config file is larger than 4 MiB |"),
        ("mark.yml", "9:1 typo | unknown key"),
    ] {
        let path = folder.path().join(file);
        let (line, report) = only(&path);
        assert!(line.starts_with(start), "{start}\n{line}");
        let rendered = report.render(false);
        assert!(rendered.contains(path.to_str().unwrap()), "{rendered}");
    }
    load(&folder.path().join("largest.yml")).unwrap();
}

#[test]
fn a_folder_without_config_says_so() {
    let empty = folder(&[]);
    assert!(only(empty.path()).0.contains("the folder has no `*.yml`"));
    let other = folder(&[("a.yaml", SMALL)]);
    let report = load(other.path()).unwrap_err();
    let severities: Vec<_> = report.mistakes().iter().map(|m| m.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Warning], "{report}");
    fs::write(other.path().join("b.yml"), SMALL).unwrap();
    let warnings = load(other.path()).unwrap().warnings;
    assert_eq!(warnings.mistakes().len(), 1, "{warnings}");
}
