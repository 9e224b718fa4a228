//! `GET /stacks/{stack}/history`: who changed the traffic, when and why, the newest first.

use url::form_urlencoded;

use super::post::stack_of;
use super::problem::{Kind, Problem};
use crate::history::KEPT;
use crate::serve::Shared;
use crate::serve::answer::{Answer, json};

/// How many changes there are where nobody says how many.
const DEFAULT: usize = 20;

/// Answers what the store has of a stack's history.
pub(super) async fn list(
    shared: &Shared,
    stack: &str,
    query: Option<&str>,
) -> Result<Answer, Problem> {
    let most = limit(query).map_err(|detail| Problem::new(Kind::InvalidRequest, detail))?;
    let serving = shared.state.serving();
    let key = &stack_of(&serving, stack)?.key;
    let failed = |error| Problem::store(&error, "");
    let mut session = shared.store.connect(key).await.map_err(failed)?;
    let entries = session.past(key, most).await.map_err(failed)?;
    Ok(json(entries))
}

/// How many changes a query asks for.
fn limit(query: Option<&str>) -> Result<usize, String> {
    let mut limit = DEFAULT;
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if name != "limit" {
            return Err(format!("`{name}` means nothing here; there is `limit`"));
        }
        limit = match value.parse() {
            Ok(limit @ 1..=KEPT) => limit,
            _ => return Err(format!("`limit` is a whole number from 1 to {KEPT}")),
        };
    }
    Ok(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_whole_number_in_range() {
        assert_eq!(limit(None), Ok(DEFAULT));
        assert_eq!(limit(Some("")), Ok(DEFAULT));
        assert_eq!(limit(Some("limit=1")), Ok(1));
        assert_eq!(limit(Some("limit=1000")), Ok(KEPT));
        for wrong in [
            "limit",
            "limit=",
            "limit=0",
            "limit=-1",
            "limit=1.0",
            "limit=1001",
            "limit=99999999999999999999999",
            "limt=5",
            "limit=5&x=1",
        ] {
            assert!(limit(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
