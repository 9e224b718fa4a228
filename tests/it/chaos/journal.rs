//! The journal: everything that was written of one stack's traffic, in the order in which Redis did it, as its MONITOR
//! tells; and what has to hold of it, whatever happened.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::eventually;
use crate::support::redis::Redis;

/// For how long a lease lasts without being renewed, in seconds.
const LASTS: f64 = 5.0;

/// One write.
#[derive(Clone, Debug)]
pub(super) struct Write {
    /// When, in seconds, by the clock of Redis.
    pub(super) at: f64,
    /// Whether one of bluegreen's scripts did it; else it was a plain SET.
    pub(super) by_script: bool,
    pub(super) what: What,
}

/// What was written.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// The key.
    Key(String),
    /// The record of the rollout.
    Record(Value),
    /// The lease, with the token of its holder; without one it was given back.
    Lease(String),
    /// A mark of a test's own.
    Mark(String),
}

/// The journal, which goes on by itself.
pub(super) struct Journal {
    writes: Arc<Mutex<Vec<Write>>>,
    newest: watch::Receiver<Value>,
    marks: usize,
    _running: JoinSet<()>,
}

impl Journal {
    pub(super) async fn of(redis: &Redis) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port()))
            .await
            .unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut lines = BufReader::new(stream).split(b'\n');
        assert_eq!(lines.next_segment().await.unwrap().unwrap(), b"+OK\r");
        let writes: Arc<Mutex<Vec<Write>>> = Arc::default();
        let (sender, newest) = watch::channel(Value::Null);
        let mut running = JoinSet::new();
        let kept = Arc::clone(&writes);
        running.spawn(async move {
            while let Ok(Some(line)) = lines.next_segment().await {
                let Some(write) = write(&line) else {
                    continue;
                };
                if let What::Record(record) = &write.what {
                    sender.send_replace(record.clone());
                }
                kept.lock().unwrap().push(write);
            }
        });
        Self {
            writes,
            newest,
            marks: 0,
            _running: running,
        }
    }

    /// The record that was written last.
    pub(super) fn newest(&self) -> Value {
        self.newest.borrow().clone()
    }

    /// Waits for a record that is as it should be.
    pub(super) async fn has(
        &self,
        what: &str,
        within: Duration,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut newest = self.newest.clone();
        let found = tokio::time::timeout(within, newest.wait_for(|record| is_so(record))).await;
        let last = || self.newest();
        match found {
            Ok(found) => found.expect("the journal goes on").clone(),
            Err(_) => panic!("not within {within:?}: {what}; last seen: {}", last()),
        }
    }

    /// Waits until all that was done so far is in the journal, and gives what was written since the last time.
    pub(super) async fn turn(&mut self, redis: &Redis) -> Vec<Write> {
        self.marks += 1;
        let mark = format!("mark-{}", self.marks);
        redis.cli(&["SET", "mark", &mark]).await;
        let within = Duration::from_secs(10);
        let is_mark = |write: &Write| matches!(&write.what, What::Mark(is) if *is == mark);
        let all = eventually("the journal has it", within, async || {
            let mut writes = self.writes.lock().unwrap();
            match writes.iter().position(is_mark) {
                Some(at) => Ok(writes.drain(..=at).collect::<Vec<_>>()),
                None => Err("not yet"),
            }
        })
        .await;
        let is_mark = |write: &Write| matches!(write.what, What::Mark(_));
        all.into_iter().filter(|write| !is_mark(write)).collect()
    }
}

/// A line of MONITOR, such as `1700000000.5 [0 lua] "SET" "active" "green"`, where it is a write of these.
fn write(line: &[u8]) -> Option<Write> {
    let line = std::str::from_utf8(line).ok()?;
    let (at, rest) = line.trim_end().split_once(' ')?;
    let (from, command) = rest.split_once("] ")?;
    let words = words(command);
    let [set, key, value, ..] = &*words else {
        return None;
    };
    if !set.eq_ignore_ascii_case("set") {
        return None;
    }
    let json = || serde_json::from_str::<Value>(value).unwrap_or_default();
    let what = match &**key {
        "active" => What::Key(value.clone()),
        "{active}:rollout" => What::Record(json()),
        "{active}:lease" => What::Lease(text(&json()["token"]).to_owned()),
        "mark" => What::Mark(value.clone()),
        _ => return None,
    };
    Some(Write {
        at: at.parse().ok()?,
        by_script: from.ends_with("lua"),
        what,
    })
}

/// The quoted words of a line of MONITOR.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = command.bytes();
    while let Some(byte) = bytes.next() {
        match (&mut word, byte) {
            (None, b'"') => word = Some(Vec::new()),
            (None, _) => {}
            (Some(_), b'"') => {
                let word = word.take().unwrap_or_default();
                words.push(String::from_utf8_lossy(&word).into_owned());
            }
            (Some(word), b'\\') => word.push(match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits = [bytes.next(), bytes.next()].map(Option::unwrap_or_default);
                    let digits = String::from_utf8_lossy(&digits).into_owned();
                    u8::from_str_radix(&digits, 16).unwrap_or_default()
                }
                Some(other) => other,
                None => b'\\',
            }),
            (Some(word), byte) => word.push(byte),
        }
    }
    words
}

/// A text in a record; empty where there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The token of whoever runs a rollout.
pub(super) fn token(record: &Value) -> &str {
    text(&record["runner"]["token"])
}

/// Two that write in turn, where there are any: once a rollout or a runner has another one in its place, nothing of the
/// one before is written any more.
pub(super) fn two_at_once(writes: &[Write]) -> Result<(), String> {
    let mut runners: Vec<(String, String)> = Vec::new();
    let mut holders: Vec<String> = Vec::new();
    for write in writes {
        match &write.what {
            What::Record(record) => {
                let runner = (text(&record["id"]).to_owned(), token(record).to_owned());
                in_turn(&mut runners, runner, write)?;
            }
            What::Lease(token) if !token.is_empty() => {
                in_turn(&mut holders, token.clone(), write)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn in_turn<T: PartialEq>(all: &mut Vec<T>, one: T, write: &Write) -> Result<(), String> {
    if all.last() == Some(&one) {
        return Ok(());
    }
    if all.contains(&one) {
        return Err(format!("one wrote whose place was taken before: {write:?}"));
    }
    all.push(one);
    Ok(())
}

/// A value in the key that nobody has allowed, where there is one: bluegreen sets a step of the rollout whose record is
/// written with it, or what was before that.
pub(super) fn not_allowed(writes: &[Write]) -> Result<(), String> {
    for (nth, write) in writes.iter().enumerate() {
        let What::Key(value) = &write.what else {
            continue;
        };
        if !write.by_script {
            continue;
        }
        let Some(What::Record(record)) = writes.get(nth + 1).map(|next| &next.what) else {
            return Err(format!("the key was written without a record: {write:?}"));
        };
        let steps = record["request"]["steps"].as_array();
        let is_step = steps.is_some_and(|steps| steps.iter().any(|step| text(step) == value));
        if !is_step && text(&record["from"]) != value {
            return Err(format!("nobody has allowed `{value}`: {record}"));
        }
        if text(&record["traffic"]) != value {
            return Err(format!("the record does not say `{value}`: {record}"));
        }
    }
    Ok(())
}

/// Where the history does not tell what the key was set to, in the same order: what bluegreen sets is there at once; of what
/// others set, only what stood long enough to be seen.
pub(super) fn not_told(
    writes: &[Write],
    mut was: String,
    history: &[String],
) -> Result<(), String> {
    let mut told = history.iter().peekable();
    for write in writes {
        let What::Key(value) = &write.what else {
            continue;
        };
        let is_told = told.next_if(|told| *told == value).is_some();
        if !is_told && write.by_script {
            return Err(format!("`{value}` is missing in {history:?}, after {was}"));
        }
        was.clone_from(value);
    }
    match told.next() {
        None => Ok(()),
        Some(more) => Err(format!("`{more}` in {history:?} was never set")),
    }
}

/// How soon after a lease was over somebody had taken the rollout over, and how soon it had ended, in seconds: once for
/// each runner whose place another one has taken.
pub(super) fn taken_over(writes: &[Write]) -> Vec<(f64, f64)> {
    let mut leases: Vec<(&str, f64)> = Vec::new();
    let (mut runner, mut taken) = (None, Vec::new());
    let mut ended = 0.0;
    for write in writes {
        match &write.what {
            What::Lease(token) if token.is_empty() => {
                if let Some((_, until)) = leases.last_mut() {
                    *until = write.at;
                }
            }
            What::Lease(token) => leases.push((token, write.at + LASTS)),
            What::Record(record) => {
                if !record["outcome"].is_null() {
                    ended = write.at;
                }
                let is = (text(&record["id"]), token(record));
                if let Some((id, before)) = runner.replace(is)
                    && id == is.0
                    && before != is.1
                    && !before.is_empty()
                {
                    let lease = leases.iter().rev().find(|(token, _)| *token == before);
                    taken.extend(lease.map(|(_, over)| (*over, write.at)));
                }
            }
            _ => {}
        }
    }
    let since = |(over, at): (f64, f64)| (at - over, ended - over);
    taken.into_iter().map(since).collect()
}
