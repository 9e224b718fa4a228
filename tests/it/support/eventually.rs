//! Waits for what becomes true.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Between two looks: short, so that a test takes no longer than what it waits for.
const PAUSE: Duration = Duration::from_millis(3);

/// Asks until the answer is `Ok`, and returns it. `Err` says what was seen instead.
///
/// ```ignore
/// eventually("the idle color is gone", Duration::from_secs(5), async || {
///     let seen = provider.status().await;
///     if seen["stacks"]["deals"]["draining"].is_null() { Ok(()) } else { Err(seen) }
/// })
/// .await;
/// ```
///
/// # Panics
///
/// After `within`, with what was seen last. A look that hangs is cut off then, too.
#[track_caller]
pub(crate) fn eventually<T, E: Display>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + within;
        let mut last = String::from("nothing");
        loop {
            match tokio::time::timeout_at(deadline.into(), look()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(seen)) => last = seen.to_string(),
                Err(_) => {}
            }
            // Not only where the look was cut off: one that never waits for anything is never late itself.
            assert!(
                Instant::now() < deadline,
                "{caller}: not within {within:?}: {what}; last seen: {last}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}
