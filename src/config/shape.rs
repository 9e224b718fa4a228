//! The shape: whether a config has the form that the JSON Schema says, key by key.
//!
//! It knows the keywords that our own schema has, and no others. What it gives back is the readable part of the
//! config, so that one mistake does not hide those in the rest.

use serde_json::Value;

use super::findings::{Findings, Span};
use super::kinds::{is, kinds, mismatch};
use super::node::{Content, Node};
use super::path::Path;
use super::schema::{TRAEFIK, referred};
use crate::traefik::patterns;

/// Checks a config against the schema; gives its readable part.
///
/// With `lenient`, a field that Traefik does not know is only warned of.
pub(super) fn check(
    root: &Node,
    schema: &Value,
    lenient: bool,
    findings: &mut Findings,
) -> Option<Node> {
    let mut shape = Shape {
        schema,
        lenient,
        findings,
    };
    let at = Place {
        schema,
        path: &Path::default(),
        key: root.span,
        verbatim: false,
    };
    shape.value(root, at)
}

/// A check that is under way.
pub(super) struct Shape<'a> {
    /// The whole schema.
    pub(super) schema: &'a Value,
    /// Whether a field that Traefik does not know is only warned of.
    pub(super) lenient: bool,
    /// The mistakes so far.
    pub(super) findings: &'a mut Findings,
}

/// What is to be checked: where it is, and what it has to be.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// What it has to be.
    pub(super) schema: &'a Value,
    /// The keys that lead to it.
    pub(super) path: &'a Path,
    /// Where its key is, or it itself in a list.
    pub(super) key: Span,
    /// Whether this is within one of Traefik's own parts.
    pub(super) verbatim: bool,
}

impl Shape<'_> {
    /// Checks a value; gives what of it can be read on.
    pub(super) fn value(&mut self, node: &Node, at: Place<'_>) -> Option<Node> {
        let schema = at.schema;
        if !self.filled(node, at) {
            return None;
        }
        let mut node = match schema.get("$ref").and(referred(self.schema, schema)) {
            Some((name, schema)) => {
                let verbatim = at.verbatim || name.starts_with(TRAEFIK);
                self.value(
                    node,
                    Place {
                        schema,
                        verbatim,
                        ..at
                    },
                )?
            }
            None => node.clone(),
        };
        if let Some(Value::Array(branches)) = schema.get("anyOf") {
            node = self.any_of(&node, branches, at)?;
        }
        self.coerce(&mut node, schema);
        let kinds = kinds(self.schema, schema);
        if !kinds.is_empty() && !kinds.iter().any(|kind| is(&node, kind)) {
            mismatch(self.schema, &node, at.schema, at.path, self.findings);
            return None;
        }
        match &node.content {
            Content::Scalar(_) => self.scalar(&node, at).then_some(node),
            Content::List(nodes) => self.list(&node, nodes, at),
            Content::Map(entries) => self.map(&node, entries, at),
        }
    }

    /// What a variable was replaced in is a text where one is wanted, though it may look like a number now.
    fn coerce(&self, node: &mut Node, schema: &Value) {
        if let Content::Scalar(scalar) = &mut node.content
            && scalar.written.is_some()
            && schema.get("type").is_some_and(|t| t == "string")
        {
            scalar.value = Value::String(scalar.text.clone());
        }
    }

    /// Takes the first branch that fits; where none does, tells what is wrong by the nearest one.
    fn any_of(&mut self, node: &Node, branches: &[Value], at: Place<'_>) -> Option<Node> {
        let mut best: Option<(Findings, Option<Node>)> = None;
        for schema in branches {
            let kinds = kinds(self.schema, schema);
            let interpolated = matches!(&node.content, Content::Scalar(s) if s.written.is_some());
            if !interpolated && !kinds.is_empty() && !kinds.iter().any(|kind| is(node, kind)) {
                continue;
            }
            let mut findings = Findings::default();
            let mut shape = Shape {
                schema: self.schema,
                lenient: self.lenient,
                findings: &mut findings,
            };
            let read = shape.value(node, Place { schema, ..at });
            let errors = findings.errors();
            if best.as_ref().is_none_or(|(b, _)| errors < b.errors()) {
                best = Some((findings, read));
            }
            if errors == 0 {
                break;
            }
        }
        match best {
            Some((findings, read)) => {
                self.findings.append(findings);
                read
            }
            None => {
                mismatch(self.schema, node, at.schema, at.path, self.findings);
                None
            }
        }
    }

    /// Whether a scalar of the right type is one of the values that are allowed.
    fn scalar(&mut self, node: &Node, at: Place<'_>) -> bool {
        let schema = at.schema;
        let value = node.to_value();
        let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
        let fits = match &value {
            Value::String(text) => schema
                .get("pattern")
                .and_then(Value::as_str)
                .and_then(|pattern| patterns::matches(pattern, text))
                .unwrap_or(true),
            Value::Number(number) => number.as_f64().is_some_and(|n| {
                limit("minimum").is_none_or(|min| n >= min)
                    && limit("maximum").is_none_or(|max| n <= max)
            }),
            _ => true,
        };
        let listed = match schema.get("enum") {
            Some(Value::Array(values)) => values.contains(&value),
            _ => true,
        };
        if !fits || !listed {
            mismatch(self.schema, node, at.schema, at.path, self.findings);
        }
        fits && listed
    }

    fn list(&mut self, node: &Node, nodes: &[Node], at: Place<'_>) -> Option<Node> {
        let least = at.schema.get("minItems").and_then(Value::as_u64);
        if least.is_some_and(|least| (nodes.len() as u64) < least) {
            let message = format!(
                "this needs at least {}, and has {}",
                least.unwrap_or_default(),
                nodes.len()
            );
            self.findings
                .error(at.key, at.path, message)
                .hint("add what is missing, or remove the key");
            return None;
        }
        let Some(items) = at.schema.get("items") else {
            return Some(node.clone());
        };
        let before = self.findings.errors();
        let mut read = Vec::new();
        for (i, item) in nodes.iter().enumerate() {
            let place = Place {
                schema: items,
                path: &at.path.index(i),
                key: item.span,
                ..at
            };
            read.extend(self.value(item, place));
        }
        (self.findings.errors() == before).then_some(Node {
            span: node.span,
            content: Content::List(read),
        })
    }
}
