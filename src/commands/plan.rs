//! `--dry-run`: what a change would do, and how the document would change.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::change::Change;
use super::{print, print_json};
use crate::document::{self, MARKER_ROUTER};
use crate::registry::{first_few, fleet};
use crate::rollout::before::Before;
use crate::rollout::gates::Gates;
use crate::rollout::outcome::Cause;
use crate::rollout::request::Kind;
use crate::traffic::Traffic;

impl Change<'_> {
    /// Says what would be done.
    pub(super) fn show_plan(&self, before: &Before) {
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
        let (old, new) = (from.map(render).unwrap_or_default(), render(self.to()));
        let instances = fleet(reports);
        let counted = instances.iter().filter(|seen| seen.is_waited_for());
        let waited_for: Vec<_> = counted.map(|seen| &*seen.instance.id).collect();
        if self.common.json {
            print_json(&json!({
                "stack": self.name, "from": from.map(ToString::to_string), "to": self.to().to_string(), "dryRun": true,
                "removed": old.difference(&new).collect::<Vec<_>>(),
                "added": new.difference(&old).collect::<Vec<_>>(),
                "instances": waited_for, "verifies": self.verifies,
                "bakeSeconds": self.verifies.then_some(self.bake.as_secs_f64()),
            }));
            return;
        }
        print(&format!(
            "{}: would change {} to {} (key `{}`)",
            self.name,
            from.map_or_else(|| "unknown".to_owned(), ToString::to_string),
            self.to(),
            self.stack.key
        ));
        let record = self.record(before);
        let gates = Gates::at(&self.stack.gates, before.key.at);
        if let Some(Cause::Frozen { window }) = record.frozen(&gates) {
            print(&format!("would be refused now: {window}"));
        }
        if self.verifies {
            print(&format!("would verify {} before", self.to()));
        }
        if gates.approve && self.kind != Kind::Rollback {
            print("would wait until a person approves it");
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
        if self.verifies {
            let bake = match self.bake {
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
