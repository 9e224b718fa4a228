//! Frames: the mappings and lists of a file that have begun and not ended yet, while it is read.

use std::collections::HashMap;

use super::findings::{Span, shown};
use super::node::{Content, Entry, Node};

/// A mapping or list that has begun.
pub(super) struct Frame {
    /// Where it begins.
    pub(super) span: Span,
    /// The number of its anchor; 0 for none.
    pub(super) anchor: usize,
    /// The size of what is in it so far.
    pub(super) size: Size,
    /// What is in it so far.
    pub(super) items: Items,
}

/// What is in a [`Frame`].
pub(super) enum Items {
    /// The entries of a list.
    List(Vec<Node>),
    /// A mapping.
    Map {
        /// The entries that are written in it.
        entries: Vec<Entry>,
        /// Where each key is among them.
        index: HashMap<String, usize>,
        /// The mappings that `<<` adds.
        merged: Vec<Node>,
        /// The key whose value comes next.
        key: Option<Key>,
    },
}

/// A key whose value comes next.
pub(super) enum Key {
    /// An ordinary key, and where it is.
    Text(String, Span),
    /// `<<`.
    Merge,
    /// Something that can't be a key, and was reported.
    Bad,
}

/// How much a node weighs, and how deep it is.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// An estimate of the bytes that it takes.
    pub(super) weight: usize,
    /// How many levels are below it.
    pub(super) height: usize,
}

/// Why an item has no place in a mapping.
pub(super) struct Problem {
    /// Where it is.
    pub(super) span: Span,
    /// Its key.
    pub(super) key: String,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: &'static str,
    /// The other place, for a doubled key.
    pub(super) other: Option<Span>,
}

impl Items {
    /// Takes the next node: an item, a key or a value.
    pub(super) fn take(&mut self, mut node: Node) -> Result<(), Box<Problem>> {
        let Self::Map {
            entries,
            index,
            merged,
            key,
        } = self
        else {
            if let Self::List(nodes) = self {
                nodes.push(node);
            }
            return Ok(());
        };
        let problem = |span, key: &str, message, hint| {
            Err(Box::new(Problem {
                span,
                key: key.to_owned(),
                message,
                hint,
                other: None,
            }))
        };
        match key.take() {
            None => match node.content {
                Content::Scalar(scalar) if scalar.text == "<<" && !scalar.value.is_null() => {
                    *key = Some(Key::Merge);
                    Ok(())
                }
                Content::Scalar(scalar) => {
                    *key = Some(Key::Text(scalar.text, node.span));
                    Ok(())
                }
                _ => {
                    *key = Some(Key::Bad);
                    let message = "a mapping or a list can't be a key".to_owned();
                    problem(node.span, "?", message, "write a text before the `:`")
                }
            },
            Some(Key::Bad) => Ok(()),
            Some(Key::Merge) => {
                let span = node.span;
                let nodes = match node.content {
                    Content::List(nodes) => nodes,
                    _ => vec![node],
                };
                let maps = nodes.iter().all(|n| matches!(n.content, Content::Map(_)));
                merged.extend(nodes);
                if maps {
                    return Ok(());
                }
                let message = "only a mapping, or a list of them, can be merged".to_owned();
                problem(span, "<<", message, "name an anchor: `<<: *anchor`")
            }
            Some(Key::Text(name, span)) => {
                // A key without a value has no place of its own to show.
                if node.span.start == node.span.end {
                    node.span = span;
                }
                if let Some(first) = index.get(&name) {
                    return Err(Box::new(Problem {
                        span,
                        message: format!("the key `{}` is given twice", shown(&name)),
                        key: name,
                        hint: "keep one of the two",
                        other: Some(entries[*first].span),
                    }));
                }
                index.insert(name.clone(), entries.len());
                entries.push(Entry {
                    key: name,
                    span,
                    node,
                });
                Ok(())
            }
        }
    }
}
