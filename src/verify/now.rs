//! Production before a change: whether it is the production of this stack at all, and whether it is well.
//!
//! A wrong address has to be found out before anybody is sent elsewhere. A color that is broken must not keep the
//! traffic for that: what is ours and unwell is told apart from what is not ours.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::answer::Asked;
use super::applied::routes_by;
use super::ask::NoAnswer;
use super::production::{plan, urls};
use crate::config::{Service, Stack};
use crate::traffic::Traffic;

/// What seems not to be ours is asked again for so long: a Traefik that was just started has no router yet.
const PATIENCE: Duration = Duration::from_secs(3);

/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// What production is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Now {
    /// Nothing speaks against it.
    Well,
    /// It is ours as far as can be told, but a service fails, and how.
    Unwell(String),
    /// It is not what this stack's traffic goes through, and how that shows.
    Foreign(String),
    /// Nobody is there, and why.
    Unreachable(String),
    /// Nothing could be asked.
    NotKnown,
}

/// What one service shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// A color that has traffic has answered.
    Ours,
    /// An answer that says nothing of who gave it.
    Anybodys,
    /// An error, or no answer.
    Unwell(String),
    /// Somebody else has answered.
    Foreign(String),
    /// Nobody is there.
    Unreachable(String),
    /// It can't be asked.
    NotKnown,
}

/// Looks at production: whether what has the traffic answers there. `revisions` are those of the documents that the
/// instances have, where production can be asked for them: a marker of the config's own is on another entrypoint.
pub async fn look(stack: &Stack, traffic: &Traffic, revisions: &BTreeSet<String>) -> Now {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let services = stack.services.values().flat_map(|service| {
            let urls = urls(stack, service).iter();
            urls.map(move |url| show(stack, service, url, traffic))
        });
        let shows = join_all(services).await;
        let now = match (judge(&shows, false), &stack.production) {
            (Now::Foreign(_), Some(url)) if routes_by(url, revisions).await => judge(&shows, true),
            (now, _) => now,
        };
        match now {
            Now::Foreign(_) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            now => return now,
        }
    }
}

/// What production is by what its services show, and whether it routes by a document of ours.
fn judge(shows: &[Shows], routes_by_ours: bool) -> Now {
    let is_ours = routes_by_ours || shows.contains(&Shows::Ours);
    let first = |what: fn(&Shows) -> Option<&String>| shows.iter().find_map(what).cloned();
    let unreachable = first(|shows| match shows {
        Shows::Unreachable(why) => Some(why),
        _ => None,
    });
    let foreign = first(|shows| match shows {
        Shows::Foreign(why) => Some(why),
        _ => None,
    });
    let unwell = first(|shows| match shows {
        Shows::Foreign(why) | Shows::Unwell(why) => Some(why),
        _ => None,
    });
    match (unreachable, foreign, unwell) {
        (Some(why), ..) => Now::Unreachable(why),
        (_, Some(why), _) if !is_ours => Now::Foreign(why),
        (.., Some(why)) => Now::Unwell(why),
        _ if is_ours || shows.contains(&Shows::Anybodys) => Now::Well,
        _ => Now::NotKnown,
    }
}

/// What one service shows at one of its entrypoints.
async fn show(stack: &Stack, service: &Service, url: &str, traffic: &Traffic) -> Shows {
    let Ok(planned) = plan(url, service) else {
        return Shows::NotKnown;
    };
    let request = &planned.request;
    let answer = match request.ask().await {
        Ok(answer) => answer,
        Err(NoAnswer::Unreachable(why)) => return Shows::Unreachable(format!("{url}: {why}")),
        Err(NoAnswer::ClientCertificate(_)) => return Shows::NotKnown,
        Err(NoAnswer::Broken(why)) => return Shows::Unwell(format!("{}: {why}", request.shown())),
    };
    let asked = Asked {
        request,
        strict: planned.strict,
        also_https: false,
        traffic,
        stack,
    };
    if let Some(shows) = asked.shows(&answer) {
        return shows;
    }
    let direct = planned.ask_servers(service, traffic).await;
    let shown = format!("{}: {}", request.shown(), answer.shown());
    match direct.iter().any(|one| one.status == answer.status) {
        true if planned.strict => Shows::Unwell(shown),
        true => Shows::Anybodys,
        false => Shows::Foreign(format!(
            "{shown}, which is not what the servers of {traffic} answer"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every two services, with what is ours and without: a wrong address is refused, and a broken color never is.
    #[test]
    fn what_is_unwell_is_told_apart_from_what_is_not_ours() {
        let all = [
            Shows::Ours,
            Shows::Anybodys,
            Shows::Unwell("500".to_owned()),
            Shows::Foreign("404".to_owned()),
            Shows::Unreachable("refused".to_owned()),
            Shows::NotKnown,
        ];
        for one in &all {
            for other in &all {
                for routes_by_ours in [false, true] {
                    let both = [one.clone(), other.clone()];
                    let has = |shows: &Shows| both.contains(shows);
                    let is_ours = routes_by_ours || has(&all[0]);
                    let expected = if has(&all[4]) {
                        Now::Unreachable("refused".to_owned())
                    } else if has(&all[3]) && !is_ours {
                        Now::Foreign("404".to_owned())
                    } else if let Some(Shows::Unwell(why) | Shows::Foreign(why)) = both
                        .iter()
                        .find(|shows| matches!(shows, Shows::Unwell(_) | Shows::Foreign(_)))
                    {
                        Now::Unwell(why.clone())
                    } else if is_ours || has(&all[1]) {
                        Now::Well
                    } else {
                        Now::NotKnown
                    };
                    assert_eq!(
                        judge(&both, routes_by_ours),
                        expected,
                        "{both:?} {routes_by_ours}"
                    );
                }
            }
        }
    }
}
