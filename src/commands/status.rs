//! `status`.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::before::in_force;
use super::change::shown;
use super::{Common, Failure, block_on, print, print_json};
use crate::color::Color;
use crate::config::{Config, Stack};
use crate::registry::{Aged, fleet};
use crate::store::{KeyState, Reading, Session, StoreError};
use crate::traffic::Traffic;
use crate::verify::health;

/// Shows what runs: the traffic of each stack, since when and by whom, the health of each color, the providers, and what
/// every Traefik has.
///
/// It asks the store, so it sees every Traefik behind every provider; and each server that has a health path, once. Exit codes: 0; 2 usage or config mistake; 6
/// the store could not be reached.
#[derive(Debug, Args)]
pub struct Status {
    /// Show it anew whenever something changes, until Ctrl-C
    #[arg(long, short = 'w', env = "BLUEGREEN_WATCH", value_parser = clap::builder::FalseyValueParser::new())]
    watch: bool,
}

/// How often it is shown anew where nothing changes: ages grow.
const REFRESH: Duration = Duration::from_secs(1);

/// One stack as the store knows it.
struct View<'a> {
    name: &'a str,
    stack: &'a Stack,
    key: KeyState,
    reports: Vec<Aged>,
    /// The servers of each color that could be asked for their health, and what is wrong with them.
    servers: Vec<(&'a Color, Vec<Server>)>,
}

/// A server, and what is wrong with it.
type Server = (String, Option<String>);

impl Status {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self { watch } = self;
        let config = common.load()?;
        let only = common
            .stack
            .as_ref()
            .map(|_| common.stack(&config))
            .transpose()?
            .map(|(name, _)| name);
        block_on(async {
            loop {
                let failed = |error| Failure::store(&common.store, &error, "");
                let mut session = common.store.connect().await.map_err(failed)?;
                loop {
                    let views = read(&mut session, &config, only).await.map_err(failed)?;
                    show(common, &views, watch);
                    if !watch {
                        return Ok(());
                    }
                    let changed = tokio::time::timeout(REFRESH, session.changed()).await;
                    if matches!(changed, Ok(Err(_))) {
                        break;
                    }
                }
            }
        })
    }
}

async fn read<'a>(
    session: &mut Session,
    config: &'a Config,
    only: Option<&str>,
) -> Result<Vec<View<'a>>, StoreError> {
    let mut views = Vec::new();
    for (name, stack) in config
        .stacks
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
    {
        let mut keys = session.read(std::slice::from_ref(&stack.key)).await?;
        let reports = session.reports(&stack.key).await?;
        let key = keys.remove(&stack.key).unwrap_or(KeyState {
            reading: Reading::Missing,
            newest: None,
            served: Vec::new(),
        });
        let looks = stack
            .colors
            .iter()
            .map(async |color| (color, health::look(stack, color).await));
        views.push(View {
            name,
            stack,
            key,
            reports,
            servers: join_all(looks).await,
        });
    }
    Ok(views)
}

fn show(common: &Common, views: &[View<'_>], watch: bool) {
    if common.json {
        let stacks: serde_json::Map<_, _> = views
            .iter()
            .map(|view| (view.name.to_owned(), view.json()))
            .collect();
        let value = json!({ "store": common.store.to_string(), "stacks": stacks });
        // Watched, one object a line.
        if watch {
            print(&value.to_string())
        } else {
            print_json(&value)
        }
        return;
    }
    let texts: Vec<_> = views.iter().map(View::text).collect();
    let home = if watch && std::io::stdout().is_terminal() {
        "\x1b[2J\x1b[H"
    } else {
        ""
    };
    print(&format!("{home}{}", texts.join("\n")));
}

impl View<'_> {
    /// Why the key is not followed, where it isn't.
    fn problem(&self) -> Option<String> {
        let key = &self.stack.key;
        match &self.key.reading {
            Reading::Value(value) => {
                let error = crate::traffic::Traffic::parse(value, &self.stack.colors).err()?;
                Some(format!(
                    "the key `{key}` holds {}: {error}; the last good traffic stands",
                    shown(&self.key.reading)
                ))
            }
            // Never set, or so it seems: a provider that has seen it set knows better.
            Reading::Missing if self.key.newest.is_none() => {
                let mut running = self.reports.iter().filter(|aged| aged.runs());
                running.find_map(|aged| aged.report.problem.clone())
            }
            reading => Some(format!(
                "the key `{key}` is {}; the last good traffic stands",
                shown(reading)
            )),
        }
    }

    fn json(&self) -> Value {
        let traffic = self.traffic().map(|traffic| traffic.to_string());
        let change = self.newest(traffic.as_deref());
        let providers = self.reports.iter().filter(|aged| aged.runs()).map(|aged| {
            let report = &aged.report;
            json!({
                "provider": report.provider, "version": report.version, "traffic": report.traffic,
                "revision": report.revision, "problem": report.problem,
            })
        });
        let fleet = fleet(&self.reports);
        let instances = fleet.iter().map(|seen| {
            let instance = seen.instance;
            json!({
                "id": instance.id, "address": instance.address, "revision": instance.revision, "held": instance.held,
                "confirmed": instance.confirmed.is_some() && instance.confirmed == seen.provider.revision,
                "applied": seen.provider.marker.then(|| instance.applied.is_some() && instance.applied == seen.provider.revision),
                "hold": instance.hold, "holdCut": instance.hold_cut, "cadence": instance.cadence,
                "unseen": seen.unseen, "provider": seen.provider.provider, "providerRuns": seen.provider_runs,
            })
        });
        json!({
            "key": self.stack.key,
            "traffic": traffic,
            "since": change.map(|entry| entry.at),
            "by": change.map(|entry| &entry.by),
            "why": change.map(|entry| &entry.why),
            "problem": self.problem(),
            "colors": self.colors_json(),
            "providers": providers.collect::<Vec<_>>(),
            "instances": instances.collect::<Vec<_>>(),
        })
    }

    fn traffic(&self) -> Option<Traffic> {
        in_force(self.stack, &self.key, &self.reports)
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
    fn colors_text(&self) -> String {
        let traffic = self.traffic();
        let mut text = String::new();
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
            add(
                &mut text,
                format_args!("\n  {color}{role}  {well} of {of} servers are well"),
            );
            for (server, why) in servers {
                if let Some(why) = why {
                    add(&mut text, format_args!("\n    {server}: {why}"));
                }
            }
        }
        text
    }

    /// The change that brought this traffic.
    fn newest(&self, traffic: Option<&str>) -> Option<&crate::history::Entry> {
        self.key
            .newest
            .as_ref()
            .filter(|entry| Some(entry.to.as_str()) == traffic)
    }

    fn text(&self) -> String {
        let traffic = self.traffic().map(|traffic| traffic.to_string());
        let mut text = format!(
            "{}: {}",
            self.name,
            traffic.as_deref().unwrap_or("not known")
        );
        match self.newest(traffic.as_deref()) {
            Some(entry) => {
                let why = if entry.why.is_empty() {
                    String::new()
                } else {
                    format!(": {}", entry.why)
                };
                add(
                    &mut text,
                    format_args!(
                        "  since {:.0} ({} ago)  by {}{why}",
                        entry.at,
                        ago(entry.at),
                        entry.by
                    ),
                );
            }
            None if self.key.reading == Reading::Missing && self.problem().is_none() => {
                text.push_str("  (the key has never been set)")
            }
            None => {}
        }
        if let Some(problem) = self.problem() {
            add(&mut text, format_args!("\n  problem: {problem}"));
        }
        text.push_str(&self.colors_text());
        let mut providers = self.reports.iter().filter(|aged| aged.runs()).peekable();
        if providers.peek().is_none() {
            text.push_str("\n  no provider runs: no `bluegreen serve` reports to this store");
        }
        for Aged { report, .. } in providers {
            let serves = report.traffic.as_deref().unwrap_or("nothing yet");
            let revision = report.revision.as_deref().unwrap_or("-");
            add(
                &mut text,
                format_args!(
                    "\n  provider {}  serves {serves}  revision {revision}",
                    report.provider
                ),
            );
        }
        let fleet = fleet(&self.reports);
        if fleet.is_empty() {
            text.push_str("\n  no Traefik polls");
        }
        let widths = fleet.iter().map(|seen| seen.instance.id.chars().count());
        let width = widths.max().unwrap_or(0);
        for seen in &fleet {
            let instance = seen.instance;
            let id = &instance.id;
            let current = seen.provider.revision.as_ref();
            let has = if !seen.provider_runs {
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
            let cut = instance
                .hold_cut
                .map(|cut| format!(", the hold cut to {cut:.1} s"))
                .unwrap_or_default();
            add(
                &mut text,
                format_args!(
                    "\n  instance {id:width$}  {}  {has}, {polls}{cut}",
                    instance.address
                ),
            );
        }
        text
    }
}

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more)
        .expect("writing to a string can't fail");
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
