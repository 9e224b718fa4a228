//! The names of what is beside a key, in the key's slot on a Redis Cluster.

/// All names under which something is written: the key itself, and what is beside it.
pub fn written(key: &str) -> [String; 6] {
    [
        key.to_owned(),
        history_key(key),
        refused_key(key),
        registry_key(key),
        lease_key(key),
        rollout_key(key),
    ]
}

/// The name of the history beside a key.
pub fn history_key(key: &str) -> String {
    beside(key, "history")
}

/// The name of what the guard has refused, beside a key.
pub fn refused_key(key: &str) -> String {
    beside(key, "refused")
}

/// The name of the registry of providers and instances beside a key.
pub fn registry_key(key: &str) -> String {
    beside(key, "instances")
}

/// The name of the lease beside a key, which a `flip` holds while it is at it.
pub fn lease_key(key: &str) -> String {
    beside(key, "lease")
}

/// The name of the record of the rollout beside a key.
pub fn rollout_key(key: &str) -> String {
    beside(key, "rollout")
}

/// A key that has a hash tag of its own keeps it; else the whole key becomes the tag (Redis Cluster specification,
/// "Hash tags": the first `{`, and the first `}` after it, with something between).
fn beside(key: &str, suffix: &str) -> String {
    let tagged = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .is_some_and(|(tag, _)| !tag.is_empty());
    if tagged {
        format!("{key}:{suffix}")
    } else {
        format!("{{{key}}}:{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_a_key_shares_its_slot() {
        assert_eq!(history_key("active"), "{active}:history");
        assert_eq!(registry_key("{deals}:active"), "{deals}:active:instances");
        assert_eq!(history_key("a{}b"), "{a{}b}:history");
        assert_eq!(rollout_key("active"), "{active}:rollout");
    }
}
