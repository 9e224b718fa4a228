//! What an error of Redis means for whoever asked, and in his words.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

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
    let loading = error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading);
    if is_broken(&error) || loading || is_elsewhere(&error) {
        unreachable(error)
    } else {
        StoreError::Refused(in_words(&error))
    }
}

pub(super) fn write_error(error: RedisError) -> StoreError {
    if is_elsewhere(&error) {
        unreachable(error)
    } else if is_broken(&error) {
        StoreError::Unknown(in_words(&error))
    } else {
        StoreError::Refused(in_words(&error))
    }
}

/// Whether a node of a cluster knows of no owner for some of the slots.
pub(super) fn is_down(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ClusterDown)
}

/// Whether a node of a cluster did not do what was asked because it, or nobody yet, has the key.
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
        )
    )
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
    let text = error.to_string().replace(['\r', '\n'], " ");
    // Behind this redis names the place in the script, which is none of the operator's.
    let cause = text.split(" script: ").next().unwrap_or(&text);
    cause.to_owned()
}
