//! Repair: what `check` would refuse is taken out of the draft, and told.

use serde_json::{Map, Value};

use super::Notes;
use super::draft::{Draft, Said};
use super::write::UNKNOWN;
use crate::config::Mistake;

/// A step of the path of a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Changes the draft so that it no longer has this mistake; says whether that was possible.
pub(super) fn repair(draft: &mut Draft, mistake: &Mistake, notes: &mut Notes) -> bool {
    let steps = steps(&mistake.key);
    let keys: Vec<_> = steps
        .iter()
        .map(|step| match step {
            Step::Key(key) => key.as_str(),
            Step::Index(_) => "",
        })
        .collect();
    let what = format!("`{}`: {}", mistake.key, mistake.message);
    match keys.as_slice() {
        ["traefik", ..] => {
            let done = mend(&mut draft.traefik, &steps[1..], mistake);
            notes.add(done.told(&what));
            true
        }
        ["stacks", _, "services", name, rest @ ..] => {
            let Some(service) = draft.services.iter_mut().find(|s| s.name == *name) else {
                return false;
            };
            match rest {
                ["router", "entryPoints", ..] => service.entry_points.clear(),
                ["router", _, ..] => {
                    let done = mend(&mut service.router, &steps[5..], mistake);
                    notes.add(done.told(&what));
                    return true;
                }
                ["loadBalancer", ..] => {
                    let done = mend(&mut service.load_balancer, &steps[5..], mistake);
                    notes.add(done.told(&what));
                    return true;
                }
                ["rule"] if service.rule.comment.is_none() => {
                    let comment = format!("{UNKNOWN}: they say {}", service.rule.value);
                    service.rule = Said::with(format!("Host(`{name}.localhost`)"), comment);
                }
                ["health"] => service.health = None,
                // One of several replicas.
                ["servers", color, ""] => {
                    let of_color = service
                        .servers
                        .iter_mut()
                        .find(|(c, _)| c.as_str() == *color);
                    let (Some((_, urls)), Some(Step::Index(at))) = (of_color, steps.last()) else {
                        return false;
                    };
                    if *at >= urls.len() {
                        return false;
                    }
                    urls.remove(*at);
                }
                _ if service.off.is_none() => service.off = Some(mistake.message.clone()),
                _ => return false,
            }
            notes.add(format!("{what}; look at it in the file"));
            true
        }
        ["stacks", _, "production"] if draft.production.is_some() => {
            draft.production = None;
            notes.add(what);
            true
        }
        ["stacks", _, "containers", ..] if draft.containers_unsure.is_none() => {
            draft.containers.clear();
            notes.add(what);
            true
        }
        ["stacks", _, "entryPoints", ..] if !draft.entry_points.is_empty() => {
            draft.entry_points.clear();
            notes.add(what);
            true
        }
        _ => false,
    }
}

/// What was done about a mistake in a verbatim part.
enum Done {
    Named(String),
    Removed,
}

impl Done {
    fn told(self, what: &str) -> String {
        match self {
            Self::Named(name) => format!("{what} in the files: taken as `{name}`"),
            Self::Removed => format!("left out: {what}"),
        }
    }
}

/// Names the provider of what is not in the files, or removes what the mistake is about.
fn mend(map: &mut Map<String, Value>, steps: &[Step], mistake: &Mistake) -> Done {
    let mut root = Value::Object(std::mem::take(map));
    let done = match at(&mut root, steps) {
        Some(Value::String(name))
            if mistake.message.ends_with("does not exist") && !name.contains('@') =>
        {
            name.push_str("@file");
            Done::Named(name.clone())
        }
        _ => {
            remove(&mut root, steps);
            Done::Removed
        }
    };
    if let Value::Object(mended) = root {
        *map = mended;
    }
    done
}

fn at<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key.as_str()),
        Step::Index(index) => value.get_mut(*index),
    })
}

/// Removes the value at a path; of one that is not there, what is around it.
fn remove(root: &mut Value, steps: &[Step]) {
    let Some((last, before)) = steps.split_last() else {
        *root = Value::Object(Map::new());
        return;
    };
    let removed = match (at(root, before), last) {
        (Some(Value::Object(map)), Step::Key(key)) => map.remove(key).is_some(),
        (Some(Value::Array(values)), Step::Index(index)) if *index < values.len() => {
            values.remove(*index);
            true
        }
        _ => false,
    };
    if !removed {
        remove(root, before);
    }
}

/// The path of a mistake, read again: `stacks.deals.services."a.b".router.middlewares[0]`.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(index) = rest.strip_prefix('[')
            && let Some((index, after)) = index.split_once(']')
        {
            steps.extend(index.parse().ok().map(Step::Index));
            rest = after;
        } else if rest.starts_with('"') {
            let mut quoted = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let Some(Ok(key)) = quoted.next() else { break };
            rest = &rest[quoted.byte_offset()..];
            steps.push(Step::Key(key));
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(Step::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_is_read_again() {
        let key = |key: &str| Step::Key(key.to_owned());
        let read = steps("a.\"b.c\".d-e[1][2].f");
        assert_eq!(
            read,
            [
                key("a"),
                key("b.c"),
                key("d-e"),
                Step::Index(1),
                Step::Index(2),
                key("f")
            ]
        );
        assert!(steps("").is_empty());
    }

    #[test]
    fn what_a_path_leads_to_is_removed_or_what_is_around_it() {
        let mut value = json!({ "a": { "b": [1, { "c": 2 }] }, "d": 3 });
        remove(&mut value, &steps("a.b[1].c"));
        assert_eq!(value, json!({ "a": { "b": [1, {}] }, "d": 3 }));
        remove(&mut value, &steps("a.b[1].gone"));
        assert_eq!(value, json!({ "a": { "b": [1] }, "d": 3 }));
    }
}
