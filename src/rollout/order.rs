//! The order: what somebody wants of a stack, and the request that it makes by what is there. Pure.

use std::time::Duration;

use super::request::{Kind, Request};
use crate::color::Color;
use crate::config::Stack;
use crate::history::Entry;
use crate::traffic::{Traffic, is_same, ramp};

/// What somebody wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Where the traffic is to go.
    pub goal: Goal,
    /// How long production has to keep passing between the steps.
    pub interval: Duration,
    /// How long it has to in the end.
    pub bake: Duration,
    /// How long each wait may take.
    pub timeout: Duration,
    /// Whether anything is verified.
    pub verify: bool,
    /// Whether the instances are waited for.
    pub wait: bool,
    /// Whether it goes back where it can't stand.
    pub go_back: bool,
    /// Whether it is made although a freeze window is open.
    pub override_freeze: bool,
}

/// Where the traffic is to go.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// All of it to a color, or to the other one.
    Flip(Option<Color>),
    /// To this.
    Shift(Traffic),
    /// To a color, or to the other one, by shares in percent.
    Ramp(Option<Color>, Vec<u32>),
    /// To what was before.
    Rollback,
}

/// Why an order can't be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Production is to be watched, but nothing is to be verified.
    #[error("a bake watches production, where nothing is to be verified")]
    BakeUnverified,
    /// Production is to be watched, but nobody is waited for.
    #[error("a bake watches production, where nobody is to be waited for")]
    BakeUnwaited,
    /// Production is to be watched, but the config does not say where it is.
    #[error(
        "production is to be watched, and the config does not say where it is: add `production` to the stack"
    )]
    NoProduction,
    /// A ramp has to wait for each step.
    #[error("a ramp waits for every step")]
    RampUnwaited,
    /// The steps of a ramp are none.
    #[error("the steps of a ramp are percents that rise up to 100, such as 5, 25, 50, 100")]
    Steps,
    /// Nobody knows the traffic in force.
    #[error("it is not known which traffic is in force: name the color")]
    TrafficUnknown,
    /// Several colors have no traffic, or none.
    #[error("the traffic is {0}: it is not clear which color is the other one, so name it")]
    WhichColor(Traffic),
    /// It went back by itself already.
    #[error("{} has the traffic again already: a change to {} {}", .0.to, .0.from, .0.why)]
    WentBack(Box<Entry>),
    /// The history is empty.
    #[error("the history is empty: there is nothing to go back to")]
    NoHistory,
    /// The history knows no other traffic.
    #[error("the history knows no other traffic: there is nothing to go back to")]
    NothingBefore,
}

impl Order {
    /// The request that it makes where this traffic is in force, and this was before, the newest first.
    ///
    /// # Errors
    ///
    /// Why it can't be carried out.
    pub fn request(
        &self,
        stack: &Stack,
        traffic: Option<&Traffic>,
        history: &[Entry],
    ) -> Result<Request, Unfit> {
        self.check(stack)?;
        let colors = &stack.colors;
        let known = || traffic.ok_or(Unfit::TrafficUnknown);
        let color = |named: &Option<Color>| match named {
            Some(color) => Ok(color.clone()),
            None => other(colors, known()?),
        };
        let (kind, steps) = match &self.goal {
            Goal::Flip(named) => (Kind::Flip, vec![Traffic::all_to(color(named)?)]),
            Goal::Shift(to) => (Kind::Shift, vec![to.clone()]),
            Goal::Ramp(named, percent) => {
                (Kind::Ramp, ramp(known()?, &color(named)?, percent, colors))
            }
            Goal::Rollback => (Kind::Rollback, vec![former(colors, known()?, history)?]),
        };
        let is_back = kind == Kind::Rollback;
        Ok(Request {
            kind,
            steps: steps.iter().map(ToString::to_string).collect(),
            interval: self.interval,
            bake: self.bake,
            timeout: self.timeout,
            verify: self.verify && !is_back,
            wait: self.wait,
            go_back: self.go_back,
            without_provider: is_back,
            override_freeze: self.override_freeze,
        })
    }

    /// Checks that it asks for nothing that can't be had together.
    fn check(&self, stack: &Stack) -> Result<(), Unfit> {
        let is_ramp = match &self.goal {
            Goal::Ramp(_, percent) => {
                if !rises(percent) {
                    return Err(Unfit::Steps);
                }
                true
            }
            _ => false,
        };
        let bakes = !self.bake.is_zero();
        match (is_ramp, bakes, &stack.production) {
            (true, ..) if !self.wait => Err(Unfit::RampUnwaited),
            (_, true, _) if !self.verify => Err(Unfit::BakeUnverified),
            (_, true, _) if !self.wait => Err(Unfit::BakeUnwaited),
            (_, true, None) => Err(Unfit::NoProduction),
            (true, _, None) if self.verify => Err(Unfit::NoProduction),
            _ => Ok(()),
        }
    }
}

/// Whether the steps of a ramp rise up to everything.
pub fn rises(percent: &[u32]) -> bool {
    let rises = percent.is_sorted_by(|one, next| one < next);
    rises && percent.first() != Some(&0) && percent.last() == Some(&100)
}

/// The one color that has no traffic.
///
/// # Errors
///
/// [`Unfit::WhichColor`].
pub fn other(colors: &[Color], traffic: &Traffic) -> Result<Color, Unfit> {
    let mut idle = colors.iter().filter(|color| traffic.weight(color) == 0);
    match (idle.next(), idle.next()) {
        (Some(color), None) => Ok(color.clone()),
        _ => Err(Unfit::WhichColor(traffic.clone())),
    }
}

/// What was before the newest change; where the key has changed since without one, before that.
///
/// # Errors
///
/// Why there is nothing to go back to.
pub fn former(colors: &[Color], now: &Traffic, history: &[Entry]) -> Result<Traffic, Unfit> {
    if let Some(newest) = history.first()
        && newest.went_back()
        && is_same(&newest.to, &now.to_string())
    {
        // Whoever wants to go back has what he wants; further on is what failed.
        return Err(Unfit::WentBack(Box::new(newest.clone())));
    }
    let mut former = history.iter().flat_map(|entry| [&entry.to, &entry.from]);
    let found = former.find_map(|text| {
        let traffic = Traffic::parse(text.as_bytes(), colors).ok()?;
        (traffic != *now).then_some(traffic)
    });
    found.ok_or(match history {
        [] => Unfit::NoHistory,
        _ => Unfit::NothingBefore,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn stack(production: bool) -> Stack {
        let production = match production {
            true => "    production: http://127.0.0.1:80\n",
            false => "",
        };
        let text = format!(
            "stacks:\n  shop:\n    colors: [blue, green, red]\n{production}    services:\n      web:\n        \
             rule: Host(`a`)\n        servers: {{ blue: 'http://b', green: 'http://g', red: 'http://r' }}\n"
        );
        let loaded = config::parse(vec![("bluegreen.yml".into(), text)], &|_| None).unwrap();
        loaded.config.stacks["shop"].clone()
    }

    fn traffic(text: &str) -> Traffic {
        Traffic::parse(text.as_bytes(), &stack(true).colors).unwrap()
    }

    fn entry(from: &str, to: &str, why: &str) -> Entry {
        Entry {
            at: jiff::Timestamp::UNIX_EPOCH,
            from: from.to_owned(),
            to: to.to_owned(),
            by: "ann".to_owned(),
            why: why.to_owned(),
        }
    }

    fn order(goal: Goal) -> Order {
        Order {
            goal,
            interval: Duration::from_secs(120),
            bake: Duration::ZERO,
            timeout: Duration::from_secs(60),
            verify: true,
            wait: true,
            go_back: true,
            override_freeze: false,
        }
    }

    fn color(name: &str) -> Option<Color> {
        Some(name.parse().unwrap())
    }

    #[test]
    fn the_steps_are_those_of_the_goal() {
        let history = [
            entry("blue:90,green:10", "blue", "went back: it fails"),
            entry("red", "blue:90,green:10", ""),
        ];
        for (goal, now, expected) in [
            (Goal::Flip(color("green")), None, Ok(&["green"][..])),
            (Goal::Flip(None), Some("blue:90,green:10"), Ok(&["red"])),
            (Goal::Flip(None), None, Err(Unfit::TrafficUnknown)),
            (
                Goal::Flip(None),
                Some("blue"),
                Err(Unfit::WhichColor(traffic("blue"))),
            ),
            (
                Goal::Flip(None),
                Some("blue:1,green:1,red:1"),
                Err(Unfit::WhichColor(traffic("blue:1,green:1,red:1"))),
            ),
            (
                Goal::Shift(traffic("blue:9,red:1")),
                None,
                Ok(&["blue:9,red:1"]),
            ),
            (
                Goal::Ramp(color("green"), vec![5, 50, 100]),
                Some("blue"),
                Ok(&["blue:95,green:5", "blue:50,green:50", "green"]),
            ),
            (
                Goal::Ramp(color("green"), vec![5, 50, 100]),
                Some("blue:90,green:10"),
                Ok(&["blue:50,green:50", "green"]),
            ),
            (
                Goal::Ramp(color("green"), vec![100]),
                None,
                Err(Unfit::TrafficUnknown),
            ),
            (
                Goal::Rollback,
                Some("blue"),
                Err(Unfit::WentBack(Box::new(history[0].clone()))),
            ),
            // Somebody has set the key since, and that is in no history yet.
            (Goal::Rollback, Some("green"), Ok(&["blue"])),
            (Goal::Rollback, None, Err(Unfit::TrafficUnknown)),
        ] {
            let what = format!("{goal:?} of {now:?}");
            let now = now.map(traffic);
            let request = order(goal).request(&stack(true), now.as_ref(), &history);
            let expected = expected.map(|steps| steps.iter().map(ToString::to_string).collect());
            assert_eq!(request.map(|request| request.steps), expected, "{what}");
        }
        let back = order(Goal::Rollback);
        let now = traffic("blue");
        let empty = back.request(&stack(true), Some(&now), &[]);
        assert_eq!(empty, Err(Unfit::NoHistory));
        let same = back.request(&stack(true), Some(&now), &[entry("blue", "blue", "")]);
        assert_eq!(same, Err(Unfit::NothingBefore));
    }

    #[test]
    fn a_rollback_verifies_nothing_and_needs_no_provider() {
        let history = [entry("green", "blue", "")];
        let now = traffic("blue");
        let request = order(Goal::Rollback).request(&stack(true), Some(&now), &history);
        let request = request.unwrap();
        assert_eq!((request.verify, request.without_provider), (false, true));
        let request = order(Goal::Flip(color("green"))).request(&stack(true), Some(&now), &[]);
        let request = request.unwrap();
        assert_eq!((request.verify, request.without_provider), (true, false));
    }

    #[test]
    fn what_can_not_be_had_together_is_told() {
        let flip = || order(Goal::Flip(color("green")));
        let ramp = |percent: &[u32]| order(Goal::Ramp(color("green"), percent.to_vec()));
        let bake = Duration::from_secs(60);
        for (order, production, expected) in [
            (Order { bake, ..flip() }, true, None),
            (Order { bake, ..flip() }, false, Some(Unfit::NoProduction)),
            (
                Order {
                    bake,
                    verify: false,
                    ..flip()
                },
                true,
                Some(Unfit::BakeUnverified),
            ),
            (
                Order {
                    bake,
                    wait: false,
                    ..flip()
                },
                true,
                Some(Unfit::BakeUnwaited),
            ),
            (
                Order {
                    wait: false,
                    ..flip()
                },
                false,
                None,
            ),
            (ramp(&[5, 100]), true, None),
            (ramp(&[5, 100]), false, Some(Unfit::NoProduction)),
            (
                Order {
                    verify: false,
                    ..ramp(&[5, 100])
                },
                false,
                None,
            ),
            (
                Order {
                    wait: false,
                    ..ramp(&[5, 100])
                },
                true,
                Some(Unfit::RampUnwaited),
            ),
            (ramp(&[]), true, Some(Unfit::Steps)),
            (ramp(&[0, 100]), true, Some(Unfit::Steps)),
            (ramp(&[50, 50, 100]), true, Some(Unfit::Steps)),
            (ramp(&[50, 25, 100]), true, Some(Unfit::Steps)),
            (ramp(&[5, 25]), true, Some(Unfit::Steps)),
            (ramp(&[5, 100, 101]), true, Some(Unfit::Steps)),
        ] {
            let request = order.request(&stack(production), Some(&traffic("blue")), &[]);
            assert_eq!(request.err(), expected, "{order:?}");
        }
    }
}
