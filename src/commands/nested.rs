//! Commands that a hook calls: none may wait for the rollout that waits for it.

use serde_json::json;

use super::change::{Change, context};
use super::observer::Observer;
use super::{Exit, Failure, NOTHING_CHANGED};
use crate::rollout::before::Before;
use crate::rollout::engine::Left;
use crate::rollout::event::Event;
use crate::rollout::nested;
use crate::rollout::record::Record;

/// The rollout that this process is a hook of, while it runs.
pub(super) fn own_rollout(before: &Before) -> Option<Record> {
    let kept = before.kept.as_ref().ok()?;
    let record = kept.record.as_deref().and_then(Record::of_json)?;
    (is_of(&record) && !record.has_ended()).then_some(record)
}

/// Whether this process is a hook of a rollout.
pub(super) fn is_of(rollout: &Record) -> bool {
    std::env::var("BLUEGREEN_ROLLOUT").is_ok_and(|id| id == rollout.id)
}

impl Change<'_> {
    /// Refuses what would wait for itself.
    pub(super) fn refuse_nested(&self, before: &Before) -> Result<(), Failure> {
        let Some(own) = own_rollout(before) else {
            return Ok(());
        };
        let message = format!(
            "a hook of a rollout ({}) calls this {}, which would wait for the end of that rollout, and so for itself{NOTHING_CHANGED}",
            own.what(),
            self.kind.word()
        );
        Err(Failure::new(Exit::Conflict, message).hint(
            "a `before` or `after` hook may call `bluegreen shift`; one that fails has the rollout refused, or go back",
        ))
    }

    /// Makes a shift in the name of the rollout that this process is a hook of.
    pub(super) async fn shift_of(&self, own: &Record, before: Before) -> Result<(), Failure> {
        let observer = Observer::new(self.common);
        let tell = |event: Event<'_>| observer.tell(event);
        let context = context(
            self.common,
            self.config,
            self.name,
            self.stack,
            self.place,
            &tell,
        );
        let shift = self.record(&before);
        let (record, outcome) = nested::shift(context, before, shift, &own.id).await;
        let left = Left::Ended(Box::new(outcome));
        self.told(&record)
            .of(&left, json!({ "id": own.id }))?
            .print();
        Ok(())
    }
}
