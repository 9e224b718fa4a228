//! The wait after a change: until every instance has the new document, and who does not.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use super::applied::{Asker, Proof};
use super::change::Change;
use super::interrupt::Interrupt;
use super::progress::Progress;
use crate::config::Stack;
use crate::registry::{Aged, Seen, first_few, fleet};
use crate::store::{Reading, Session, Store, StoreError};
use crate::traffic::Traffic;

/// How often the wait looks at the clock where the store tells nothing new: instances can be gone by then.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How soon production is asked again whether it routes by the document: Traefik takes a few milliseconds to apply it.
/// Each further pause is twice as long, up to [`LOOK_AGAIN`].
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// How a wait ended.
pub(super) enum Waited {
    /// Every instance has it; their names, and how that is known.
    Confirmed(Vec<String>, Proof),
    /// The time is over, and these do not have it yet.
    Late(Vec<Late>),
    /// The key says something else by now.
    Moved(Reading),
    /// The store could not be reached any more.
    StoreLost(String),
    /// The operator wants to wait no longer; for these it was waited.
    Interrupted(Vec<Late>),
}

/// Who is waited for, and why.
#[derive(Clone, Debug)]
pub(super) struct Late {
    pub(super) name: String,
    why: String,
}

/// `edge-1 (has not fetched it)`
impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.why)
    }
}

impl Change<'_> {
    /// Waits until every instance has this traffic, without those that are named.
    pub(super) async fn wait(
        &self,
        mut session: Option<Session>,
        to: &Traffic,
        deadline: Instant,
        without: &BTreeSet<String>,
        asker: &mut Asker,
        interrupt: &mut Interrupt,
    ) -> Waited {
        let mut ask_again = FIRST_PAUSE;
        let mut asked_since = None;
        let mut progress = Progress::new(self.common.quiet || self.common.json);
        let mut late = Vec::new();
        loop {
            let mut lost = None;
            let mut again = LOOK_AGAIN;
            let began = Instant::now();
            match look(&self.common.store, self.stack, &mut session, to, without).await {
                Ok(Standing::Moved(reading)) => return Waited::Moved(reading),
                Ok(Standing::Has(having)) => {
                    let since = *asked_since.get_or_insert_with(Instant::now);
                    if let Some(proof) = asker.ask(&having, since).await {
                        return Waited::Confirmed(having.names, proof);
                    }
                    again = ask_again;
                    ask_again = (ask_again * 2).min(LOOK_AGAIN);
                    late = vec![Late {
                        name: "production".to_owned(),
                        why: "does not route by it yet".to_owned(),
                    }];
                    progress.show(&format!("waiting for {}", list(&late)));
                }
                Ok(Standing::Lacks(lacks)) => {
                    progress.show(&format!("waiting for {}", list(&lacks)));
                    late = lacks;
                }
                Err(error) => {
                    session = None;
                    progress.show(&format!("waiting for the store: {error}"));
                    lost = Some(error.to_string());
                }
            }
            let now = Instant::now();
            if now >= deadline {
                return lost.map_or(Waited::Late(late), Waited::StoreLost);
            }
            let pause = again.min(deadline - now);
            // The reports of thousands take their time, and all of them change now: the store has others to serve, too.
            let breath = now - began;
            let changed = async {
                tokio::time::sleep(breath).await;
                match &mut session {
                    Some(session) => session.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changed => if changed.is_err() { session = None },
                () = tokio::time::sleep(pause) => {}
                () = interrupt.received() => return Waited::Interrupted(late),
            }
        }
    }
}

/// Who has this traffic now, and who does not.
pub(super) async fn look(
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
pub(super) enum Standing {
    /// Every instance has it.
    Has(Having),
    /// These do not.
    Lacks(Vec<Late>),
    /// The key says something else by now.
    Moved(Reading),
}

/// Every instance, each with the traffic.
pub(super) struct Having {
    /// Their names.
    pub(super) names: Vec<String>,
    /// The revisions that they have confirmed.
    pub(super) revisions: BTreeSet<String>,
    /// Whether each was seen to route by it.
    pub(super) applied: bool,
}

pub(super) fn standing(reports: &[Aged], to: &str, without: &BTreeSet<String>) -> Standing {
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
pub(super) fn list(late: &[Late]) -> String {
    first_few(late.iter())
}

/// The first few names, and how many more there are.
pub(super) fn names(late: &[Late]) -> String {
    first_few(late.iter().map(|late| &late.name))
}
