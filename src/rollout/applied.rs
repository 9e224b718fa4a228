//! Applied: whether Traefik not only has the new document, but routes by it.
//!
//! With a `marker` in the config every provider asks each of its instances. Else the Traefik at `production` is asked
//! here, by the marker that every document has.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::outcome::Proof;
use super::standing::Having;
use crate::registry::{Aged, revisions};
use crate::verify::routes_by;

/// For how long a production is asked that answers neither for the new document nor for the one before: something in
/// front of it may take the question, or its Traefik may just be changing from the one to the other.
const GRACE: Duration = Duration::from_secs(1);

/// What production answers for its marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It routes by the new document.
    New,
    /// It routes by the one before.
    Former,
    /// By neither, or it can't be asked.
    Neither,
}

/// Asks production by which document it routes.
pub(super) struct Asker {
    production: Option<String>,
    /// The revisions before the change.
    former: BTreeSet<String>,
    /// Whether it has answered for any.
    answers: bool,
}

impl Asker {
    /// For a change before which there were these reports.
    pub(super) fn new(production: Option<String>, before: &[Aged]) -> Self {
        Self {
            production,
            former: revisions(before),
            answers: false,
        }
    }

    /// Asks once, as has been done since then. Nothing where it does not route by the new document yet.
    pub(super) async fn ask(&mut self, having: &Having, since: Instant) -> Option<Proof> {
        if having.applied || having.names.is_empty() {
            return Some(Proof::Everywhere);
        }
        let Some(production) = &self.production else {
            return Some(Proof::NoProduction);
        };
        let answer = if routes_by(production, &having.revisions).await {
            Answer::New
        } else if self.answers || routes_by(production, &self.former).await {
            Answer::Former
        } else {
            Answer::Neither
        };
        self.answers |= answer != Answer::Neither;
        decide(answer, since.elapsed())
    }
}

/// What is known by an answer, after so long; nothing where it is to be asked again.
fn decide(answer: Answer, after: Duration) -> Option<Proof> {
    match answer {
        Answer::New => Some(Proof::AtProduction),
        Answer::Former => None,
        Answer::Neither => (after >= GRACE).then_some(Proof::NoAnswer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_production_that_has_answered_is_waited_for_and_no_other() {
        for (answer, soon, late) in [
            (
                Answer::New,
                Some(Proof::AtProduction),
                Some(Proof::AtProduction),
            ),
            (Answer::Former, None, None),
            (Answer::Neither, None, Some(Proof::NoAnswer)),
        ] {
            assert_eq!(decide(answer, Duration::ZERO), soon, "{answer:?}");
            assert_eq!(decide(answer, GRACE), late, "{answer:?}");
        }
    }
}
