//! How far a change has come, and what is said of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::applied::{Asker, Proof};
use super::care::talk_unless_quiet;
use super::change::{Change, text};
use super::{print_outcome, talk};
use crate::printable::{self, Printable};
use crate::registry::first_few;
use crate::traffic::Traffic;
use crate::verify::report::Report;

/// How far a change has come.
pub(super) struct Done {
    /// The traffic before, where it is known.
    pub(super) from: Option<Traffic>,
    /// Whether the key had to be changed.
    pub(super) changed: bool,
    /// Asks production by which document it routes.
    pub(super) asker: Asker,
    /// The instances that have it, where they were waited for, and how that is known.
    pub(super) instances: Option<(Vec<String>, Proof)>,
    /// Whether no provider runs that would bring it to Traefik.
    pub(super) to_nobody: bool,
    /// What was verified.
    pub(super) checks: Report,
    /// When the key was set.
    pub(super) began: Instant,
    /// How long after that all instances had it.
    pub(super) confirmed: Duration,
}

/// What there is to say of what was done, once everything is.
#[must_use = "it is printed last"]
pub(super) struct Said {
    /// Printable already.
    text: Option<String>,
    nobody_polls: bool,
}

impl Said {
    /// Prints it. Where that does not come through, what was done stands all the same.
    pub(super) fn print(self) {
        let Some(text) = self.text else {
            return;
        };
        print_outcome(&text);
        if self.nobody_polls {
            talk("note: no Traefik polls any provider: nobody had to confirm");
        }
    }
}

impl Change<'_> {
    /// On the way to its end: every instance has it, and production is yet to be verified.
    pub(super) fn say_confirmed(&self, done: &Done) {
        let proof = self.proof(done).map(|proof| format!("{proof}; "));
        let text = format!("{}verifying production", proof.unwrap_or_default());
        talk_unless_quiet(self.common, &text);
    }

    /// What there is to say of what was done; `more` goes into the JSON object.
    pub(super) fn said(&self, done: &Done, more: Value) -> Said {
        if !self.common.json {
            let sentence = || Printable(&self.sentence(done)).to_string();
            let sentence = (!self.common.quiet).then(sentence);
            return Said {
                text: sentence,
                nobody_polls: matches!(&done.instances, Some((names, _)) if names.is_empty()),
            };
        }
        let (instances, applied) = done
            .instances
            .as_ref()
            .map_or((None, None), |(names, proof)| {
                (Some(names), proof.word().filter(|_| !names.is_empty()))
            });
        let mut object = json!({
            "exit": 0, "stack": self.name, "from": done.from.as_ref().map(ToString::to_string),
            "to": self.to.to_string(), "changed": done.changed, "instances": instances, "applied": applied,
            "seconds": done.confirmed.as_secs_f64(), "checks": done.checks.json(),
        });
        if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
            object.extend(more);
        }
        Said {
            text: Some(printable::json(&format!("{object:#}"))),
            nobody_polls: false,
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
            (None, _) if done.to_nobody => format!(
                "{what}; no provider runs: the next one that starts serves it, and until then Traefik serves what it has"
            ),
            (None, _) => format!("{what}; not waited for any instance"),
            (_, Some(proof)) => format!("{what}, {proof}"),
            (_, None) => what,
        }
    }

    /// Who has it, since when; none where there is nobody.
    fn proof(&self, done: &Done) -> Option<String> {
        let (names, proof) = done.instances.as_ref()?;
        let one = match names.len() {
            0 => return None,
            count => count == 1,
        };
        let s = if one { "" } else { "s" };
        let (word, more) = match proof {
            Proof::Everywhere => ("applied", ""),
            Proof::AtProduction if one => ("applied", ""),
            Proof::AtProduction => ("confirmed", "; applied by the one at production"),
            Proof::NoProduction => (
                "confirmed",
                "; not asked whether Traefik routes by it: the config names no `production`",
            ),
            Proof::NoAnswer => (
                "confirmed",
                "; whether Traefik routes by it is not known: production does not answer for the marker",
            ),
        };
        Some(format!(
            "{word} by {} instance{s} in {:.0} ms: {}{more}",
            names.len(),
            done.confirmed.as_secs_f64() * 1000.0,
            first_few(names.iter())
        ))
    }
}
