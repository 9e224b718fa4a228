//! The tokens file of `serve`: who may read and who may change what, each with the hash of a token.
//!
//! It is read as strictly as the config, and what is wrong with it is told in the same way; but no more of it is shown
//! than names, stacks and rights, because somebody may have put a token itself into it.

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::findings::{Findings, Source, Span};
use super::node::{Content, Entry, Node};
use super::path::Path as KeyPath;
use super::report::{Mistake, Place, Report};
use super::shape::{self, Shape};
use super::{schema, tree};
use crate::printable::is_printable;
use crate::token::{Hash, InvalidHash, Rights, Token};

/// The keys whose values may be shown.
const SHOWN: [&str; 3] = ["name", "stacks", "rights"];

/// A longer word of what is told may be a token, in bytes.
const LONGEST_WORD: usize = 19;

/// The longest name of a token, in characters.
const LONGEST_NAME: usize = 64;

/// How a hash is made.
const HOW: &str = "write `sha256:` and what `printf %s TOKEN | sha256sum` prints, never the token itself; \
    `openssl rand -hex 32` makes a token";

/// One entry of the file.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Token", extend("required" = ["name", "hash", "rights"]))]
struct RawToken {
    /// Whose token it is, as the history calls them.
    #[serde(default)]
    name: String,
    /// The hash of the token: `sha256:` and what `printf %s TOKEN | sha256sum` prints.
    #[serde(default)]
    hash: String,
    /// The stacks that it may change; without it, all of them.
    #[schemars(length(min = 1))]
    stacks: Option<Vec<String>>,
    /// `read` or `flip`, which includes it.
    rights: Option<RawRights>,
}

/// What a token is good for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Rights")]
enum RawRights {
    Read,
    Flip,
}

/// Reads the tokens file from its text.
///
/// # Errors
///
/// Every mistake that was found.
pub fn tokens(path: &Path, text: String) -> Result<Vec<Token>, Report> {
    let sources = [Source {
        path: path.to_owned(),
        text,
    }];
    let mut findings = Findings::default();
    let read = tree::read(&sources, 0, None, &mut findings);
    let tokens = read.and_then(|mut file| {
        conceal(&mut file, false);
        list(&file, &mut findings)
    });
    match tokens {
        Some(tokens) if findings.errors() == 0 => Ok(tokens),
        _ => {
            let report = findings.into_report(&sources);
            let mistakes = report.mistakes().iter().cloned().map(without_tokens);
            Err(Report::new(mistakes.collect()))
        }
    }
}

/// Has messages show `…` in the place of a value that may be a token.
fn conceal(node: &mut Node, shown: bool) {
    match &mut node.content {
        Content::Scalar(scalar) if !shown => scalar.written = Some("…".to_owned()),
        Content::Scalar(_) => {}
        Content::List(nodes) => nodes.iter_mut().for_each(|node| conceal(node, shown)),
        Content::Map(entries) => {
            for Entry { key, node, .. } in entries {
                conceal(node, SHOWN.contains(&key.as_str()));
            }
        }
    }
}

/// A mistake without the line that it is on, and without a key that may be a token.
fn without_tokens(mistake: Mistake) -> Mistake {
    let conceal = |text: &str| {
        let part = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
        let words = text.split_inclusive(|c| !part(c)).map(|word| {
            let end = word.trim_end_matches(|c| !part(c)).len();
            match end {
                ..=LONGEST_WORD => word.to_owned(),
                _ => format!("…{}", &word[end..]),
            }
        });
        words.collect::<String>()
    };
    let Mistake {
        severity,
        place,
        key,
        message,
        hint,
        other,
    } = mistake;
    let without_line = |place| Place {
        excerpt: None,
        ..place
    };
    Mistake {
        severity,
        place: without_line(place),
        key: conceal(&key),
        message: conceal(&message),
        hint: hint.as_deref().map(conceal),
        other: other.map(without_line),
    }
}

fn list(file: &Node, findings: &mut Findings) -> Option<Vec<Token>> {
    let Content::List(entries) = &file.content else {
        let message = format!("expected a list of tokens, found {}", file.describe());
        findings
            .error(file.span, &KeyPath::default(), message)
            .hint("write each as `- { name: …, hash: …, rights: read }`, and `[]` for none");
        return None;
    };
    let schema = schema::of::<RawToken>();
    let (mut tokens, mut seen) = (Vec::new(), Vec::new());
    for (i, entry) in entries.iter().enumerate() {
        let path = KeyPath::default().index(i);
        let mut shape = Shape {
            schema: &schema,
            lenient: false,
            findings,
        };
        let place = shape::Place {
            schema: &schema,
            path: &path,
            key: entry.span,
            verbatim: false,
        };
        let Some(read) = shape.value(entry, place) else {
            continue;
        };
        match RawToken::deserialize(read.to_value()) {
            Ok(raw) => tokens.extend(token(raw, entry, &path, &mut seen, findings)),
            Err(_) => {
                findings.error(entry.span, &path, "this can't be read as a token");
            }
        }
    }
    Some(tokens)
}

/// What of an entry must not come twice.
struct Seen {
    name: String,
    hash: Option<Hash>,
    span: Span,
}

/// One token, beside those before it.
fn token(
    raw: RawToken,
    entry: &Node,
    path: &KeyPath,
    seen: &mut Vec<Seen>,
    findings: &mut Findings,
) -> Option<Token> {
    let RawToken {
        name,
        hash,
        stacks,
        rights,
    } = raw;
    let mut mistake = |key: &str, message: String, hint: &str, other: Option<Span>| {
        let path = path.key(key);
        if findings.broken(&path) {
            return;
        }
        let at = entry.get(key).map_or(entry.span, |found| found.node.span);
        let finding = findings.error(at, &path, message);
        finding.hint(hint);
        if let Some(other) = other {
            finding.other(other);
        }
    };
    let fits = !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    if !fits || name.trim() != name || !name.chars().all(is_printable) {
        let message = "this can't be the name of a token".to_owned();
        let hint = "1 to 64 characters on one line, without white space around them";
        mistake("name", message, hint, None);
    } else if let Some(twin) = seen.iter().find(|seen| seen.name == name) {
        let message = format!("another token is named `{name}` too");
        let hint = "give it a name of its own: by it the history tells who it was";
        mistake("name", message, hint, Some(twin.span));
    }
    let hash: Result<Hash, InvalidHash> = hash.parse();
    if let Err(why) = hash {
        mistake("hash", why.to_string(), HOW, None);
    } else if let Some(twin) = seen.iter().find(|seen| seen.hash == hash.ok()) {
        let message = "another entry has the same token".to_owned();
        let hint = "make one for each: by it the history tells who it was";
        mistake("hash", message, hint, Some(twin.span));
    }
    seen.push(Seen {
        name: name.clone(),
        hash: hash.ok(),
        span: entry.span,
    });
    Some(Token {
        name: Some(name),
        hash: hash.ok()?,
        rights: match rights? {
            RawRights::Read => Rights::Read,
            RawRights::Flip => Rights::Flip,
        },
        stacks: stacks.map(BTreeSet::from_iter),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Token>, Report> {
        tokens("tokens.yml".as_ref(), text.to_owned())
    }

    /// The mistakes, a line each: place, key, message and hint.
    fn mistakes(text: &str) -> Vec<String> {
        let report = read(text).unwrap_err();
        let line = |mistake: &Mistake| {
            let place = &mistake.place;
            let (line, column) = (place.line.unwrap(), place.column.unwrap());
            let hint = mistake.hint.as_deref().unwrap_or_default();
            format!(
                "{line}:{column} {} | {} | {hint}",
                mistake.key, mistake.message
            )
        };
        report.mistakes().iter().map(line).collect()
    }

    fn hash(token: &str) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
        let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        format!("sha256:{}", digits.collect::<String>())
    }

    #[test]
    fn a_token_has_a_name_a_hash_rights_and_stacks() {
        let (ci, edge) = (hash("ci's"), hash("edge's"));
        let text = format!(
            "# CI\n- name: ci\n  hash: {ci}\n  rights: flip\n  stacks: [shop, billing]\n\
             - {{ name: Traefik, hash: '{edge}', rights: read }}\n"
        );
        let stacks = ["billing", "shop"].map(str::to_owned);
        let expected = [
            Token {
                name: Some("ci".to_owned()),
                hash: Hash::of("ci's"),
                rights: Rights::Flip,
                stacks: Some(stacks.into()),
            },
            Token {
                name: Some("Traefik".to_owned()),
                hash: Hash::of("edge's"),
                rights: Rights::Read,
                stacks: None,
            },
        ];
        assert_eq!(read(&text).unwrap(), expected);
        assert_eq!(read("[]").unwrap(), []);
    }

    #[test]
    fn every_mistake_is_told_in_one_go() {
        let (a, b) = (hash("a"), hash("b"));
        let text = format!(
            "- nam: ci\n  hash: {a}\n  rights: write\n  scope: all\n\
             - name: ci\n  hash: {b}\n  rights: read\n\
             - name: ci\n  hash: {b}\n  rights: flip\n  stacks: []\n\
             - name: ' x'\n  rights: [flip]\n  stacks: shop\n\
             - 5\n"
        );
        let told = mistakes(&text);
        let expected = [
            "1:3 [0].nam | unknown key `nam` | did you mean `name`?",
            "3:11 [0].rights | expected `read` or `flip`, found `write` | ",
            "4:3 [0].scope | unknown key `scope` | known here are `hash`, `name`, `rights`, `stacks`",
            "5:9 [1].name | another token is named `ci` too | give it a name",
            "8:9 [2].name | another token is named `ci` too | give it a name",
            "9:9 [2].hash | another entry has the same token | make one for each",
            "11:3 [2].stacks | this needs at least 1, and has 0 | add",
            "12:3 [3].hash | the key `hash` is missing | `hash` is: The hash of the token",
            "12:9 [3].name | this can't be the name of a token | 1 to 64",
            "13:11 [3].rights | expected `read` or `flip`, found a list | ",
            "14:11 [3].stacks | expected a list, found `shop` | make it a list: `[shop]`",
            "15:3 [4] | expected a mapping, found the number `…` | ",
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}\n{expected}");
        }
    }

    #[test]
    fn a_bare_token_is_refused_with_what_to_do_and_shown_nowhere() {
        let token = "0f5c4e9bd3a1475288b1e6a0c9d2f7310f5c4e9bd3a1475288b1e6a0c9d2f731";
        for text in [
            &format!("- {{ name: ci, rights: read, hash: {token} }}"),
            &format!("- {{ name: ci, rights: read, hash: 'sha256:{token}0' }}"),
            &format!("- {{ name: ci, rights: read, hash: [{token}] }}"),
            &format!("- {{ name: ci, rights: read, hsah: {token} }}"),
            &format!("- {{ name: ci, rights: read, {token} }}"),
            &format!("- {{ name: ci, rights: read, token: {{ {token}: {token} }} }}"),
            &format!("- {{ {token}: 1, {token}: 2 }}"),
            &format!("- {token}"),
            &format!("{token}: read"),
            &format!("- {{ name: ci, rights: read, hash: {token}"),
            token,
        ] {
            let report = read(text).unwrap_err();
            assert!(
                !format!("{report}{}", serde_json::json!(report)).contains(&token[..8]),
                "{report}"
            );
        }
        let told = mistakes(&format!("- {{ name: ci, rights: read, hash: {token} }}"));
        assert!(
            told[0].contains("this is not the hash of a token"),
            "{told:?}"
        );
        assert!(told[0].contains("sha256sum"), "{told:?}");
    }

    #[test]
    fn garbage_is_refused_at_its_place() {
        for (text, expected) in [
            ("", "1:1  | the file is empty | "),
            ("# nobody\n", "1:1  | the file is empty | "),
            (
                "tokens: []",
                "1:1  | expected a list of tokens, found a mapping | write each as",
            ),
            ("- a: b: c", "1:7  | this is not YAML"),
            (
                "[]\n---\n[]",
                "2:1  | a second YAML document begins here | ",
            ),
        ] {
            let told = mistakes(text);
            assert!(told[0].starts_with(expected), "{told:?}\n{expected}");
        }
    }
}
