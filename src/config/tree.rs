//! The tree: a YAML file read into [`Node`]s, with anchors, aliases, merge keys and variables resolved.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::Value;

use super::findings::{Findings, Source, Span, shown};
use super::frame::{Frame, Items, Key, Size};
use super::interpolate::interpolate;
use super::node::{Content, Node, Scalar};
use super::path::Path;
use super::syntax;

/// The deepest nesting; a config is about ten deep.
const MAX_DEPTH: usize = 64;
/// The most that anchors and variables may add, in bytes, so that no small file fills the memory.
const MAX_EXPANSION: usize = 8 << 20;
/// What a node counts for in that, besides its text.
const NODE_WEIGHT: usize = 64;
/// The core schema's prefix of tags.
const CORE_TAG: &str = "tag:yaml.org,2002:";

/// How to look up a variable.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads a source; `None` where nothing can be made of it, which is then among the findings.
///
/// Without an environment it is read as somebody else's file: variables stay as they are written, tags mean nothing.
pub(super) fn read(
    sources: &[Source],
    source: usize,
    env: Option<Environment<'_>>,
    findings: &mut Findings,
) -> Option<Node> {
    let text = &sources[source].text;
    let mut reader = Reader {
        source,
        text,
        env,
        findings,
        frames: Vec::new(),
        anchors: HashMap::new(),
        expansion: 0,
        root: None,
    };
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                let span = reader.span(span);
                let second = matches!(event, Event::DocumentStart(..)) && reader.root.is_some();
                if second {
                    let message = "a second YAML document begins here";
                    let finding = reader.findings.error(span, &Path::default(), message);
                    if env.is_some() {
                        finding.hint("give it a file of its own: the config may be a folder");
                    }
                    break;
                }
                reader.event(event, span)?;
            }
            Err(error) => {
                syntax::tell(&error, source, text, reader.findings);
                return None;
            }
        }
    }
    let root = reader.root;
    if root.is_none() {
        let start = Span {
            source,
            line: 1,
            column: 1,
            ..Span::default()
        };
        let finding = findings.error(start, &Path::default(), "the file is empty");
        if env.is_some() {
            finding.hint("it needs `stacks:`; examples/bluegreen.yml is one to begin with");
        }
    }
    root
}

struct Reader<'a> {
    source: usize,
    text: &'a str,
    env: Option<Environment<'a>>,
    findings: &'a mut Findings,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Node, Size)>,
    expansion: usize,
    root: Option<Node>,
}

impl Reader<'_> {
    /// Takes an event; `None` where reading has to end.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = self.is_plain(style, tag.as_deref(), span);
                let scalar = self.scalar(text.into_owned(), plain, style, span)?;
                let size = Size {
                    weight: NODE_WEIGHT + scalar.text.len(),
                    height: 0,
                };
                let content = Content::Scalar(scalar);
                self.node(Node { span, content }, size, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.is_plain(ScalarStyle::Plain, tag.as_deref(), span);
                self.begin(span, anchor, Items::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.is_plain(ScalarStyle::Plain, tag.as_deref(), span);
                let items = Items::Map {
                    entries: Vec::new(),
                    index: HashMap::new(),
                    merged: Vec::new(),
                    key: None,
                };
                self.begin(span, anchor, items)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return self.stop(span, "this alias is inside of what it refers to");
                };
                if self.frames.len() + size.height > MAX_DEPTH {
                    return self.stop(span, "the file is nested too deeply");
                }
                self.expand(size.weight, span)?;
                self.node(node, size, 0)
            }
            _ => Some(()),
        }
    }

    fn begin(&mut self, span: Span, anchor: usize, items: Items) -> Option<()> {
        let size = Size {
            weight: NODE_WEIGHT,
            height: 0,
        };
        self.frames.push(Frame {
            span,
            anchor,
            size,
            items,
        });
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        let frame = self.frames.pop()?;
        let (span, mut size) = (frame.span, frame.size);
        let content = match frame.items {
            Items::List(nodes) => Content::List(nodes),
            Items::Map {
                mut entries,
                index,
                merged,
                ..
            } => {
                let mut added: HashMap<String, usize> = HashMap::new();
                for node in merged {
                    let Content::Map(others) = node.content else {
                        continue;
                    };
                    for entry in others {
                        if !index.contains_key(&entry.key) && !added.contains_key(&entry.key) {
                            added.insert(entry.key.clone(), entries.len());
                            entries.push(entry);
                        }
                    }
                }
                Content::Map(entries)
            }
        };
        size.height += 1;
        self.node(Node { span, content }, size, frame.anchor)
    }

    /// Puts a finished node where it belongs.
    fn node(&mut self, node: Node, size: Size, anchor: usize) -> Option<()> {
        if anchor != 0 {
            self.expand(size.weight, node.span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        frame.size.weight += size.weight;
        frame.size.height = frame.size.height.max(size.height);
        if let Err(problem) = frame.items.take(node) {
            let path = self.path().key(&problem.key);
            let finding = self.findings.error(problem.span, &path, problem.message);
            finding.hint(problem.hint);
            if let Some(other) = problem.other {
                finding.other(other);
            }
        }
        Some(())
    }

    /// A scalar with its variables replaced.
    fn scalar(
        &mut self,
        text: String,
        plain: bool,
        style: ScalarStyle,
        span: Span,
    ) -> Option<Scalar> {
        let is_key = matches!(
            self.frames.last().map(|f| &f.items),
            Some(Items::Map { key: None, .. })
        );
        if is_key {
            return Some(Scalar::new(text, plain));
        }
        let replaced = match self.env {
            Some(env) => interpolate(&text, env),
            None => Ok(None),
        };
        match replaced {
            Ok(None) if style == ScalarStyle::Plain && span.start == span.end => {
                Some(Scalar::new(String::new(), plain))
            }
            Ok(None) => Some(Scalar::new(text, plain)),
            Ok(Some(replaced)) => {
                self.expand(replaced.len(), span)?;
                // In a flow mapping a variable can't stand without quotes: alone in them it is a number all the same.
                let alone = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
                let mut scalar = Scalar::new(replaced, plain || alone);
                if !plain && !matches!(scalar.value, Value::Number(_) | Value::Bool(_)) {
                    scalar = Scalar::new(scalar.text, false);
                }
                scalar.written = Some(text);
                Some(scalar)
            }
            Err((at, reason)) => {
                let span = span.part(self.text, &text, at);
                let path = self.path();
                self.findings
                    .error(span, &path, reason.to_string())
                    .hint(reason.hint());
                Some(Scalar::new(text, false))
            }
        }
    }

    /// Whether a scalar gets its type from its text; reports a tag that is not YAML's own.
    fn is_plain(&mut self, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> bool {
        let plain = style == ScalarStyle::Plain;
        let Some(tag) = tag else { return plain };
        match (tag.handle(), tag.suffix()) {
            ("", "!") | (CORE_TAG, "str") => false,
            (CORE_TAG, "int" | "float" | "bool" | "null") => true,
            (CORE_TAG, "map" | "seq") => plain,
            _ if self.env.is_none() => plain,
            (_, name) => {
                let path = self.path();
                self.findings
                    .error(
                        span,
                        &path,
                        format!("the tag `{}` means nothing here", shown(name)),
                    )
                    .hint("remove it");
                plain
            }
        }
    }

    /// Counts what an anchor or a variable adds.
    fn expand(&mut self, weight: usize, span: Span) -> Option<()> {
        self.expansion += weight;
        if self.expansion > MAX_EXPANSION {
            return self.stop(span, "anchors and variables make the config too large");
        }
        Some(())
    }

    /// Reports why reading has to end.
    fn stop(&mut self, span: Span, message: &str) -> Option<()> {
        let path = self.path();
        self.findings.error(span, &path, message);
        None
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        let bytes = span.byte_range().unwrap_or_default();
        Span {
            source: self.source,
            start: bytes.start,
            end: bytes.end,
            line: span.start.line(),
            column: span.start.col() + 1,
        }
    }

    /// The path of the value that comes next.
    fn path(&self) -> Path {
        let mut path = Path::default();
        for frame in &self.frames {
            match &frame.items {
                Items::List(nodes) => path = path.index(nodes.len()),
                Items::Map {
                    key: Some(Key::Text(key, _)),
                    ..
                } => path = path.key(key),
                Items::Map { .. } => {}
            }
        }
        path
    }
}
