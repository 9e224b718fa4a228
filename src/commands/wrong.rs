//! What is wrong with a stack, for `status --check`.

use std::collections::BTreeSet;
use std::fmt;

use super::view::View;
use crate::registry::fleet;
use crate::rollout::outcome::Late;
use crate::rollout::standing::{Standing, standing};

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(super) enum Wrong {
    /// The key is not followed, or nobody knows the traffic.
    Key(String),
    /// A provider says so.
    Provider(String, String),
    /// A provider serves the key under the name of this other stack.
    OtherStack(String, String),
    /// A provider has a newer config that is not in force, because it waits for what this says, or was refused.
    Config(String, String),
    /// A provider or an instance does not have the traffic; or none runs.
    Lacks(Late),
    /// Nobody runs a rollout that has not ended; what it is, and its stage.
    Abandoned(String, &'static str),
    /// No Traefik polls any provider.
    NoTraefik,
    /// An instance has disabled routers: the first of them, and how many there are.
    Routers(String, String, usize),
    /// A server of a color that has traffic is not well.
    Server(String, String, String),
}

/// In words.
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(problem) => f.write_str(problem),
            Self::Provider(provider, problem) => write!(f, "provider {provider}: {problem}"),
            Self::OtherStack(provider, other) => write!(
                f,
                "provider {provider} follows the same key for the stack `{other}`: one of the two needs a key of its own"
            ),
            Self::Config(provider, why) => {
                write!(
                    f,
                    "the newest config of provider {provider} is not in force: {why}"
                )
            }
            Self::Lacks(late) => write!(f, "{late}"),
            Self::Abandoned(what, stage) => write!(
                f,
                "the rollout {what} is abandoned at stage: {stage}; `bluegreen rollout resume` goes on, `bluegreen rollout \
                 abort` goes back"
            ),
            Self::NoTraefik => f.write_str("no Traefik polls any provider"),
            Self::Routers(instance, first, 1) => {
                write!(f, "instance {instance} has disabled the router `{first}`")
            }
            Self::Routers(instance, first, all) => write!(
                f,
                "instance {instance} has disabled {all} routers, `{first}` among them"
            ),
            Self::Server(color, server, why) => {
                write!(f, "{color} has traffic, but {server} is not well: {why}")
            }
        }
    }
}

impl View<'_> {
    /// All that is wrong.
    pub(super) fn wrong(&self) -> Vec<Wrong> {
        let mut wrong: Vec<_> = self.problem().map(Wrong::Key).into_iter().collect();
        for aged in self.reports.iter().filter(|aged| aged.runs()) {
            let report = &aged.report;
            if !report.stack.is_empty() && report.stack != self.name {
                let other = report.stack.clone();
                wrong.push(Wrong::OtherStack(report.provider.clone(), other));
            }
            if let Some(problem) = &report.problem {
                wrong.push(Wrong::Provider(report.provider.clone(), problem.clone()));
            }
            let waits = report.waiting_config.as_ref();
            let waits = waits.map(|waiting| format!("it waits for the traffic of {waiting}"));
            let refused = report.refused_config.as_ref();
            let refused = refused.map(|refused| refused.reason.clone());
            let why = waits.into_iter().chain(refused);
            wrong.extend(why.map(|why| Wrong::Config(report.provider.clone(), why)));
        }
        if let Some((record, _, true)) = self.rollout()
            && record.runner.is_some()
        {
            wrong.push(Wrong::Abandoned(record.what(), record.stage.words()));
        }
        let fleet = fleet(&self.reports);
        if fleet.is_empty() {
            wrong.push(Wrong::NoTraefik);
        }
        for seen in &fleet {
            let id = &seen.instance.id;
            if let Some(routers) = seen.routers()
                && let Some(first) = routers.disabled.first()
            {
                let all = routers.disabled.len() + routers.more;
                wrong.push(Wrong::Routers(id.clone(), first.router.clone(), all));
            }
        }
        let Some(traffic) = self.traffic() else {
            wrong.push(Wrong::Key(
                "it is not known which traffic is in force".to_owned(),
            ));
            return wrong;
        };
        let nobody = BTreeSet::new();
        if let Standing::Lacks(late) = standing(&self.reports, &traffic.to_string(), &nobody) {
            wrong.extend(late.into_iter().map(Wrong::Lacks));
        }
        for (color, servers) in &self.servers {
            for (server, why) in servers {
                if let (Some(why), true) = (why, traffic.weight(color) > 0) {
                    let [color, server] = [color.to_string(), server.clone()];
                    wrong.push(Wrong::Server(color, server, why.clone()));
                }
            }
        }
        wrong
    }
}
