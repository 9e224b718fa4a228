//! Following a rollout that runs elsewhere, until it has ended.

use std::time::{Duration, Instant};

use super::progress::Progress;
use super::underway::sentence;
use super::{Common, Exit, Failure, NOTHING_CHANGED, talk_unless_quiet};
use crate::rollout::adopt::adopt;
use crate::rollout::context::Context;
use crate::rollout::engine::Left;
use crate::rollout::interrupts::Interrupts;
use crate::rollout::record::{Lost, Record};
use crate::rollout::remote::is_abandoned;
use crate::store::Kept;

/// For how long a provider may take to carry a rollout on, before it is carried on here.
const A_PROVIDER_COMES: Duration = Duration::from_secs(4);

/// How often the record is looked at, where the store tells nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Waits until a rollout that runs elsewhere has ended; carries it on where nobody else does.
pub(super) async fn follow(
    common: &Common,
    context: Context<'_>,
    mut record: Record,
    by: &str,
    interrupts: &mut Interrupts,
) -> Result<(Record, Left), Failure> {
    let key = &context.stack.key;
    let mut session = None;
    let mut progress = Progress::new(common.quiet || common.json);
    let mut free_since: Option<Instant> = None;
    let id = record.id.clone();
    loop {
        let looked = async {
            let session = match &mut session {
                Some(session) => session,
                None => session.insert(common.store.connect(key).await?),
            };
            session.rollout_of(key).await
        };
        match looked.await {
            Ok(Ok(kept)) => {
                let now = kept.record.as_deref().and_then(Record::of_json);
                match now.filter(|now| now.id == id) {
                    Some(now) => record = now,
                    None => {
                        let other = now_there(&kept);
                        return Ok((record, Left::Lost(Lost(other))));
                    }
                }
                if let Some(outcome) = &record.outcome {
                    let outcome = Box::new(outcome.clone());
                    return Ok((record, Left::Ended(outcome)));
                }
                progress.show(&sentence(&record, &kept));
                let since = is_abandoned(&record, &kept)
                    .then(|| *free_since.get_or_insert_with(Instant::now));
                match since {
                    None => free_since = None,
                    Some(since) if since.elapsed() >= A_PROVIDER_COMES => {
                        talk_unless_quiet(common, "no provider carries it on: it is done here");
                        progress.clear();
                        let adopted = adopt(context, by, true, interrupts, std::future::pending());
                        let adopted = adopted.await.map_err(|error| {
                            Failure::store(&common.store, &error, NOTHING_CHANGED)
                        })?;
                        if let Some(ended) = adopted {
                            return Ok(ended);
                        }
                        free_since = None;
                    }
                    Some(_) => {}
                }
            }
            Ok(Err(unreadable)) => progress.show(&format!("waiting: {unreadable}")),
            Err(error) => {
                session = None;
                progress.show(&format!("waiting for the store: {error}"));
            }
        }
        let changed = async {
            match &mut session {
                Some(session) => session.changed().await.is_err(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            lost = changed => if lost { session = None },
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = interrupts.received() => {
                let message = "interrupted: the rollout goes on where it runs";
                return Err(Failure::new(Exit::Unconfirmed, message).hint("look with `bluegreen rollout`"));
            }
        }
    }
}

/// Whose rollout is there instead.
fn now_there(kept: &Kept) -> String {
    let record = kept.record.as_deref().and_then(Record::of_json);
    record.map_or_else(|| "somebody".to_owned(), |record| record.whose())
}
