//! Merging: several files become one config, where no file may contradict another.

use std::collections::HashMap;

use super::findings::{Findings, shown};
use super::node::{Content, Entry, Node};
use super::path::Path;

/// What the names of keys at the top begin with that are only a home for anchors.
const EXTENSION: &str = "x-";

/// Makes one tree of those of all files.
///
/// The stacks are put together by name, and `traefik` is merged to its depth; anything else can be in one file only.
pub(super) fn merge(trees: Vec<Node>, findings: &mut Findings) -> Option<Node> {
    let mut merged: Option<Node> = None;
    for mut tree in trees {
        let Content::Map(entries) = &mut tree.content else {
            findings
                .error(
                    tree.span,
                    &Path::default(),
                    format!(
                        "expected a mapping with `stacks`, found {}",
                        tree.describe()
                    ),
                )
                .hint("examples/bluegreen.yml is a config to begin with");
            continue;
        };
        entries.retain(|entry| !entry.key.starts_with(EXTENSION));
        match &mut merged {
            None => merged = Some(tree),
            Some(merged) => add(merged, tree, &Path::default(), findings),
        }
    }
    merged
}

/// Adds the entries of a mapping of another file.
fn add(merged: &mut Node, other: Node, path: &Path, findings: &mut Findings) {
    let (Content::Map(entries), Content::Map(others)) = (&mut merged.content, other.content) else {
        return;
    };
    let mut index: HashMap<String, usize> = HashMap::new();
    for (i, entry) in entries.iter().enumerate() {
        index.insert(entry.key.clone(), i);
    }
    for entry in others {
        let Some(first) = index.get(&entry.key).map(|i| &mut entries[*i]) else {
            entries.push(entry);
            continue;
        };
        let path = path.key(&entry.key);
        if merges(&path, first, &entry) {
            add(&mut first.node, entry.node, &path, findings);
        } else {
            let message = format!("`{}` is in another file already", shown(&entry.key));
            findings
                .error(entry.span, &path, message)
                .hint("keep one of the two")
                .other(first.span);
        }
    }
}

/// Whether the values of a key in two files go together.
fn merges(path: &Path, first: &Entry, second: &Entry) -> bool {
    let mappings = [first, second]
        .iter()
        .all(|entry| matches!(entry.node.content, Content::Map(_)));
    mappings && (*path == Path::of(&["stacks"]) || path.is_in(&Path::of(&["traefik"])))
}
