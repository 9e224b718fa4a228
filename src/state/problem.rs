//! Problems: why a stack's traffic does not follow its key, in the operator's words.

use std::fmt;

use super::guard::{Held, Unwell};
use crate::store::Unreadable;
use crate::traffic::InvalidTraffic;

/// Why a stack's traffic does not follow its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is the matter with the key.
    pub key: Key,
    /// What else would tell the traffic, and does not.
    pub beside: Vec<Beside>,
}

/// What is the matter with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// There is no such key.
    Gone,
    /// Its value is no traffic value.
    Garbage(InvalidTraffic),
    /// It holds no string; what it is, in words.
    WrongType(String),
    /// The guard holds back what it says, and perhaps has seen why that must not get traffic.
    Held(Held, Option<Unwell>),
}

/// What would tell the traffic where the key does not, and why it doesn't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The history can't be read.
    History(Unreadable),
    /// The newest change in the history names no traffic.
    Change(InvalidTraffic),
    /// The registry can't be read.
    Peers(Unreadable),
    /// Another provider serves what is no traffic by this config.
    Peer(InvalidTraffic),
    /// The providers that run serve different traffic, and nobody has chosen any of it.
    Disagree(Vec<String>),
    /// What is on disk can't be read, or is no traffic.
    Disk(Unreadable),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Key::Gone if self.beside.is_empty() => {
                f.write_str("the key does not exist any more")?
            }
            Key::Gone => f.write_str("the key does not exist")?,
            Key::Garbage(error) => error.fmt(f)?,
            Key::WrongType(what) => f.write_str(what)?,
            Key::Held(held, unwell) => {
                let Held {
                    traffic, stands, ..
                } = held;
                return match unwell {
                    None => write!(
                        f,
                        "the guard holds back `{traffic}`, which the key says, until it has seen the servers; {stands} stands"
                    ),
                    Some(unwell) => write!(
                        f,
                        "refused by the guard: {unwell}, so that `{traffic}`, which the key says, is not followed and {stands} \
                         stands; it is tried again for as long as the key says so: mend the server, or go back with \
                         `bluegreen flip` or `SET`"
                    ),
                };
            }
        }
        for beside in &self.beside {
            write!(f, ", and {beside}")?;
        }
        if !self.beside.is_empty() {
            f.write_str(": set the key to the color that is to have the traffic")?;
        }
        Ok(())
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::History(why) => write!(f, "its history can't be read ({why})"),
            Self::Change(why) => {
                write!(
                    f,
                    "the newest change in its history names no traffic ({why})"
                )
            }
            Self::Peers(why) => write!(f, "what the providers serve can't be read ({why})"),
            Self::Peer(why) => write!(f, "another provider serves what is no traffic here ({why})"),
            Self::Disagree(served) => write!(f, "the providers serve {}", served.join(" and ")),
            Self::Disk(why) => write!(f, "the last good traffic on disk can't be read ({why})"),
        }
    }
}
