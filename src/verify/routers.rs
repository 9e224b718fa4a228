//! Routers: whether Traefik has disabled any that a stack's production hangs on, as the registry knows it.

use std::time::Duration;

use super::Verify;
use super::measure::{Limits, Pauses, measure};
use super::report::{Kind, Line, Outcome};
use crate::config::Stack;
use crate::registry::{Aged, fleet};
use crate::store::Store;

/// How long the store may take to answer: production is not to wait for it.
const TIMEOUT: Duration = Duration::from_secs(1);

impl Verify<'_> {
    /// Checks that no instance has disabled a router of the stack, as far as the instances tell.
    pub async fn routers(&self, store: &Store, limits: Limits) -> Line {
        let key = &self.stack.key;
        let mut session = None;
        let attempt = async || {
            let reports = async {
                let session = match &mut session {
                    Some(session) => session,
                    None => session.insert(store.connect(key).await?),
                };
                session.reports(key).await
            };
            let error = match tokio::time::timeout(TIMEOUT, reports).await {
                Ok(Ok(reports)) => return judge(&reports, self.name, self.stack),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {TIMEOUT:?}"),
            };
            session = None;
            // That it is away is for others to tell.
            Outcome::Skipped(format!("the store {store} can't be reached: {error}"))
        };
        let name = self.name.to_owned();
        let (kind, pauses) = (Kind::Routers, Pauses::LOOK);
        measure(kind, name, limits, pauses, self.tell, attempt).await
    }
}

/// What is to be said of a stack's routers; only what belongs to production counts, not its previews.
pub fn judge(reports: &[Aged], name: &str, stack: &Stack) -> Outcome {
    let ours: Vec<_> = stack
        .services
        .keys()
        .map(|service| format!("{name}-{service}"))
        .collect();
    let fleet = fleet(reports);
    let mut enabled = Vec::new();
    let mut disabled = Vec::new();
    for seen in &fleet {
        let Some(routers) = seen.routers() else {
            continue;
        };
        let id = &seen.instance.id;
        let mut found = routers
            .disabled
            .iter()
            .filter(|one| ours.contains(&one.router))
            .peekable();
        if found.peek().is_none() && routers.more == 0 {
            enabled.push(&**id);
        }
        disabled.extend(found.map(|one| {
            format!(
                "{id} has disabled the router `{}`: {}",
                one.router, one.error
            )
        }));
    }
    match (disabled.is_empty(), enabled.is_empty()) {
        (false, _) => Outcome::Failed(disabled.join("\n")),
        (true, false) => Outcome::Passed(format!("enabled by {}", enabled.join(", "))),
        (true, true) => Outcome::Skipped(
            "whether Traefik has disabled any is not known: its API is asked at the marker's port"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config;
    use crate::registry::{Instance, Report};

    fn instance(id: &str, routers: &Value) -> Instance {
        let value = json!({
            "id": id, "address": "10.0.0.1", "held": true, "hold": 1.0, "seen": 0.0, "goneAfter": 9.0,
            "routers": routers,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_what_is_known_of_the_stacks_own_routers_counts() {
        let text = "stacks: { s: { services: { a: { rule: Host(`a`), \
                    servers: { blue: http://127.0.0.1:1, green: http://127.0.0.1:2 } } } } }";
        let files = vec![("bluegreen.yml".into(), text.to_owned())];
        let config = config::parse(files, &|_| None).unwrap().config;
        let routers = |revision: &str, disabled: &[&str], more: usize| {
            let disabled = disabled
                .iter()
                .map(|name| json!({ "router": name, "error": "gone" }));
            json!({ "revision": revision, "disabled": disabled.collect::<Vec<_>>(), "more": more })
        };
        let report = json!({
            "provider": "host:9000/1", "version": "0", "stopped": false, "traffic": "blue", "revision": "r",
            "problem": null, "marker": true,
        });
        let report: Report = serde_json::from_value(report).unwrap();
        for (fleet, word, said) in [
            (vec![], "skipped", "not known"),
            (vec![json!(null)], "skipped", "not known"),
            (vec![routers("r", &[], 0)], "passed", "enabled by edge-0"),
            (
                vec![json!(null), routers("r", &[], 0)],
                "passed",
                "enabled by edge-1",
            ),
            (
                vec![routers("r", &["s-a"], 0)],
                "failed",
                "edge-0 has disabled the router `s-a`: gone",
            ),
            (
                vec![routers("r", &[], 0), routers("r", &["x", "s-a"], 0)],
                "failed",
                "edge-1 has disabled",
            ),
            // Of another document, of another stack, a preview's.
            (vec![routers("q", &["s-a"], 0)], "skipped", "not known"),
            (
                vec![routers("r", &["t-a", "s-a-preview-green"], 0)],
                "passed",
                "enabled by edge-0",
            ),
            // It may be among those that are not told.
            (vec![routers("r", &["t-a"], 7)], "skipped", "not known"),
        ] {
            let instances = fleet.iter().enumerate();
            let instances = instances.map(|(i, routers)| instance(&format!("edge-{i}"), routers));
            let aged = Aged::new(report.clone(), Duration::ZERO, instances.collect());
            let outcome = judge(&[aged], "s", &config.stacks["s"]);
            assert!(
                outcome.word() == word && outcome.detail().contains(said),
                "{fleet:?}: {outcome:?}"
            );
        }
    }
}
