//! What is there before a change: the key, the reports of the providers, and the traffic in force.

use super::{Exit, Failure, NOTHING_CHANGED, talk};
use crate::config::Stack;
use crate::registry::{self, Aged};
use crate::store::{KeyState, Reading, Session, Store, StoreError};
use crate::traffic::Traffic;

/// What is there before the change.
pub struct Before {
    /// The connection that it was read over.
    pub session: Session,
    /// What the key and the history say.
    pub key: KeyState,
    /// What the providers say.
    pub reports: Vec<Aged>,
    /// The traffic in force, where anybody knows it.
    pub traffic: Option<Traffic>,
}

impl Before {
    /// The traffic in force.
    ///
    /// # Errors
    ///
    /// Where nobody knows it.
    pub fn known_traffic(&self, key: &str) -> Result<&Traffic, Failure> {
        self.traffic.as_ref().ok_or_else(|| {
            Failure::new(Exit::Failed, format!("it is not known which traffic is in force: the key `{key}` holds no traffic value"))
                .hint("no provider runs and the history does not tell; name the color, as in `bluegreen flip blue`")
        })
    }
}

impl Before {
    /// Whose traffic the key moves besides that of this stack, as a running provider says.
    pub fn others(&self, name: &str, key: &str) -> Option<String> {
        let other = registry::other_stack(&self.reports, name)?;
        Some(format!(
            "the key `{key}` moves the traffic of `{other}`, as a running provider says, and not only that of `{name}`"
        ))
    }

    /// Whether a running provider serves the stack by this name.
    pub fn serves(&self, name: &str) -> bool {
        let mut running = self.reports.iter().filter(|aged| aged.runs());
        running.any(|aged| aged.report.stack == name)
    }

    /// Refuses to change a key that somebody else's stack follows.
    ///
    /// # Errors
    ///
    /// Where a running provider serves the key under another name than this stack's.
    pub fn is_of(&self, name: &str, key: &str) -> Result<(), Failure> {
        let Some(others) = self.others(name, key) else {
            return Ok(());
        };
        let message = format!("refused: {others}{NOTHING_CHANGED}");
        Err(Failure::new(Exit::Refused, message).hint(format!(
            "one of the two stacks needs a key of its own in its config, such as `key: {name}`; where both are the same \
             stack, they need one name"
        )))
    }
}

/// Reads what is there.
///
/// # Errors
///
/// Where the store can't be reached.
pub async fn look(store: &Store, stack: &Stack) -> Result<Before, Failure> {
    let before = read(store, stack).await;
    before.map_err(|error| Failure::store(store, &error, NOTHING_CHANGED))
}

/// The same, for whoever says himself what it means where it can't be read.
///
/// # Errors
///
/// Any [`StoreError`] of the key.
pub async fn read(store: &Store, stack: &Stack) -> Result<Before, StoreError> {
    let mut session = store.connect(&stack.key).await?;
    let key = session.read_one(&stack.key).await?;
    let reports = reports(&mut session, &stack.key).await?;
    let traffic = in_force(stack, &key, &reports);
    Ok(Before {
        session,
        key,
        reports,
        traffic,
    })
}

/// What the providers say. Without the right to their registry, or where something else stands in its place, that is
/// nothing, with a note: who has to go back can't wait for it to be mended.
///
/// # Errors
///
/// [`StoreError::Unreachable`].
pub async fn reports(session: &mut Session, key: &str) -> Result<Vec<Aged>, StoreError> {
    match session.reports(key).await {
        Err(StoreError::Refused(refusal)) => {
            talk(&format!(
                "note: what the providers of `{key}` report can't be read: {refusal}"
            ));
            Ok(Vec::new())
        }
        reports => reports,
    }
}

/// The traffic in force: what the key says, unless a guard may hold that back; else what all providers serve; else what the history says; else the first
/// color, where the key has never been set.
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
