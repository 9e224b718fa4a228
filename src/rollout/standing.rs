//! Who has a traffic, and who lacks what, by the reports of the providers.

use std::collections::BTreeSet;

use super::outcome::Late;
use crate::config::Stack;
use crate::registry::{Aged, Seen, first_few, fleet};
use crate::store::{Reading, Session, Store, StoreError};
use crate::traffic::Traffic;

/// Who has this traffic now, and who does not.
///
/// # Errors
///
/// Any [`StoreError`].
pub async fn look(
    store: &Store,
    stack: &Stack,
    session: &mut Option<Session>,
    to: &Traffic,
    without: &BTreeSet<String>,
) -> Result<Standing, StoreError> {
    let session = match session {
        Some(session) => session,
        None => session.insert(store.connect(&stack.key).await?),
    };
    let key = session.read_one(&stack.key).await?;
    if let Reading::Value(value) = &key.reading
        && let Ok(is) = Traffic::parse(value, &stack.colors)
        && is != *to
    {
        return Ok(Standing::Moved(key.reading));
    }
    let reports = session.reports(&stack.key).await?;
    Ok(standing(&reports, &to.to_string(), without))
}

/// Who has a traffic and who does not.
pub enum Standing {
    /// Every instance has it.
    Has(Having),
    /// These do not.
    Lacks(Vec<Late>),
    /// The key says something else by now.
    Moved(Reading),
}

/// Every instance, each with the traffic.
pub struct Having {
    /// Their names.
    pub names: Vec<String>,
    /// The revisions that they have confirmed.
    pub revisions: BTreeSet<String>,
    /// Whether each was seen to route by it.
    pub applied: bool,
}

/// Who has a traffic by these reports, and who does not; those that are named need not.
pub fn standing(reports: &[Aged], to: &str, without: &BTreeSet<String>) -> Standing {
    let mut lacks = Vec::new();
    let running: Vec<_> = reports.iter().filter(|aged| aged.runs()).collect();
    if running.is_empty() {
        lacks.push(Late {
            name: "the providers".to_owned(),
            why: "none runs".to_owned(),
        });
    }
    for Aged { report, .. } in running {
        if !report.serves(to) {
            lacks.push(Late {
                name: format!("provider {}", report.provider),
                why: format!("serves {}", report.traffic.as_deref().unwrap_or("nothing")),
            });
        }
    }
    let mut has = Having {
        names: Vec::new(),
        revisions: BTreeSet::new(),
        applied: true,
    };
    for seen in fleet(reports).iter().filter(|seen| seen.is_waited_for()) {
        let id = &*seen.instance.id;
        if seen.has(to) {
            has.names.push(id.to_owned());
            has.revisions.extend(seen.instance.confirmed.clone());
            has.applied &= seen.provider.marker;
        } else if !without.contains(id) {
            lacks.push(Late {
                name: id.to_owned(),
                why: why_not(seen, to),
            });
        }
    }
    if lacks.is_empty() {
        Standing::Has(has)
    } else {
        Standing::Lacks(lacks)
    }
}

/// Why an instance does not have a traffic yet, in the operator's words.
fn why_not(seen: &Seen<'_>, to: &str) -> String {
    let provider = seen.provider;
    if !seen.provider_runs {
        return format!(
            "its provider {} has stopped; unseen for {:.0} s",
            provider.provider, seen.unseen
        );
    }
    if !provider.serves(to) {
        return "its provider does not serve it yet".to_owned();
    }
    if let (Some(path), None) = (&seen.instance.share, seen.current()) {
        return format!("polls {path}, and there is no document");
    }
    if seen.instance.revision.as_ref() != seen.current() {
        return format!("has not fetched it; unseen for {:.0} s", seen.unseen);
    }
    if seen.instance.confirmed.as_ref() != seen.current() && seen.instance.reconnects {
        return "fetched it, but each of its polls comes on a connection of its own, as through a proxy that keeps none, \
                so nothing shows that it has it: have the proxy keep connections; or set --read-token, a name of its own \
                in X-Traefik-Instance, and a pollInterval of 100ms"
            .to_owned();
    }
    if seen.instance.confirmed.as_ref() != seen.current() {
        return format!(
            "fetched it, but has not come back; unseen for {:.0} s",
            seen.unseen
        );
    }
    "fetched it, but does not route by it".to_owned()
}

/// The first few, each with the reason, and how many more there are.
pub fn list(late: &[Late]) -> String {
    first_few(late.iter())
}

/// The first few names, and how many more there are.
pub fn names(late: &[Late]) -> String {
    first_few(late.iter().map(|late| &late.name))
}
