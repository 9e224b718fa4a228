//! How far a change has come, and what is said of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::care::talk_unless_quiet;
use super::change::{Change, text};
use super::{print, print_json, talk};
use crate::traffic::Traffic;
use crate::verify::report::Report;

/// How far a change has come.
pub(super) struct Done {
    /// The traffic before, where it is known.
    pub(super) from: Option<Traffic>,
    /// Whether the key had to be changed.
    pub(super) changed: bool,
    /// The instances that have it, where they were waited for.
    pub(super) instances: Option<Vec<String>>,
    /// What was verified.
    pub(super) checks: Report,
    /// When the key was set.
    pub(super) began: Instant,
    /// How long after that all instances had it.
    pub(super) confirmed: Duration,
}

impl Change<'_> {
    /// On the way to its end: every instance has it, and production is yet to be verified.
    pub(super) fn say_confirmed(&self, done: &Done) {
        let proof = self.proof(done).map(|proof| format!("{proof}; "));
        let text = format!("{}verifying production", proof.unwrap_or_default());
        talk_unless_quiet(self.common, &text);
    }

    /// Says what was done; `more` goes into the JSON object.
    pub(super) fn say_done(&self, done: &Done, more: Value) {
        if self.common.json {
            let mut object = json!({
                "exit": 0, "stack": self.name, "from": done.from.as_ref().map(ToString::to_string),
                "to": self.to.to_string(), "changed": done.changed, "instances": done.instances,
                "seconds": done.confirmed.as_secs_f64(), "checks": done.checks.json(),
            });
            if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
                object.extend(more);
            }
            print_json(&object);
            return;
        }
        if self.common.quiet {
            return;
        }
        print(&self.sentence(done));
        if done.instances.as_ref().is_some_and(Vec::is_empty) {
            talk("note: no Traefik polls any provider: nobody had to confirm");
        }
    }

    /// What was done, in a sentence.
    fn sentence(&self, done: &Done) -> String {
        let what = if done.changed {
            format!("{}: {} → {}", self.name, text(done.from.as_ref()), self.to)
        } else {
            format!("{}: {} already has the traffic", self.name, self.to)
        };
        match (&done.instances, self.proof(done)) {
            (None, _) => format!("{what}; not waited for any instance"),
            (_, Some(proof)) => format!("{what}, {proof}"),
            (_, None) => what,
        }
    }

    /// Who has it, since when; none where there is nobody.
    fn proof(&self, done: &Done) -> Option<String> {
        let names = done
            .instances
            .as_deref()
            .filter(|names| !names.is_empty())?;
        let s = if names.len() == 1 { "" } else { "s" };
        let applied = self.config.marker.is_some();
        let proof = if applied { "applied" } else { "confirmed" };
        Some(format!(
            "{proof} by {} instance{s} in {:.0} ms: {}",
            names.len(),
            done.confirmed.as_secs_f64() * 1000.0,
            names.join(", ")
        ))
    }
}
