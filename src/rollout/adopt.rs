//! Carrying on a rollout that has no runner any more, or had none yet.

use super::before::read;
use super::context::Context;
use super::engine::{Engine, Left};
use super::interrupts::Interrupts;
use super::keeper::Keeper;
use super::outcome::Cause;
use super::record::Record;
use super::remote::is_abandoned;
use crate::lease::Lease;
use crate::store::StoreError;
use crate::store::write::Written;

/// Carries on the rollout of the stack, where it has one that nobody runs, as a runner of this name; gives its record in
/// the end, and how it ended. None where there is nothing to do, where somebody else was faster, or where `until` came
/// first: the lease is given back then, so that somebody else carries it on at once.
///
/// `is_known`: somebody wants that, or the runner was seen at work until it was gone. Else it may have told its operator
/// long ago that nothing was changed, as where the store was away: what had changed nothing by then changes nothing now.
///
/// # Errors
///
/// Where the store can't be reached before it is taken over.
pub async fn adopt(
    context: Context<'_>,
    name: &str,
    is_known: bool,
    interrupts: &mut Interrupts,
    until: impl Future<Output = ()>,
) -> Result<Option<(Record, Left)>, StoreError> {
    let before = read(context.store, context.stack).await?;
    let Ok(kept) = &before.kept else {
        return Ok(None);
    };
    let record = kept.record.as_deref().and_then(Record::of_json);
    let Some(mut record) = record.filter(|record| is_abandoned(record, kept)) else {
        return Ok(None);
    };
    let lease = Lease::new(name.to_owned(), record.what());
    let key = &context.stack.key;
    let mut keeper = Keeper::new(context.store, key, lease, kept.record.clone());
    let is_new = record.runner.is_none();
    record.runner = Some(keeper.runner());
    if keeper.write(&record, None, false).await? != Written::Done {
        return Ok(None);
    }
    if !is_new && !is_known && !record.has_changed() {
        keeper.end(&mut record, Cause::Abandoned).await;
        let outcome = record.outcome.clone().unwrap_or_default();
        return Ok(Some((record, Left::Ended(Box::new(outcome)))));
    }
    let engine = Engine::new(context, record, &mut keeper, &before, interrupts);
    // A rollout is deep: it has a place of its own, and not one in whatever awaits it.
    let running = async {
        match is_new {
            true => Box::pin(engine.run(before.session)).await,
            false => Box::pin(engine.carry_on()).await,
        }
    };
    let ended = tokio::select! {
        ended = running => Some(ended),
        () = until => None,
    };
    keeper.release().await;
    Ok(ended)
}
