//! The keys of a mapping: those that it may not have, and those that it lacks.

use serde_json::Value;

use super::findings::{listed, nearest, shown};
use super::kinds::first_sentence;
use super::node::{Content, Entry, Node};
use super::path::Path;
use super::schema::{home, properties};
use super::shape::{Place, Shape};

/// The most names that a hint lists.
const LISTED: usize = 16;

impl Shape<'_> {
    /// Whether a mapping has as many keys as it needs.
    pub(super) fn filled(&mut self, node: &Node, at: Place<'_>) -> bool {
        let least = at.schema.get("minProperties").and_then(Value::as_u64);
        let Content::Map(entries) = &node.content else {
            return true;
        };
        let filled = least.is_none_or(|least| entries.len() as u64 >= least);
        if !filled {
            let message = match at.verbatim {
                true => "an empty mapping here makes Traefik refuse the whole document",
                false => "at least one key is needed here",
            };
            self.findings
                .error(at.key, at.path, message)
                .hint("remove the key, or give it something");
        }
        filled
    }

    /// Checks the keys of a mapping and their values.
    pub(super) fn map(&mut self, node: &Node, entries: &[Entry], at: Place<'_>) -> Option<Node> {
        let schema = at.schema;
        let known = properties(schema);
        let additional = schema.get("additionalProperties");
        if known.is_none() && additional.is_none() {
            return Some(node.clone());
        }
        let mut read: Vec<Entry> = Vec::new();
        for entry in entries {
            let path = at.path.key(&entry.key);
            let mut key = entry.key.as_str();
            let schema = match (known.and_then(|k| k.get(key)), additional) {
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => schema,
                (None, Some(Value::Bool(false))) => {
                    let known = known.into_iter().flatten();
                    let meant = self.unknown(entry, &path, known.map(|(k, _)| k.as_str()), at);
                    let free = meant.filter(|m| node.get(m).is_none());
                    match free.and_then(|m| properties(schema)?.get_key_value(m)) {
                        Some((meant, schema)) => {
                            key = meant;
                            schema
                        }
                        None if self.lenient && at.verbatim => &Value::Bool(true),
                        None => continue,
                    }
                }
                _ => &Value::Bool(true),
            };
            let place = Place {
                schema,
                path: &at.path.key(key),
                key: entry.span,
                ..at
            };
            read.extend(self.value(&entry.node, place).map(|node| Entry {
                key: key.to_owned(),
                span: entry.span,
                node,
            }));
        }
        self.required(&read, node, at);
        Some(Node {
            span: node.span,
            content: Content::Map(read),
        })
    }

    /// Tells of a key that is not known; gives the one that was probably meant.
    fn unknown<'k>(
        &mut self,
        entry: &Entry,
        path: &Path,
        known: impl Iterator<Item = &'k str> + Clone,
        at: Place<'_>,
    ) -> Option<&'k str> {
        let name = shown(&entry.key);
        let home = home(self.schema, at.schema, &entry.key);
        let meant = nearest(&entry.key, known.clone()).filter(|_| home.is_none());
        let mut hint = match (home, meant) {
            (Some(home), _) => home,
            (None, Some(meant)) => format!("did you mean `{meant}`?"),
            (None, None) => {
                let more = known.clone().nth(LISTED).map_or("", |_| ", …");
                format!("known here are {}{more}", listed(known.take(LISTED)))
            }
        };
        match (at.verbatim, self.lenient) {
            (false, _) => self
                .findings
                .error(entry.span, path, format!("unknown key `{name}`")),
            (true, false) => {
                hint.push_str(" (for a newer Traefik, `lenient: true` at the top allows it)");
                let message = format!(
                    "Traefik 3.7 does not know the field `{name}`, and would refuse the document"
                );
                self.findings.error(entry.span, path, message)
            }
            (true, true) => {
                let message = format!("Traefik 3.7 does not know the field `{name}`");
                self.findings.warning(entry.span, path, message)
            }
        }
        .hint(hint);
        meant.filter(|_| !(at.verbatim && self.lenient))
    }

    /// Tells of the required keys that the file does not have.
    fn required(&mut self, read: &[Entry], node: &Node, at: Place<'_>) {
        let Some(Value::Array(required)) = at.schema.get("required") else {
            return;
        };
        for name in required.iter().filter_map(Value::as_str) {
            if read.iter().any(|e| e.key == name) {
                continue;
            }
            let path = at.path.key(name);
            if node.get(name).is_none() && !self.findings.broken(&path) {
                let finding =
                    self.findings
                        .error(at.key, &path, format!("the key `{name}` is missing"));
                let field = properties(at.schema).and_then(|p| p.get(name));
                if let Some(text) = field.and_then(|f| f.get("description")?.as_str()) {
                    finding.hint(format!("`{name}` is: {}", first_sentence(text)));
                }
            }
        }
    }
}
