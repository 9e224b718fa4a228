//! The forms that things have in Redis: the registry's fields, the entries of the history, the pushes.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use redis::{PushInfo, Value};
use serde::de::DeserializeOwned;

use crate::history::Entry;
use crate::store::Changed;

/// What a push names as changed: keys, or nil for all of them, as after FLUSHALL (RESP3, "Client-side caching").
pub(super) fn invalidated(push: PushInfo) -> Changed {
    let names = push.data.into_iter().map(redis::from_redis_value);
    let names: Result<Vec<Vec<String>>, _> = names.collect();
    match names {
        Ok(names) if names.iter().any(|names| !names.is_empty()) => {
            Changed::Names(names.into_iter().flatten().collect())
        }
        // Nil is no name at all; and a name that is no UTF-8 is none of ours, but an odd server is better asked.
        _ => Changed::Anything,
    }
}

/// The field of the list of a provider's instances, beside that of its report.
pub(super) fn list_field(provider: &str) -> String {
    format!("{provider}#instances")
}

/// What was written, and how long ago; `now` and what is written before it are the server's milliseconds.
pub(super) fn stamped<T: DeserializeOwned>(stamped: &[u8], now: u64) -> Option<(T, Duration)> {
    let text = std::str::from_utf8(stamped).ok()?;
    let (at, json) = text.split_once(' ')?;
    let age = Duration::from_millis(now.saturating_sub(at.parse().ok()?));
    Some((serde_json::from_str(json).ok()?, age))
}

/// The fields of an entry as they stand in the stream.
pub(super) fn fields(entry: &Entry) -> [(&'static str, String); 5] {
    let Entry {
        at,
        from,
        to,
        by,
        why,
    } = entry.clone();
    [
        ("at", at.to_string()),
        ("from", from),
        ("to", to),
        ("by", by),
        ("why", why),
    ]
}

/// The entries of a part of the stream. One that somebody else wrote in another form is passed over.
pub(super) fn entries(stream: Value) -> Vec<Entry> {
    let stream: Vec<(String, HashMap<String, String>)> =
        redis::from_redis_value(stream).unwrap_or_default();
    let parsed = stream.into_iter().filter_map(|(id, mut fields)| {
        let mut take = |name| fields.remove(name);
        // The server's own time stands in the id, in milliseconds.
        let millis = id.split('-').next()?.parse().ok()?;
        let at = take("at").and_then(|at| at.parse().ok());
        Some(Entry {
            at: at.or_else(|| Timestamp::from_millisecond(millis).ok())?,
            from: take("from").unwrap_or_default(),
            to: take("to")?,
            by: take("by").unwrap_or_default(),
            why: take("why").unwrap_or_default(),
        })
    });
    parsed.collect()
}
