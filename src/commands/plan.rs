//! `--dry-run`: what a change would do, and how the document would change.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::before::Before;
use super::care::Care;
use super::change::{Change, text};
use super::{print, print_json};
use crate::document::{self, MARKER_ROUTER};
use crate::registry::{first_few, fleet};
use crate::traffic::Traffic;

impl Change<'_> {
    /// Says what would be done.
    pub(super) fn show_plan(&self, before: &Before, care: Option<&Care<'_>>) {
        let (from, reports) = (before.traffic.as_ref(), &before.reports);
        let render = |traffic: &Traffic| {
            let of_stacks = [(self.name.to_owned(), traffic.clone())].into();
            let document = document::render(self.config, &of_stacks, None);
            let mut leaves = BTreeSet::new();
            if let Ok(value) = serde_json::from_slice(&document.bytes) {
                flatten("", &value, &mut leaves);
            }
            // The marker's router changes with every document.
            leaves.retain(|leaf| !leaf.contains(MARKER_ROUTER));
            leaves
        };
        let (old, new) = (from.map(render).unwrap_or_default(), render(&self.to));
        let instances = fleet(reports);
        let counted = instances.iter().filter(|seen| seen.is_waited_for());
        let waited_for: Vec<_> = counted.map(|seen| &*seen.instance.id).collect();
        if self.common.json {
            print_json(&json!({
                "stack": self.name, "from": from.map(ToString::to_string), "to": self.to.to_string(), "dryRun": true,
                "removed": old.difference(&new).collect::<Vec<_>>(),
                "added": new.difference(&old).collect::<Vec<_>>(),
                "instances": waited_for, "verifies": care.is_some(),
                "bakeSeconds": care.map(|care| care.bake.as_secs_f64()),
            }));
            return;
        }
        print(&format!(
            "{}: would change {} to {} (key `{}`)",
            self.name,
            text(from),
            self.to,
            self.stack.key
        ));
        if let Some(care) = care {
            print(&format!("would verify {} before", care.color));
        }
        for line in old.difference(&new) {
            print(&format!("- {line}"));
        }
        for line in new.difference(&old) {
            print(&format!("+ {line}"));
        }
        let whom = if waited_for.is_empty() {
            "no instance".to_owned()
        } else {
            first_few(waited_for.iter())
        };
        print(&format!("would wait for {whom}"));
        if let Some(care) = care {
            let bake = match care.bake {
                Duration::ZERO => String::new(),
                time => format!(", and watch it for {time:?}"),
            };
            print(&format!("would verify production after{bake}"));
        }
    }
}

/// The leaves of a JSON value as lines `path = value`.
fn flatten(path: &str, value: &Value, leaves: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value, leaves);
            }
        }
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                flatten(&format!("{path}[{i}]"), value, leaves);
            }
        }
        leaf => {
            leaves.insert(format!("{path} = {leaf}"));
        }
    }
}
