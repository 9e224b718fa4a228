//! What an error of Redis means for whoever asked, and in his words.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::{Refusal, StoreError};

/// By these the server says that it serves nobody now, or not this key: it is as good as away.
const AWAY: [&str; 7] = [
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
];

/// These refusals end by themselves, or once another server is the primary.
const MAY_PASS: [&str; 4] = ["OOM", "MISCONF", "NOREPLICAS", "READONLY"];

/// Whether the connection is of no further use, and what was asked may have happened or not.
pub(super) fn is_broken(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.kind() == ErrorKind::Parse
}

pub(super) fn unreachable(error: RedisError) -> StoreError {
    StoreError::Unreachable(in_words(&error))
}

pub(super) fn read_error(error: RedisError) -> StoreError {
    if is_broken(&error) {
        unreachable(error)
    } else {
        answered(error)
    }
}

pub(super) fn write_error(error: RedisError) -> StoreError {
    if is_broken(&error) {
        StoreError::Unknown(in_words(&error))
    } else {
        answered(error)
    }
}

/// An error that the server has answered: nothing was written.
fn answered(error: RedisError) -> StoreError {
    let code = said(&error).map_or_else(String::new, |(code, _)| code);
    if AWAY.contains(&&*code) {
        return unreachable(error);
    }
    StoreError::Refused(Refusal {
        reason: in_words(&error),
        may_pass: MAY_PASS.contains(&&*code),
    })
}

/// Whether a node of a cluster knows of no owner for some of the slots.
pub(super) fn is_down(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ClusterDown)
}

/// The error on one line, without the client library's own vocabulary where that helps.
pub(super) fn in_words(error: &RedisError) -> String {
    if error.is_timeout() {
        return "redis does not answer".to_owned();
    }
    if error.is_connection_refusal() {
        return "connection refused: is redis running there?".to_owned();
    }
    if let Some((there, slot)) = error.redirect_node() {
        return format!(
            "slot {slot} of the Redis Cluster is on another node, {there}: where several stacks share a store, give their \
             keys a common hash tag, as in `key: \"{{bluegreen}}:deals\"`"
        );
    }
    let text = match (said(error), error.detail()) {
        (Some((code, text)), _) => format!("{code} {text}"),
        // Our own.
        (None, Some(text)) if error.kind() == ErrorKind::Client => text.to_owned(),
        (None, _) => error.to_string(),
    };
    // Behind this redis repeats what it was sent, which may be a password.
    let text = text
        .split(", with args beginning with:")
        .next()
        .unwrap_or(&text);
    text.trim_end().replace(['\r', '\n'], " ")
}

/// The code and the text of what the server has answered; of a script's error, those of its cause.
fn said(error: &RedisError) -> Option<(String, String)> {
    let errors = error.clone().into_server_errors()?;
    let (_, error) = errors.first()?;
    let (code, text) = (error.code(), error.details().unwrap_or_default());
    // Redis 6: `ERR Error running script (call to f_…): @user_script:8: @user_script: 8: -OOM command not …`
    if let ("ERR", true, Some((_, cause))) = (
        code,
        text.starts_with("Error running script"),
        text.rsplit_once("@user_script:"),
    ) {
        let is_place = |c: char| c == ' ' || c == ':' || c.is_ascii_digit();
        let cause = cause.trim_start_matches(is_place).trim_start_matches('-');
        let (code, text) = cause.split_once(' ').unwrap_or((cause, ""));
        return Some((code.to_owned(), text.to_owned()));
    }
    // Redis 7: `OOM command not allowed … script: f_…, on @user_script:8.`
    let cause = text.split(" script: ").next().unwrap_or(text);
    Some((code.to_owned(), cause.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it means for a read and for a write that the server has answered this.
    fn answer(line: &str) -> [StoreError; 2] {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        let error = value.unwrap().extract_error().unwrap_err();
        [read_error(error.clone()), write_error(error)]
    }

    #[test]
    fn what_a_server_answers_is_known_for_reads_and_writes_alike() {
        let in_redis_6 =
            "ERR Error running script (call to f_1e5): @user_script:7: @user_script: 7: -";
        let in_redis_7 = " script: f_1e5, on @user_script:7.";
        for (code, expected) in [
            ("LOADING", "away"),
            ("BUSY", "away"),
            ("MASTERDOWN", "away"),
            ("CLUSTERDOWN", "away"),
            ("TRYAGAIN", "away"),
            ("OOM", "refused, for now"),
            ("MISCONF", "refused, for now"),
            ("NOREPLICAS", "refused, for now"),
            ("READONLY", "refused, for now"),
            ("NOPERM", "refused"),
            ("WRONGTYPE", "refused"),
            ("ERR", "refused"),
        ] {
            let line = format!("{code} it says why");
            for whole in [
                line.clone(),
                format!("{in_redis_6}{line}"),
                format!("{line}{in_redis_7}"),
            ] {
                for error in answer(&whole) {
                    let is = match &error {
                        StoreError::Unreachable(_) => "away",
                        StoreError::Refused(refusal) if refusal.may_pass => "refused, for now",
                        StoreError::Refused(_) => "refused",
                        StoreError::Unknown(_) => "not known",
                    };
                    assert_eq!(is, expected, "{whole}");
                    assert_eq!(error.to_string(), line, "{whole}");
                }
            }
        }
        // Redis 6 on what a command itself answers in a script.
        let [_, error] =
            answer("ERR Error running script (call to f_1): @user_script:3: WRONGTYPE it says why");
        assert_eq!(error.to_string(), "WRONGTYPE it says why");
    }

    #[test]
    fn only_a_write_that_was_not_answered_is_not_known() {
        let timeout = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        assert!(matches!(read_error(timeout()), StoreError::Unreachable(_)));
        assert!(matches!(write_error(timeout()), StoreError::Unknown(_)));
    }
}
