//! `POST /stacks/{stack}/traffic`: a change of traffic from elsewhere, for whoever shows the token.
//!
//! The body is the traffic value, as text. It sets the key, only if it is still what it was, and writes the history; it
//! waits for no instance: `GET /status` tells who has it.

use hyper::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;

use super::post::{Post, stack_of};
use super::problem::{Kind, Problem};
use crate::color::Color;
use crate::config::Stack;
use crate::history::{self, Entry};
use crate::registry;
use crate::serve::Shared;
use crate::serve::answer::{Answer, json};
use crate::store::{Outcome, Reading, StoreError};
use crate::traffic::Traffic;

/// The header that says why, for the history.
pub(super) const WHY_HEADER: &str = "X-Why";

/// What was done.
#[derive(Serialize)]
struct Done<'a> {
    stack: &'a str,
    from: Option<String>,
    to: String,
    changed: bool,
}

/// Answers a change.
pub(super) async fn change(shared: &Shared, post: &Post) -> Result<Answer, Problem> {
    let stack = post.stack.as_str();
    let why = reason(&post.headers)
        .map_err(|text| Problem::new(Kind::InvalidRequest, format!("{WHY_HEADER}: {text}")))?;
    let serving = shared.state.serving();
    let config = stack_of(&serving, stack)?;
    let to = Traffic::parse(&post.body, &config.colors)
        .map_err(|error| Problem::new(Kind::InvalidTraffic, error.to_string()))?;
    let from = serving
        .stacks
        .get(stack)
        .map(|known| known.traffic.to_string());
    let entry = Entry {
        at: Timestamp::now(),
        from: from.clone().unwrap_or_default(),
        to: to.to_string(),
        by: post.by(),
        why,
    };
    let changed = set(shared, stack, config, &to, &entry).await?;
    Ok(json(Done {
        stack,
        from,
        to: to.to_string(),
        changed,
    }))
}

/// The reason that a change gives; empty where it gives none.
fn reason(headers: &HeaderMap) -> Result<String, String> {
    let Some(value) = headers.get(WHY_HEADER) else {
        return Ok(String::new());
    };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| "it is not UTF-8".to_owned())?;
    history::reason(text)
}

/// Sets the key unless it says so already; tells whether it was set.
async fn set(
    shared: &Shared,
    name: &str,
    stack: &Stack,
    to: &Traffic,
    entry: &Entry,
) -> Result<bool, Problem> {
    let (key, colors) = (&stack.key, &stack.colors);
    let failed = |error| Problem::store(&error, "; nothing was changed");
    let mut session = shared.store.connect(key).await.map_err(failed)?;
    let reports = match session.reports(key).await {
        // Without the right to it nothing is known of the others.
        Err(StoreError::Refused(_)) => Vec::new(),
        reports => reports.map_err(failed)?,
    };
    if let Some(other) = registry::other_stack(&reports, name) {
        return Err(Problem::key_of_another(key, name, other));
    }
    let is = session.read_one(key).await.map_err(failed)?;
    let told = is.tells(colors, stack.guard.is_some());
    if told.as_ref() == Some(to) {
        return Ok(false);
    }
    match session.set(key, &is.reading, entry).await.map_err(failed)? {
        Outcome::Set => Ok(true),
        Outcome::Conflict(reading) => {
            let detail = "somebody else changed the traffic at the same time; nothing was changed";
            let says = traffic_of(&reading, colors).map(|traffic| traffic.to_string());
            Err(Problem::new(Kind::Conflict, detail).traffic(says))
        }
    }
}

/// The traffic that a key holds, where it holds any.
fn traffic_of(reading: &Reading, colors: &[Color]) -> Option<Traffic> {
    match reading {
        Reading::Value(value) => Traffic::parse(value, colors).ok(),
        _ => None,
    }
}
