//! The attempts to set the key back: which comes next, and what is known in the end.
//!
//! A store may refuse for a second, as in a failover or with its memory full, or be away: it is tried until the time is
//! over. A refusal is known to have changed nothing; a write that was not answered may still be done.

use std::time::Instant;

use crate::store::Reading;

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The key is set.
    Set,
    /// The key holds what somebody else has set meanwhile.
    Taken(Reading),
    /// The key is gone or garbled, which says nothing.
    Garbled(Reading),
    /// The store could not be reached, or has refused: nothing was written.
    NotWritten(NotWritten),
    /// The store did not answer, and why that is.
    Unanswered(String),
}

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotWritten {
    /// The store refuses, in its words.
    Refused(String),
    /// The store can't be reached.
    Away(String),
}

/// What is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try at once, where the key still holds this.
    Expect(Reading),
    /// Try again after a pause, because of this.
    Pause(String),
    /// No more.
    End(End),
}

/// What is known in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The key is set back.
    Back,
    /// The key holds what somebody else has set meanwhile.
    Taken(Reading),
    /// The new traffic stands.
    Stands(NotWritten),
    /// It can't be told.
    Unknown(String),
}

/// The attempts so far.
#[derive(Debug)]
pub(super) struct Attempts {
    until: Instant,
    /// Why one of them was not answered.
    unanswered: Option<String>,
}

impl Attempts {
    /// None yet; the time is over at that instant.
    pub(super) fn until(until: Instant) -> Self {
        Self {
            until,
            unanswered: None,
        }
    }

    /// There is to be none after the next one.
    pub(super) fn give_up(&mut self) {
        self.until = self.until.min(Instant::now());
    }

    /// What is next after this attempt, now.
    pub(super) fn next(&mut self, attempt: Attempt, now: Instant) -> Next {
        let over = now >= self.until;
        match attempt {
            Attempt::Set => Next::End(End::Back),
            Attempt::Taken(reading) => Next::End(End::Taken(reading)),
            Attempt::Garbled(reading) if over => Next::End(End::Taken(reading)),
            Attempt::Garbled(reading) => Next::Expect(reading),
            Attempt::Unanswered(why) => {
                self.unanswered = Some(why.clone());
                match over {
                    true => Next::End(End::Unknown(why)),
                    false => Next::Pause(why),
                }
            }
            Attempt::NotWritten(why) if over => Next::End(match &self.unanswered {
                Some(why) => End::Unknown(why.clone()),
                None => End::Stands(why),
            }),
            Attempt::NotWritten(NotWritten::Refused(why) | NotWritten::Away(why)) => {
                Next::Pause(why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
        let away = || NotWritten::Away("away".to_owned());
        let refused = || NotWritten::Refused("OOM".to_owned());
        let one = prop_oneof![
            Just(Attempt::Set),
            Just(Attempt::Taken(Reading::Value(b"blue:1".to_vec()))),
            Just(Attempt::Garbled(Reading::Missing)),
            Just(Attempt::NotWritten(refused())),
            Just(Attempt::NotWritten(away())),
            Just(Attempt::Unanswered("silent".to_owned())),
        ];
        proptest::collection::vec(one, 1..12)
    }

    proptest! {
        /// An attempt a second, for five seconds.
        #[test]
        fn only_what_is_known_is_said_and_only_the_time_ends_the_attempts(attempts in attempts()) {
            let began = Instant::now();
            let mut all = Attempts::until(began + Duration::from_secs(5));
            let mut unanswered = false;
            for (second, attempt) in (0..).zip(attempts) {
                let now = began + Duration::from_secs(second);
                let over = second >= 5;
                unanswered |= matches!(attempt, Attempt::Unanswered(_));
                match (attempt.clone(), all.next(attempt, now)) {
                    (Attempt::Set, next) => prop_assert_eq!(next, Next::End(End::Back)),
                    (Attempt::Taken(reading), next) => prop_assert_eq!(next, Next::End(End::Taken(reading))),
                    (_, Next::End(end)) => {
                        prop_assert!(over);
                        let known = matches!(end, End::Stands(_) | End::Taken(_));
                        prop_assert!(!(unanswered && matches!(end, End::Stands(_))), "{:?}", end);
                        prop_assert!(known || unanswered, "{:?}", end);
                    }
                    (_, next) => prop_assert!(!over, "{:?}", next),
                }
                if over { break; }
            }
        }
    }

    #[test]
    fn a_refusal_is_known_and_a_write_that_was_not_answered_is_not() {
        let began = Instant::now();
        let refused = NotWritten::Refused("OOM".to_owned());
        let attempt = || Attempt::NotWritten(refused.clone());
        let mut all = Attempts::until(began);
        assert_eq!(
            all.next(attempt(), began),
            Next::End(End::Stands(refused.clone()))
        );
        all.next(Attempt::Unanswered("silent".to_owned()), began);
        assert_eq!(
            all.next(attempt(), began),
            Next::End(End::Unknown("silent".to_owned()))
        );
    }
}
