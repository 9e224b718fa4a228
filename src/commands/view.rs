//! What `status` shows of one stack, as text and as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::underway::sentence;
use crate::color::Color;
use crate::config::Stack;
use crate::dead::{self, LeftOut, left_out};
use crate::history::Recorded;
use crate::registry::{Aged, Agreed, DisabledRouter, Instance, Routers, fleet};
use crate::rollout::before::in_force;
use crate::rollout::gates::Gates;
use crate::rollout::outcome::shown;
use crate::rollout::record::Record;
use crate::rollout::remote::is_abandoned;
use crate::store::{Kept, KeyState, Reading, Unreadable};
use crate::traffic::{Traffic, is_same};

/// The most instances that are shown of one stack.
const SHOWN: usize = 100;

/// One stack as the store knows it.
pub(super) struct View<'a> {
    pub(super) name: &'a str,
    pub(super) stack: &'a Stack,
    pub(super) key: KeyState,
    pub(super) reports: Vec<Aged>,
    /// What is known of its rollout.
    pub(super) kept: Result<Kept, Unreadable>,
    /// The servers of each color that could be asked for their health, and what is wrong with them.
    pub(super) servers: Vec<(&'a Color, Vec<Server>)>,
}

/// A server, and what is wrong with it.
pub(super) type Server = (String, Option<String>);

impl View<'_> {
    /// Why the key is not followed, where it isn't.
    pub(super) fn problem(&self) -> Option<String> {
        let key = &self.stack.key;
        match &self.key.reading {
            Reading::Value(value) => {
                let error = match Traffic::parse(value, &self.stack.colors) {
                    Ok(told) => return self.unfollowed(&told),
                    Err(error) => error,
                };
                Some(format!(
                    "the key `{key}` holds {}: {error}; the last good traffic stands",
                    shown(&self.key.reading)
                ))
            }
            // Never set, or so it seems: a provider that has seen it set knows better.
            Reading::Missing if self.key.newest == Ok(None) => {
                let mut running = self.reports.iter().filter(|aged| aged.runs());
                running.find_map(|aged| aged.report.problem.clone())
            }
            reading => {
                let mut text = format!("the key `{key}` is {}", shown(reading));
                if let Err(why) = &self.key.newest {
                    text += &format!(", and its history can't be read ({why})");
                }
                let rest = match self.traffic() {
                    Some(_) => "the last good traffic stands",
                    None => "nothing tells the traffic: set it to the color that is to have it",
                };
                Some(format!("{text}; {rest}"))
            }
        }
    }

    /// Why a running provider does not serve what the key tells, where one says so.
    fn unfollowed(&self, told: &Traffic) -> Option<String> {
        let told = told.to_string();
        let mut running = self.reports.iter().filter(|aged| aged.runs());
        running.find_map(|Aged { report, .. }| {
            let problem = report.problem.clone();
            problem.filter(|_| !report.serves(&told))
        })
    }

    pub(super) fn json(&self) -> Value {
        let traffic = self.traffic().map(|traffic| traffic.to_string());
        let change = self.newest(traffic.as_deref());
        let providers = self.reports.iter().filter(|aged| aged.runs()).map(|aged| {
            let report = &aged.report;
            json!({
                "provider": report.provider, "version": report.version, "traffic": report.traffic,
                "revision": report.revision, "problem": report.problem,
                "waitingConfig": report.waiting_config, "refusedConfig": report.refused_config,
            })
        });
        let fleet = fleet(&self.reports);
        let instances = fleet.iter().map(|seen| {
            let instance = seen.instance;
            json!({
                "id": instance.id, "address": instance.address, "path": path(instance), "otherPaths": instance.other_paths,
                "revision": instance.revision, "held": instance.held,
                "confirmed": instance.confirmed.is_some() && instance.confirmed.as_ref() == seen.current(),
                "applied": seen.provider.marker.then(|| instance.applied.is_some() && instance.applied.as_ref() == seen.current()),
                "routers": seen.routers(), "hold": instance.hold, "holdCut": instance.hold_cut, "cadence": instance.cadence,
                "reconnects": instance.reconnects, "counts": instance.counts, "newcomer": instance.newcomer,
                "unseen": seen.unseen, "provider": seen.provider.provider, "providerRuns": seen.provider_runs,
            })
        });
        let left_out = self.left_out().into_iter().map(|server| {
            let dead::Server {
                service,
                color,
                url,
            } = server;
            json!({ "service": service, "color": color.as_str(), "server": url })
        });
        json!({
            "key": self.stack.key,
            "traffic": traffic,
            "since": change.map(|change| change.at),
            "by": change.map(|change| &change.entry.by),
            "why": change.map(|change| &change.entry.why),
            "problem": self.problem(),
            "frozen": self.frozen(),
            "wrong": self.wrong().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "rollout": self.rollout_json(),
            "colors": self.colors_json(),
            "leftOut": left_out.collect::<Vec<_>>(),
            "providers": providers.collect::<Vec<_>>(),
            "instances": instances.collect::<Vec<_>>(),
        })
    }

    /// The rollout that has not ended, and whether nobody runs it.
    pub(super) fn rollout(&self) -> Option<(Record, &Kept, bool)> {
        let kept = self.kept.as_ref().ok()?;
        let record = kept.record.as_deref().and_then(Record::of_json)?;
        let abandoned = is_abandoned(&record, kept);
        (!record.has_ended()).then_some((record, kept, abandoned))
    }

    fn rollout_json(&self) -> Value {
        let Some((record, _, abandoned)) = self.rollout() else {
            return Value::Null;
        };
        let mut rollout = serde_json::to_value(&record).unwrap_or_default();
        rollout["abandoned"] = abandoned.into();
        rollout
    }

    /// That no rollout moves traffic now, until when and why.
    fn frozen(&self) -> Option<String> {
        let gates = Gates::at(&self.stack.gates, self.key.at);
        gates.frozen.map(|(_, window)| window)
    }

    pub(super) fn traffic(&self) -> Option<Traffic> {
        in_force(self.stack, &self.key, &self.reports)
    }

    /// The dead servers that the running providers leave out, as they agree.
    fn left_out(&self) -> LeftOut {
        let reports = self.reports.iter().map(|aged| (&aged.report, aged.age));
        match (Agreed::of(reports), self.traffic()) {
            (Some(Agreed::Now(dead)), Some(traffic)) => left_out(self.stack, &traffic, &dead),
            _ => LeftOut::new(),
        }
    }

    fn colors_json(&self) -> Value {
        let traffic = self.traffic();
        let colors = self.servers.iter().map(|(color, servers)| {
            let unwell = servers.iter().filter_map(|(server, why)| {
                let why = why.as_ref()?;
                Some(json!({ "server": server, "why": why }))
            });
            let unwell: Vec<_> = unwell.collect();
            let value = json!({
                "weight": traffic.as_ref().map(|traffic| traffic.weight(color)),
                "servers": servers.len(), "well": servers.len() - unwell.len(), "unwell": unwell,
            });
            (color.to_string(), value)
        });
        colors.collect::<serde_json::Map<_, _>>().into()
    }

    /// A line for each color whose servers can be asked for their health, and one for each that is not well.
    fn color_lines(&self) -> Vec<String> {
        let traffic = self.traffic();
        let mut lines = Vec::new();
        for (color, servers) in self
            .servers
            .iter()
            .filter(|(_, servers)| !servers.is_empty())
        {
            let role = match traffic.as_ref().map(|traffic| traffic.weight(color)) {
                Some(0) => "  idle",
                Some(_) => "  has traffic",
                None => "",
            };
            let well = servers.iter().filter(|(_, why)| why.is_none()).count();
            let of = servers.len();
            lines.push(format!("  {color}{role}  {well} of {of} servers are well"));
            for (server, why) in servers {
                if let Some(why) = why {
                    lines.push(format!("    {server}: {why}"));
                }
            }
        }
        lines
    }

    /// The change that brought this traffic.
    fn newest(&self, traffic: Option<&str>) -> Option<&Recorded> {
        let newest = self.key.newest.as_ref().ok()?.as_ref()?;
        Some(newest).filter(|newest| is_same(&newest.entry.to, traffic.unwrap_or_default()))
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let traffic = self.traffic().map(|traffic| traffic.to_string());
        let mut head = format!(
            "{}: {}",
            self.name,
            traffic.as_deref().unwrap_or("not known")
        );
        match self.newest(traffic.as_deref()) {
            Some(Recorded { at, entry }) => {
                let why = if entry.why.is_empty() {
                    String::new()
                } else {
                    format!(": {}", entry.why)
                };
                let (ago, by) = (ago(*at), &entry.by);
                head += &format!("  since {at:.0} ({ago} ago)  by {by}{why}");
            }
            None if self.key.reading == Reading::Missing && self.problem().is_none() => {
                head += "  (the key has never been set)";
            }
            None => {}
        }
        let mut lines = vec![head];
        if let Some(problem) = self.problem() {
            lines.push(format!("  problem: {problem}"));
        }
        if let Some((record, kept, _)) = self.rollout() {
            lines.push(format!("  rollout {}", sentence(&record, kept)));
        }
        if let Some(window) = self.frozen() {
            lines.push(format!("  {window}"));
        }
        lines.extend(self.color_lines());
        lines.extend(self.left_out().into_iter().map(|server| {
            let dead::Server {
                service,
                color,
                url,
            } = server;
            format!("  {service} {url} of {color} is dead: Traefik is not told of it")
        }));
        let mut providers = self.reports.iter().filter(|aged| aged.runs()).peekable();
        if providers.peek().is_none() {
            lines.push("  no provider runs: no `bluegreen serve` reports to this store".to_owned());
        }
        for Aged { report, .. } in providers {
            let serves = report.traffic.as_deref().unwrap_or("nothing yet");
            let revision = report.revision.as_deref().unwrap_or("-");
            lines.push(format!(
                "  provider {}  serves {serves}  revision {revision}",
                report.provider
            ));
            if let Some(waiting) = &report.waiting_config {
                let waits = ago(waiting.since);
                lines.push(format!(
                    "    its new config has been waiting for {waits} for the traffic of {waiting}"
                ));
            }
            if let Some(refused) = &report.refused_config {
                let why = &refused.reason;
                lines.push(format!("    its new config is refused: {why}"));
            }
        }
        let fleet = fleet(&self.reports);
        if fleet.is_empty() {
            lines.push("  no Traefik polls".to_owned());
        }
        let widths = fleet.iter().map(|seen| seen.instance.id.chars().count());
        let width = widths.max().unwrap_or(0);
        let more = fleet.len().saturating_sub(SHOWN);
        // Where not all are shown, those are that lack something.
        let (lack, have): (Vec<_>, Vec<_>) = fleet
            .iter()
            .partition(|seen| more > 0 && seen.instance.confirmed.as_ref() != seen.current());
        for seen in lack.into_iter().chain(have).take(SHOWN) {
            let instance = seen.instance;
            let id = &instance.id;
            let current = seen.current();
            let has = if instance.newcomer {
                "has polled once"
            } else if !instance.counts {
                "not waited for"
            } else if !seen.provider_runs {
                "its provider has stopped"
            } else if seen.provider.marker
                && instance.applied.is_some()
                && instance.applied.as_ref() == current
            {
                "applied"
            } else if instance.confirmed.is_some() && instance.confirmed.as_ref() == current {
                "confirmed"
            } else {
                "not confirmed"
            };
            let polls = if instance.held {
                format!("held for {:.0} s", seen.unseen)
            } else {
                format!("seen {:.1} s ago", seen.unseen)
            };
            let share = instance
                .share
                .as_ref()
                .map(|path| format!(" at {path}"))
                .unwrap_or_default();
            let polls = if instance.reconnects {
                format!("{polls}, each time on a connection of its own")
            } else {
                polls
            };
            let cut = instance
                .hold_cut
                .map(|cut| format!(", the hold cut to {cut:.1} s"))
                .unwrap_or_default();
            lines.push(format!(
                "  instance {id:width$}  {}  {has}, {polls}{share}{cut}",
                instance.address
            ));
            if let Some(others) = &instance.other_paths {
                lines.push(format!(
                    "    problem: other paths are polled under this name, too ({others}): give each Traefik a name of its own in \
                     X-Traefik-Instance"
                ));
            }
            lines.extend(seen.routers().into_iter().flat_map(disabled_lines));
        }
        if more > 0 {
            lines.push(format!("  and {more} more instances: --json has all"));
        }
        lines
    }
}

/// A line for each router that an instance has disabled.
fn disabled_lines(routers: &Routers) -> Vec<String> {
    let told = routers.disabled.iter().map(|DisabledRouter { router, error }| {
        format!("    problem: Traefik has disabled the router `{router}`, every request to it gets a 404: {error}")
    });
    let more = match routers.more {
        0 => None,
        more => Some(format!("    problem: and {more} more routers")),
    };
    told.chain(more).collect()
}

/// What it polls.
fn path(instance: &Instance) -> &str {
    instance.share.as_deref().unwrap_or("/traefik")
}

/// How long ago, in one or two units.
fn ago(at: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(at).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}
