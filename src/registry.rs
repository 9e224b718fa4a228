//! The registry: what each provider says in the store of itself and its instances.
//!
//! Through it `flip` and `status` see every Traefik behind every provider, and need to reach none of them.

mod agreed;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use agreed::Agreed;

use crate::dead::Dead;
use crate::traffic::is_same;

/// How often a provider writes its report where nothing changes. The list of its instances it writes with the report as
/// soon as one of them has something new, else at longer intervals the more there are.
pub const REPORT_EVERY: Duration = Duration::from_secs(1);

/// A provider whose report is older has stopped. Three reports may get lost before that.
pub const STOPPED_AFTER: Duration = Duration::from_millis(3500);

/// How much longer an instance is waited for whose poll failed, or whose provider has stopped: Traefik retries after up
/// to 18 s then, and meanwhile serves what it has.
pub const BACKOFF: Duration = Duration::from_secs(20);

/// For how long an instance that has polled once is waited for: with Traefik's default `pollInterval` of 5 s it polls again
/// in this time.
pub const NEWCOMER: Duration = Duration::from_secs(6);

/// What one provider says of itself and of one stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The provider: its host, address and a part that differs with each start.
    pub provider: String,
    /// Its version.
    pub version: String,
    /// The name of the stack whose traffic the key is; empty in a report of a version that did not tell.
    #[serde(default)]
    pub stack: String,
    /// Whether it has stopped, and this is its last report. Its instances serve on.
    pub stopped: bool,
    /// The stack's traffic in the document that it serves; none while it has none to serve.
    pub traffic: Option<String>,
    /// Since when somebody's choice of that traffic has been in force, by the store's clock; none where nobody chose it.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// The revision of that document.
    pub revision: Option<String>,
    /// The shares of the document that have this stack and that instances poll: by their path the revision of each; none
    /// where there is no document at that path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<String, Option<String>>,
    /// The servers that do not answer it; none where it does not ask any, or does not know yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<Dead>,
    /// Why it does not follow the key, where it doesn't.
    pub problem: Option<String>,
    /// Whether instances can be asked what they have applied.
    pub marker: bool,
    /// A new config of it that is not in force yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_config: Option<WaitingConfig>,
    /// Its newest config, where it has refused that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_config: Option<RefusedConfig>,
}

/// A config that was refused; the one before it stays in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedConfig {
    /// Since when.
    pub since: Timestamp,
    /// Why, in words.
    pub reason: String,
}

impl Report {
    /// Whether this is the traffic that the provider serves.
    pub fn serves(&self, traffic: &str) -> bool {
        let served = self.traffic.as_deref();
        served.is_some_and(|served| is_same(served, traffic))
    }
}

/// A config that is not in force yet, because the traffic of some of its stacks is not known; the one before it stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingConfig {
    /// Since when it has been waiting.
    pub since: Timestamp,
    /// The stacks that it waits for: the first few.
    pub stacks: Vec<WaitedFor>,
    /// How many more there are.
    pub more: usize,
}

/// A stack that a config waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitedFor {
    /// Its name.
    pub stack: String,
    /// Its key, which has not told the traffic.
    pub key: String,
    /// What is the matter with the key; none where it has not been read yet.
    pub problem: Option<String>,
}

impl WaitingConfig {
    /// Of a config that waits for these.
    pub fn new(since: Timestamp, mut stacks: Vec<WaitedFor>) -> Self {
        /// Each provider writes them beside the key of each of its stacks.
        const SHOWN: usize = 5;
        let more = stacks.len().saturating_sub(SHOWN);
        stacks.truncate(SHOWN);
        Self {
            since,
            stacks,
            more,
        }
    }
}

impl fmt::Display for WaitingConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (
            i,
            WaitedFor {
                stack,
                key,
                problem,
            },
        ) in self.stacks.iter().enumerate()
        {
            let comma = if i == 0 { "" } else { ", " };
            let problem = problem.as_deref().unwrap_or("not read yet");
            write!(f, "{comma}{stack} (key `{key}`: {problem})")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

/// What a provider knows of one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Its name: the header `X-Traefik-Instance`, or else its address.
    pub id: String,
    /// Where it polls from.
    pub address: String,
    /// The path of the share that it polls; none where it polls the whole document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// What else is polled under its name; none where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_paths: Option<OtherPaths>,
    /// The revision that it fetched last.
    pub revision: Option<String>,
    /// Whether a poll of it is held now.
    pub held: bool,
    /// The revision that it fetched and came back after.
    pub confirmed: Option<String>,
    /// The revision that it was seen to route by, where there is a marker.
    pub applied: Option<String>,
    /// What its API says of the document's routers; none where that is not known, because the API can't be reached.
    #[serde(default)]
    pub routers: Option<Routers>,
    /// For how long its polls are held, in seconds.
    pub hold: f64,
    /// To what the hold was cut because it gave up earlier, in seconds.
    pub hold_cut: Option<f64>,
    /// The longest it lately took from an answer to its next poll, in seconds.
    pub cadence: Option<f64>,
    /// How long ago it was last seen, in seconds: when this was written, and in what was read, by now.
    pub seen: f64,
    /// After how long unseen it is gone, in seconds, where nothing else happens.
    pub gone_after: f64,
    /// Whether each of its polls comes on a connection of its own, as through a proxy that keeps none: only its name can
    /// tell what it has then.
    #[serde(default)]
    pub reconnects: bool,
    /// Whether it is waited for; else it is here to be seen.
    #[serde(default = "yes")]
    pub counts: bool,
    /// Whether it has polled for the first time just now. It does not count yet, but is waited for until it polls again, as
    /// long as [`NEWCOMER`].
    #[serde(default)]
    pub newcomer: bool,
}

/// An older provider wrote of none that is not waited for.
fn yes() -> bool {
    true
}

impl Report {
    /// Whether an instance of its provider has this stack in what it polls.
    pub fn concerns(&self, instance: &Instance) -> bool {
        let share = instance.share.as_ref();
        share.is_none_or(|path| self.shares.contains_key(path))
    }
}

/// Other paths that are polled under the name of an instance, by another Traefik therefore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherPaths {
    /// The first few.
    pub paths: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

impl OtherPaths {
    /// Of all paths that are polled under a name, those beside this one; none where it is the only one.
    pub fn beside(path: &str, all: &[&str]) -> Option<Self> {
        /// Every instance of the name has them.
        const SHOWN: usize = 5;
        let others = all.iter().filter(|other| **other != path);
        let paths: Vec<_> = others.take(SHOWN).map(ToString::to_string).collect();
        let more = all.len().saturating_sub(1 + paths.len());
        (!paths.is_empty()).then_some(Self { paths, more })
    }
}

impl fmt::Display for OtherPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.paths.join(", "))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

/// What an instance's API says of the routers of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Routers {
    /// The revision of that document.
    pub revision: String,
    /// The routers that Traefik has disabled, so that it answers 404 in their place: the first few.
    pub disabled: Vec<DisabledRouter>,
    /// How many more there are.
    pub more: usize,
}

/// A router that Traefik has disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisabledRouter {
    /// Its name in the document, such as `deals-api`.
    pub router: String,
    /// Why, in Traefik's words.
    pub error: String,
}

/// What a provider that runs serves of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The traffic, as its report says it; or why that can't be read.
    pub traffic: Result<String, String>,
    /// Since when somebody's choice of it has been in force, by the store's clock; none where nobody chose it.
    pub since: Option<Timestamp>,
}

impl Peer {
    /// Of a report of this age; none where its provider has stopped or serves nothing.
    pub fn of(report: Report, age: Duration) -> Option<Self> {
        let runs = !report.stopped && age < STOPPED_AFTER;
        let since = report.since;
        let traffic = report.traffic.filter(|_| runs)?;
        Some(Self {
            traffic: Ok(traffic),
            since,
        })
    }
}

/// What the reports of a stack tell those who follow its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What the providers that run serve.
    pub peers: Vec<Peer>,
    /// What they say of dead servers; none where none says anything.
    pub dead: Option<Agreed>,
}

impl Told {
    /// What reports of these ages tell.
    pub fn of(reports: Vec<(Report, Duration)>) -> Self {
        let dead = Agreed::of(reports.iter().map(|(report, age)| (report, *age)));
        let peers = reports.into_iter();
        let peers = peers.filter_map(|(report, age)| Peer::of(report, age));
        Self {
            peers: peers.collect(),
            dead,
        }
    }
}

/// A report as it was read, with its age and the list of instances.
#[derive(Clone, Debug, PartialEq)]
pub struct Aged {
    /// The report.
    pub report: Report,
    /// For how long it has been in the store.
    pub age: Duration,
    /// The instances that poll the provider.
    pub instances: Vec<Instance>,
}

impl Aged {
    /// A report of this age, with the list of instances. However old that is, the report says that it still holds: by then
    /// the provider had struck out who is gone.
    pub fn new(report: Report, age: Duration, mut instances: Vec<Instance>) -> Self {
        for instance in &mut instances {
            instance.seen += age.as_secs_f64();
        }
        Self {
            report,
            age,
            instances,
        }
    }

    /// Whether the provider still writes reports.
    pub fn runs(&self) -> bool {
        !self.report.stopped && self.age < STOPPED_AFTER
    }
}

/// The revisions of the documents that the instances have.
pub fn revisions(reports: &[Aged]) -> BTreeSet<String> {
    let fleet = fleet(reports);
    let revisions = fleet.iter().map(|seen| seen.instance.revision.clone());
    revisions.flatten().collect()
}

/// The name under which a running provider serves the key, where that is not this stack's.
pub fn other_stack<'a>(reports: &'a [Aged], stack: &str) -> Option<&'a str> {
    let running = reports.iter().filter(|aged| aged.runs());
    let mut names = running.map(|aged| &*aged.report.stack);
    names.find(|name| !name.is_empty() && *name != stack)
}

/// An instance as it stands in the youngest report that names it.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// The instance.
    pub instance: &'a Instance,
    /// The provider that it polls.
    pub provider: &'a Report,
    /// Whether that provider runs.
    pub provider_runs: bool,
    /// For how long it has been unseen, in seconds.
    pub unseen: f64,
}

impl<'a> Seen<'a> {
    /// What it is sorted by.
    fn key(&self) -> (&'a str, &'a str) {
        (&self.instance.id, &self.provider.provider)
    }

    /// The revision that its provider has for it.
    pub fn current(&self) -> Option<&'a String> {
        let current = match &self.instance.share {
            Some(path) => self.provider.shares.get(path)?,
            None => &self.provider.revision,
        };
        current.as_ref()
    }

    /// The routers that it has disabled of the document that its provider serves; none where that is not known.
    pub fn routers(&self) -> Option<&'a Routers> {
        let routers = self.instance.routers.as_ref()?;
        let current = Some(&routers.revision) == self.current();
        (current && self.provider_runs).then_some(routers)
    }

    /// Whether it is waited for: it counts, or it has come just now with a document that is not the current one.
    pub fn is_waited_for(&self) -> bool {
        let new = self.instance.newcomer && self.unseen <= NEWCOMER.as_secs_f64();
        self.instance.counts || new && self.instance.revision.as_ref() != self.current()
    }

    /// Whether its provider serves this traffic and the instance has it: applied where there is a marker, else
    /// confirmed.
    pub fn has(&self, traffic: &str) -> bool {
        let proof = if self.provider.marker {
            &self.instance.applied
        } else {
            &self.instance.confirmed
        };
        self.provider_runs
            && self.provider.serves(traffic)
            && proof.is_some()
            && proof.as_ref() == self.current()
    }
}

/// The fleet: every instance that is not gone, once for each provider that it polls.
///
/// Two Traefiks behind two providers may share a name, or an address: both count. One that polls another provider since
/// its own has stopped counts once: it is known by its name, or by the endpoint that is the same after a restart.
pub fn fleet(reports: &[Aged]) -> Vec<Seen<'_>> {
    let mut fleet = Vec::new();
    for aged in reports {
        let provider_runs = aged.runs();
        for instance in &aged.instances {
            // A provider that runs strikes out by itself who is gone.
            if provider_runs || instance.seen <= instance.gone_after + BACKOFF.as_secs_f64() {
                fleet.push(Seen {
                    instance,
                    provider: &aged.report,
                    provider_runs,
                    unseen: instance.seen,
                });
            }
        }
    }
    // The youngest sight of each name, and of each name at each endpoint. One behind a provider that runs is as young as
    // can be.
    let mut youngest: HashMap<(&str, Option<&str>), f64> = HashMap::new();
    for seen in &fleet {
        let unseen = if seen.provider_runs {
            f64::NEG_INFINITY
        } else {
            seen.unseen
        };
        for endpoint in [None, Some(endpoint(seen.provider))] {
            let least = youngest
                .entry((&seen.instance.id, endpoint))
                .or_insert(unseen);
            *least = least.min(unseen);
        }
    }
    fleet.retain(|seen| {
        let named = seen.instance.id != seen.instance.address;
        let endpoint = (!named).then(|| endpoint(seen.provider));
        let youngest = youngest.get(&(&*seen.instance.id, endpoint));
        let moved = youngest.is_some_and(|youngest| *youngest < seen.unseen);
        seen.provider_runs || !moved
    });
    fleet.sort_by(|a, b| a.key().cmp(&b.key()));
    fleet
}

/// A provider's host and port, which a restart does not change.
fn endpoint(provider: &Report) -> &str {
    let name = &provider.provider;
    name.rsplit_once('/').map_or(name, |(endpoint, _)| endpoint)
}

/// The first few of many names, and how many more there are: there can be thousands, and any can be made up.
pub fn first_few(names: impl ExactSizeIterator<Item: fmt::Display>) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let mut shown: Vec<_> = names.take(SHOWN).map(|name| name.to_string()).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests;
