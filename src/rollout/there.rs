//! Whether anybody is there to take the traffic that goes back: a color that was stopped takes nobody's.

use std::fmt;

use futures_util::future::{join, join_all};

use crate::color::Color;
use crate::config::{Service, Stack};
use crate::traffic::Traffic;
use crate::verify::presence::{self, Presence};

/// A service of a color of which no server takes a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// The service.
    pub service: String,
    /// The color.
    pub color: Color,
    /// One of the servers, and why.
    pub why: String,
}

/// `no server of api in green takes a connection (http://…: refused)`
impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            color,
            why,
        } = self;
        write!(
            f,
            "no server of {service} in {color} takes a connection ({why})"
        )
    }
}

/// What is worth telling where somebody is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A service is not, as seen from here.
    Absent(Absent),
    /// Of these services of a color only Traefik knows the servers.
    Unknown(Color, Vec<String>),
}

/// Looks for the servers of the colors that have traffic now, and of those that will.
///
/// # Errors
///
/// A service that would be there for nobody: everybody would go from somebody to a color of which nobody is there.
pub async fn look(stack: &Stack, now: &Traffic, to: &Traffic) -> Result<Vec<Note>, Absent> {
    let look = async |traffic: &Traffic| {
        let colors: Vec<_> = traffic.colors().cloned().collect();
        let looks = colors.into_iter().map(async |color| {
            let presence = presence::look(stack, &color).await;
            (color, presence)
        });
        join_all(looks).await
    };
    let (now, to) = join(look(now), look(to)).await;
    judge(stack, &now, &to)
}

fn judge(
    stack: &Stack,
    now: &[(Color, Presence<'_>)],
    to: &[(Color, Presence<'_>)],
) -> Result<Vec<Note>, Absent> {
    let is_gone = |service: &str| {
        let mut now = now.iter();
        now.all(|(_, presence)| presence.absent.contains_key(service))
    };
    // What both colors share is there whether or not the color is.
    let is_own = |color: &Color, service: &Service| {
        let mut now = now.iter();
        now.all(|(other, _)| service.servers.get(other) != service.servers.get(color))
    };
    let mut notes = Vec::new();
    for (color, presence) in to {
        let absent = presence.absent.iter().map(|(service, why)| Absent {
            service: (*service).to_owned(),
            color: color.clone(),
            why: why.clone(),
        });
        let absent: Vec<_> = absent.collect();
        let mut own = stack
            .services
            .iter()
            .filter(|(_, service)| is_own(color, service));
        let is_empty = own.all(|(name, _)| presence.absent.contains_key(name.as_str()));
        if is_empty && let Some(gone) = absent.iter().find(|it| !is_gone(&it.service)) {
            return Err(gone.clone());
        }
        notes.extend(absent.into_iter().map(Note::Absent));
        if !presence.unknown.is_empty() {
            let unknown = presence.unknown.iter().map(ToString::to_string);
            notes.push(Note::Unknown(color.clone(), unknown.collect()));
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// A service of each color's own, one that both share, and one whose servers only Traefik knows.
    fn stack() -> Stack {
        let text = "stacks:\n  shop:\n    services:\n      \
            web: { rule: Host(`a`), servers: { blue: 'http://b', green: 'http://g' } }\n      \
            db: { rule: Host(`d`), servers: { blue: 'http://d', green: 'http://d' } }\n";
        let loaded = config::parse(vec![("bluegreen.yml".into(), text.to_owned())], &|_| None);
        loaded.unwrap().config.stacks["shop"].clone()
    }

    fn is<'a>(color: &str, absent: &[&'a str], unknown: &[&'a str]) -> (Color, Presence<'a>) {
        let presence = Presence {
            absent: absent
                .iter()
                .map(|name| (*name, "refused".to_owned()))
                .collect(),
            unknown: unknown.to_vec(),
        };
        (color.parse().unwrap(), presence)
    }

    #[test]
    fn nobody_goes_from_somebody_to_nobody() {
        let stack = stack();
        let judged = |now: &[&'static str], to: &[&'static str], unknown: &[&'static str]| {
            judge(&stack, &[is("blue", now, &[])], &[is("green", to, unknown)])
        };
        // It is there.
        assert_eq!(judged(&[], &[], &[]), Ok(Vec::new()));
        // It is not, and the other one is.
        let gone = judged(&[], &["web"], &[]).unwrap_err();
        assert_eq!(
            gone.to_string(),
            "no server of web in green takes a connection (refused)"
        );
        // Neither is: it can't become worse.
        let notes = judged(&["web"], &["web"], &[]).unwrap();
        assert_eq!(notes.len(), 1);
        // What both share says nothing of the color.
        let notes = judged(&[], &["db"], &[]).unwrap();
        assert!(matches!(&notes[..], [Note::Absent(absent)] if absent.service == "db"));
        let unknown = judged(&[], &[], &["web"]).unwrap();
        assert_eq!(
            unknown,
            [Note::Unknown(
                "green".parse().unwrap(),
                vec!["web".to_owned()]
            )]
        );
    }
}
