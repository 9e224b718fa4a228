//! One check: tried again while it fails and there is time.

use std::time::{Duration, Instant};

use super::report::{Kind, Line, Outcome};

/// How long a check may go on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What fails is tried again until then.
    pub again_until: Instant,
    /// What is under way is cut off then.
    pub deadline: Instant,
}

impl Limits {
    /// One time for both.
    pub fn until(deadline: Instant) -> Self {
        Self {
            again_until: deadline,
            deadline,
        }
    }
}

/// The pauses between two attempts: the first, and the longest. Each is twice the one before.
#[derive(Clone, Copy, Debug)]
pub struct Pauses(pub Duration, pub Duration);

impl Pauses {
    /// Of what costs nothing to ask.
    pub const LOOK: Self = Self(Duration::from_millis(100), Duration::from_millis(500));
    /// Of a smoke test, which may leave something behind each time.
    pub const SMOKE: Self = Self(Duration::from_secs(1), Duration::from_secs(10));
}

/// What there is to tell while checks run.
pub enum Told<'a> {
    /// A check has failed so far, and is tried again.
    Again {
        /// What it looks at.
        kind: Kind,
        /// Which of them.
        name: &'a str,
        /// What was wrong.
        detail: &'a str,
    },
    /// The outcome of a check.
    Line(&'a Line),
}

/// Who is told.
pub type Tell<'a> = dyn Fn(Told<'_>) + 'a;

/// Tries a check until it passes, or the time is over.
pub async fn measure(
    kind: Kind,
    name: String,
    limits: Limits,
    pauses: Pauses,
    tell: &Tell<'_>,
    mut attempt: impl AsyncFnMut() -> Outcome,
) -> Line {
    let began = Instant::now();
    let Pauses(mut pause, longest) = pauses;
    let mut attempts = 0;
    let mut last = None;
    let outcome = loop {
        attempts += 1;
        let outcome = tokio::time::timeout_at(limits.deadline.into(), attempt()).await;
        let Ok(outcome) = outcome else {
            let cut = || Outcome::Failed(format!("not done after {:.1?}", began.elapsed()));
            break last.unwrap_or_else(cut);
        };
        let settled = outcome.is_good() || matches!(outcome, Outcome::Unmeasurable(_));
        if settled || Instant::now() + pause >= limits.again_until {
            break outcome;
        }
        tell(Told::Again {
            kind,
            name: &name,
            detail: outcome.detail(),
        });
        last = Some(outcome);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    };
    let line = Line {
        kind,
        name,
        outcome,
        took: began.elapsed(),
        attempts,
    };
    tell(Told::Line(&line));
    line
}
