//! The forms that things have in Redis: the registry's fields, the entries of the history, the pushes.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use redis::{PushInfo, RedisResult, Value};
use serde::de::DeserializeOwned;

use crate::history::{Entry, Recorded};
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

/// Whether a field is such a list.
pub(super) fn is_list_field(field: &str) -> bool {
    field.ends_with("#instances")
}

/// The server's time, as TIME answers it.
pub(super) fn timestamp(time: Value) -> Option<Timestamp> {
    let (seconds, micros): (i64, i64) = redis::from_redis_value(time).ok()?;
    // In milliseconds, as in the ids of a stream, so that the two can be compared.
    Timestamp::from_millisecond(seconds * 1000 + micros / 1000).ok()
}

/// What was written, and how long ago; `now` and what is written before it are the server's milliseconds.
pub(super) fn stamped<T: DeserializeOwned>(stamped: &[u8], now: u64) -> Option<(T, Duration)> {
    let (age, json) = age(stamped, now)?;
    Some((serde_json::from_slice(json).ok()?, age))
}

/// How long ago something was written, and what. A time to come tells that the server's clock was set back since, at
/// least by so much: whoever still writes has done so again a second later.
pub(super) fn age(stamped: &[u8], now: u64) -> Option<(Duration, &[u8])> {
    let end = stamped.iter().position(|byte| *byte == b' ')?;
    let at: u64 = std::str::from_utf8(&stamped[..end]).ok()?.parse().ok()?;
    let age = Duration::from_millis(now.abs_diff(at));
    Some((age, &stamped[end + 1..]))
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

/// The entries of a part of the stream, each with the server's own time, which stands in its id. Anybody can add one of
/// another form: what is missing is empty, what is no text is made one, and none hides the others.
pub(super) fn entries(stream: Value) -> RedisResult<Vec<Recorded>> {
    type Fields = HashMap<Vec<u8>, Vec<u8>>;
    let stream: Vec<(String, Fields)> = redis::from_redis_value(stream)?;
    let recorded = stream.into_iter().map(|(id, fields)| {
        let text = |name: &str| {
            let text = fields.get(name.as_bytes());
            text.map_or_else(String::new, |text| {
                String::from_utf8_lossy(text).into_owned()
            })
        };
        let millis = id.split('-').next().and_then(|millis| millis.parse().ok());
        let at = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
        // An id can be beyond any time; it is newer than all others then.
        let at = at.unwrap_or(Timestamp::MAX);
        Recorded {
            at,
            entry: Entry {
                at: text("at").parse().unwrap_or(at),
                from: text("from"),
                to: text("to"),
                by: text("by"),
                why: text("why"),
            },
        }
    });
    Ok(recorded.collect())
}
