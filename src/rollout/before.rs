//! What is there before a change: the key, the reports of the providers, and the traffic in force.

use crate::config::Stack;
use crate::registry::{self, Aged};
use crate::store::{Kept, KeyState, Reading, Refusal, Session, Store, StoreError, Unreadable};
use crate::traffic::Traffic;

/// What is there before the change.
pub struct Before {
    /// The connection that it was read over.
    pub session: Session,
    /// What the key and the history say.
    pub key: KeyState,
    /// What is known of the rollout that runs, or of the last one.
    pub kept: Result<Kept, Unreadable>,
    /// What the providers say.
    pub reports: Vec<Aged>,
    /// Why they can't be read, where that is so.
    pub unreadable: Option<Refusal>,
    /// The traffic in force, where anybody knows it.
    pub traffic: Option<Traffic>,
}

impl Before {
    /// The name of the other stack that a running provider serves by this key, where there is one.
    pub fn other_stack(&self, name: &str) -> Option<&str> {
        registry::other_stack(&self.reports, name)
    }

    /// Whether a running provider serves the stack by this name.
    pub fn serves(&self, name: &str) -> bool {
        let mut running = self.reports.iter().filter(|aged| aged.runs());
        running.any(|aged| aged.report.stack == name)
    }

    /// Whether a provider runs.
    pub fn provider_runs(&self) -> bool {
        self.reports.iter().any(Aged::runs)
    }
}

/// Reads what is there.
///
/// # Errors
///
/// Any [`StoreError`] of the key.
pub async fn read(store: &Store, stack: &Stack) -> Result<Before, StoreError> {
    let mut session = store.connect(&stack.key).await?;
    let key = session.read_one(&stack.key).await?;
    let kept = session.rollout_of(&stack.key).await?;
    let (reports, unreadable) = reports(&mut session, &stack.key).await?;
    let traffic = in_force(stack, &key, &reports);
    Ok(Before {
        session,
        key,
        kept,
        reports,
        unreadable,
        traffic,
    })
}

/// What the providers say. Without the right to their registry, or where something else stands in its place, that is
/// nothing, and why: who has to go back can't wait for it to be mended.
///
/// # Errors
///
/// [`StoreError::Unreachable`].
pub async fn reports(
    session: &mut Session,
    key: &str,
) -> Result<(Vec<Aged>, Option<Refusal>), StoreError> {
    match session.reports(key).await {
        Err(StoreError::Refused(refusal)) => Ok((Vec::new(), Some(refusal))),
        reports => Ok((reports?, None)),
    }
}

/// The traffic in force: what the key says, unless a guard may hold that back; else what all providers serve; else what
/// the history says; else the first color, where the key has never been set.
pub fn in_force(stack: &Stack, key: &KeyState, reports: &[Aged]) -> Option<Traffic> {
    let parse = |text: &str| Traffic::parse(text.as_bytes(), &stack.colors).ok();
    let told = key.tells(&stack.colors, stack.guard.is_some());
    if told.is_some() {
        return told;
    }
    let mut served = Vec::new();
    for traffic in reports
        .iter()
        .filter(|aged| aged.runs())
        .filter_map(|aged| aged.report.traffic.as_deref())
        .map(parse)
    {
        if !served.contains(&traffic) {
            served.push(traffic);
        }
    }
    match (served.as_slice(), &key.newest, &key.reading) {
        ([one], ..) => one.clone(),
        _ if let held @ Some(_) = key.tells(&stack.colors, false) => held,
        (_, Ok(Some(newest)), _) => parse(&newest.entry.to),
        ([], Ok(None), Reading::Missing) => Some(Traffic::all_to(stack.colors[0].clone())),
        // Not known is not never set.
        _ => None,
    }
}
