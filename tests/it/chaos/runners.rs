//! Rollouts whose runner is killed, sleeps, or is told otherwise, at every stage, under constant load: none is ever stuck,
//! no two run one, and the key holds only what somebody has allowed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use super::hosts::Hosts;
use super::journal::{What, Write, not_allowed, not_told, taken_over, text, two_at_once};
use super::round::{Round, Struck};
use crate::support::eventually;
use crate::support::load::{Reply, Report};
use crate::support::stack::HOSTS;

/// How many rounds `make chaos` has where `CHAOS_ROUNDS` does not say.
const ROUNDS: usize = 100;

/// A rollout that was taken over has ended so soon after the lease of its runner was over, in seconds: production is watched
/// anew for 10 s after either step of a ramp, another runner may be killed meanwhile, and a machine may be busy.
const ENDED_WITHIN: f64 = 45.0;

/// What the stack has besides its services: `up` takes as long as a file is there; each hook long enough to be struck.
const MORE: &str = "    up: 'while test -e hold; do sleep 0.02; done'
    hooks:
      before: { command: sleep 0.3 }
      after: { command: sleep 0.3 }
      back: { command: sleep 0.3 }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_rounds() {
    rounds(4, Rng::with_seed(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `make chaos`"]
async fn runners_at_random() {
    let rounds_wanted = std::env::var("CHAOS_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    rounds(rounds_wanted, super::rng()).await;
}

/// What came of all rounds.
#[derive(Default)]
struct Figures {
    stages: BTreeMap<String, usize>,
    ends: BTreeMap<String, usize>,
    /// From the end of a lease until somebody had taken the rollout over, and until it had ended, in seconds.
    taken: Vec<f64>,
    ended: Vec<f64>,
    requests: usize,
    broken: usize,
}

async fn rounds(count: usize, mut rng: Rng) {
    let mut hosts = Hosts::start(MORE).await;
    let mut figures = Figures::default();
    // So that there is something to go back to.
    for color in ["green", "blue"] {
        hosts.redis.cli(&["SET", "active", color]).await;
        rests(&hosts).await;
    }
    for nth in 1..=count {
        let round = Round::any(&mut rng);
        println!("{nth:>4} {round:?}");
        one(&round, &mut hosts, &mut rng, &mut figures).await;
    }
    figures.print(count);
}

/// One round, and all that has to hold of it.
async fn one(round: &Round, hosts: &mut Hosts, rng: &mut Rng, figures: &mut Figures) {
    let from = settled(hosts).await;
    let to = if from == "blue" { "green" } else { "blue" };
    let (newest, _) = history(hosts, "-").await.pop().unwrap_or_default();
    hosts.journal.turn(&hosts.redis).await;
    let load = hosts.load().await;
    let began = Instant::now();
    let struck = round.happen(hosts, to, rng).await;
    let key = rests(hosts).await;
    let took = began.elapsed();
    answers(hosts, &key).await;
    let rested = Instant::now();
    load.goes_on(rested, HOSTS.len()).await;
    let report = load.stop().await;
    let writes = hosts.journal.turn(&hosts.redis).await;
    // None where the command had refused.
    let record = records(&writes).last().cloned().unwrap_or_default();
    let wrong = |what: &str, why: &str| panic!("{round:?}: {what}: {why}\n{}", shown(&writes));
    two_at_once(&writes).unwrap_or_else(|why| wrong("two runners", &why));
    not_allowed(&writes).unwrap_or_else(|why| wrong("the key", &why));
    let after = format!("({newest}");
    let told = history(hosts, if newest.is_empty() { "-" } else { &after }).await;
    let told: Vec<String> = told.into_iter().map(|(_, to)| to).collect();
    not_told(&writes, from.clone(), &told).unwrap_or_else(|why| wrong("the history", &why));
    says_so(&record, &key, &writes).unwrap_or_else(|why| wrong("the record", &why));
    code_is_right(round, &struck, &writes).unwrap_or_else(|why| wrong("the command", &why));
    only_what_was_broken_failed(&report, to);
    if let Some(color) = Some(&key).filter(|key| !key.contains(':')) {
        report.assert_all(rested, color);
    }
    let taken = taken_over(&writes);
    for (after, ended) in &taken {
        assert!(
            *ended < ENDED_WITHIN,
            "{round:?}: ended after {ended} s: {}",
            shown(&writes)
        );
        figures.taken.push(*after);
        figures.ended.push(*ended);
    }
    println!(
        "     {} → {key} at {:<22} {:<12}{:>5.1} s{:>7} requests  taken over, ended after: {taken:.1?}",
        from,
        struck.stage,
        text(&record["outcome"]["end"]),
        took.as_secs_f64(),
        report.samples.len(),
    );
    figures.requests += report.samples.len();
    figures.broken += report.failures().len();
    *figures.stages.entry(struck.stage).or_default() += 1;
    let end = text(&record["outcome"]["end"]).to_owned();
    *figures.ends.entry(end).or_default() += 1;
}

/// Has one color serve, and everything rest; gives the color.
async fn settled(hosts: &Hosts) -> String {
    let mut key = hosts.key().await;
    if !["blue", "green"].contains(&&*key) {
        key = "blue".to_owned();
        hosts.redis.cli(&["SET", "active", &key]).await;
    }
    let key = rests(hosts).await;
    answers(hosts, &key).await;
    key
}

/// Waits until nobody is at it any more, and the history tells what the key says; gives that.
async fn rests(hosts: &Hosts) -> String {
    let within = Duration::from_secs(30);
    eventually("nobody is at it any more", within, async || {
        let key = hosts.key().await;
        let lease = hosts.redis.cli(&["GET", "{active}:lease"]).await;
        let record = hosts.redis.cli(&["GET", "{active}:rollout"]).await;
        let record: Value = serde_json::from_str(&record).unwrap_or_default();
        let told = history(hosts, "-").await.pop();
        let is_told = told.as_ref().is_some_and(|(_, to)| *to == key);
        let runs = !record.is_null() && record["outcome"].is_null();
        match runs || !lease.is_empty() || !is_told {
            true => Err(format!("{key}, {told:?}, `{lease}`: {record}")),
            false => Ok(key),
        }
    })
    .await
}

/// Waits until production answers by this traffic.
async fn answers(hosts: &Hosts, key: &str) {
    if !key.contains(':') {
        for host in HOSTS {
            hosts.edge.wait_for(host, key).await;
            hosts.late.wait_for(host, key).await;
        }
    }
}

/// The history from there on, the oldest first: which, and to what.
async fn history(hosts: &Hosts, from: &str) -> Vec<(String, String)> {
    let mut connection = hosts.redis.connection().await;
    let mut asked = ::redis::cmd("XRANGE");
    asked.arg("{active}:history").arg(from).arg("+");
    let entries: Vec<(String, BTreeMap<String, String>)> =
        asked.query_async(&mut connection).await.unwrap();
    let to = |mut fields: BTreeMap<String, String>| fields.remove("to").unwrap_or_default();
    entries
        .into_iter()
        .map(|(id, fields)| (id, to(fields)))
        .collect()
}

/// Whether the record says of the key what is so, unless somebody has set it since.
fn says_so(record: &Value, key: &str, writes: &[Write]) -> Result<(), String> {
    let is_of_key = |write: &&Write| matches!(write.what, What::Key(_));
    let last = writes.iter().rev().find(is_of_key);
    if record.is_null() || last.is_some_and(|write| !write.by_script) {
        return Ok(());
    }
    let steps = record["request"]["steps"].as_array();
    let goal = steps.and_then(|steps| steps.last()).map(text);
    let (end, effect) = (
        text(&record["outcome"]["end"]),
        text(&record["outcome"]["effect"]),
    );
    let expected = match (end, effect) {
        ("conflict", _) => return Ok(()),
        ("done", _) => goal,
        (_, "none" | "rolledBack") => record["from"].as_str(),
        (_, "changed") => record["traffic"].as_str(),
        _ => None,
    };
    match expected == Some(key) {
        true => Ok(()),
        false => Err(format!("the key is {key}, not {expected:?}: {record}")),
    }
}

/// Whether the command has ended as its rollout did, wherever that ran in the end.
fn code_is_right(round: &Round, struck: &Struck, writes: &[Write]) -> Result<(), String> {
    let (Some(code), false) = (struck.code, round.detached) else {
        return Ok(());
    };
    let Some(first) = records(writes).next() else {
        return Ok(());
    };
    let of_it = records(writes).filter(|record| record["id"] == first["id"]);
    let outcome = of_it.last().map(|record| &record["outcome"]);
    let end = outcome
        .map(|outcome| text(&outcome["end"]))
        .unwrap_or_default();
    let cause = outcome.map_or("", |outcome| text(&outcome["cause"]["what"]));
    let codes: &[i32] = match end {
        "done" => &[0],
        // Nobody can go on with `up`: whoever slept finds its place taken, or that it has ended.
        "refused" if cause == "abandoned" => &[1, 7],
        "refused" => &[1, 3],
        "rolledBack" => &[4],
        "unconfirmed" => &[5],
        "unknown" => &[6],
        // Another one took its place.
        _ => &[7],
    };
    match codes.contains(&code) {
        true => Ok(()),
        false => Err(format!(
            "exit code {code}, where the rollout ended `{end}`: {first}"
        )),
    }
}

/// The records, in the order in which they were written.
fn records(writes: &[Write]) -> impl Iterator<Item = &Value> {
    writes.iter().filter_map(|write| match &write.what {
        What::Record(record) => Some(record),
        _ => None,
    })
}

/// Every failed request is one that the broken color has answered.
#[track_caller]
fn only_what_was_broken_failed(report: &Report, broken: &str) {
    for failure in report.failures() {
        let is_of_it =
            |reply: &Reply| reply.status == 500 && reply.color.as_deref() == Some(broken);
        assert!(failure.outcome.as_ref().is_ok_and(is_of_it), "{failure:?}");
    }
}

/// The writes, a line each.
fn shown(writes: &[Write]) -> String {
    let began = writes.first().map_or(0.0, |write| write.at);
    let line = |write: &Write| {
        let what = match &write.what {
            What::Key(value) => format!("key {value}"),
            What::Lease(token) => format!("lease {token}"),
            What::Mark(_) => String::new(),
            What::Record(record) => format!("record {record}"),
        };
        format!("{:8.3} {what}\n", write.at - began)
    };
    writes.iter().map(line).collect()
}

impl Figures {
    fn print(&mut self, rounds: usize) {
        println!(
            "\n{rounds} rounds, {} requests, {} answered by a broken color",
            self.requests, self.broken
        );
        println!("struck at: {:?}", self.stages);
        println!("ended: {:?}", self.ends);
        for (what, all) in [("taken over", &mut self.taken), ("ended", &mut self.ended)] {
            all.sort_by(f64::total_cmp);
            let (median, worst) = (all.get(all.len() / 2), all.last());
            println!(
                "{what} so long after the lease was over: median {median:.2?} s, worst {worst:.2?} s, n = {}",
                all.len()
            );
        }
    }
}
