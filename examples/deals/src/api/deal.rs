//! A deal, and its life cycle.
//!
//! ```text
//! draft --submit--> submitted --approve--> approved --close--> closed
//!                             --reject---> rejected --close-->
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A deal, as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Deal {
    pub(crate) id: i64,
    pub(crate) title: String,
    /// In the currency's minor units, such as cents.
    pub(crate) amount: i64,
    /// As in ISO 4217.
    pub(crate) currency: String,
    pub(crate) state: State,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Who approved it, once somebody did.
    pub(crate) approval: Option<Approval>,
    /// What happened to it, the oldest first. Lists are without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history: Option<Vec<Event>>,
}

/// Who approved a deal.
#[derive(Debug, Serialize)]
pub(crate) struct Approval {
    pub(crate) approver: String,
    pub(crate) note: String,
    pub(crate) at: Timestamp,
}

/// One step of a deal.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    /// The state that it reached.
    pub(crate) state: State,
    pub(crate) at: Timestamp,
    /// The deployment that did it.
    pub(crate) color: String,
    pub(crate) version: String,
    /// Who decided, and why.
    pub(crate) by: Option<String>,
    pub(crate) note: Option<String>,
}

/// Where a deal is in its life.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Draft,
    Submitted,
    Approved,
    Rejected,
    Closed,
}

/// What can be done with a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Submit,
    Approve,
    Reject,
    Close,
    Delete,
}

impl State {
    /// All states.
    const ALL: [Self; 5] = [
        Self::Draft,
        Self::Submitted,
        Self::Approved,
        Self::Rejected,
        Self::Closed,
    ];

    /// Its name, in the API and in the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Submitted => "submitted",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Closed => "closed",
        }
    }

    /// The state of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// What can be done with a deal in this state.
    pub(crate) fn allowed(self) -> &'static [Action] {
        match self {
            Self::Draft => &[Action::Submit, Action::Delete],
            Self::Submitted => &[Action::Approve, Action::Reject],
            Self::Approved => &[Action::Close],
            Self::Rejected => &[Action::Close, Action::Delete],
            Self::Closed => &[Action::Delete],
        }
    }
}

impl Action {
    /// Its name, in a path and in what is said of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Close => "close",
            Self::Delete => "delete",
        }
    }

    /// What a deal is afterwards; none where there is none left.
    pub(crate) fn reaches(self) -> Option<State> {
        match self {
            Self::Submit => Some(State::Submitted),
            Self::Approve => Some(State::Approved),
            Self::Reject => Some(State::Rejected),
            Self::Close => Some(State::Closed),
            Self::Delete => None,
        }
    }

    /// The past participle, for what can't be done.
    pub(crate) fn done(self) -> &'static str {
        match self {
            Self::Submit => "submitted",
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::Close => "closed",
            Self::Delete => "deleted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, State};

    #[test]
    fn every_state_is_reached_and_left_as_the_life_cycle_says() {
        let steps = |state: State| {
            let actions = state.allowed().iter();
            actions
                .filter_map(|action| action.reaches())
                .map(State::name)
                .collect::<Vec<_>>()
        };
        assert_eq!(steps(State::Draft), ["submitted"]);
        assert_eq!(steps(State::Submitted), ["approved", "rejected"]);
        assert_eq!(steps(State::Approved), ["closed"]);
        assert_eq!(steps(State::Rejected), ["closed"]);
        assert_eq!(steps(State::Closed), [""; 0]);
    }

    #[test]
    fn what_somebody_works_on_is_not_deleted() {
        for state in State::ALL {
            let kept = matches!(state, State::Submitted | State::Approved);
            assert_eq!(
                state.allowed().contains(&Action::Delete),
                !kept,
                "{state:?}"
            );
        }
    }

    #[test]
    fn names_are_read_back() {
        for state in State::ALL {
            assert_eq!(State::named(state.name()), Some(state));
        }
        assert_eq!(State::named("lost"), None);
    }
}
