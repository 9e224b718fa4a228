//! Analysis: judging the traffic of a color by figures, while it gets some.
//!
//! A look reads how many requests Traefik has counted for each service and color, how many of them it has answered with
//! 5xx and how long they took, from each instance or from a Prometheus; the operator's own queries go to the latter.
//! What is judged are the requests since the first look of a step: counters of before, of a Traefik that was restarted
//! or of one that came meanwhile do not count.
//!
//! - [`figures`]: what has been counted of a service; [`counters`]: the figures of a step, out of counters that rise, and
//!   fall where they start anew; `quantile`: out of buckets;
//! - [`judge`]: from figures to verdicts, and how often in a row they were bad;
//! - `exposition`: Prometheus' text format; `instances` and `prometheus`: the two sources;
//! - `words`: the verdicts for people.

pub mod counters;
mod exposition;
pub mod figures;
mod instances;
pub mod judge;
mod prometheus;
mod quantile;
mod words;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use serde::{Deserialize, Serialize};

use self::counters::{Counters, Reading};
use self::judge::{Figure, Judged, Streaks, Subject, Unmeasured, Verdict};
use self::prometheus::Unanswered;
use self::quantile::{Quantile, quantile};
use crate::color::Color;
use crate::config::{self, Query, Source, Stack};
use crate::document::service_of;
use crate::registry::first_few;
use crate::template;
use crate::verify::report::{Kind, Line, Outcome};

/// The analysis of one step. Who carries a step on begins a new one: what was counted before is not known there, and
/// counts no more.
#[derive(Clone, Debug)]
pub struct Analysis {
    config: config::Analysis,
    colors: Vec<Color>,
    other: Option<Color>,
    /// Traefik's name of each service of each color in question.
    names: BTreeMap<(String, Color), String>,
    counters: Counters,
    streaks: Streaks,
}

/// What came of a look.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// A line for each figure, and one for where the figures come from.
    pub lines: Vec<Line>,
    /// All of it in one.
    pub standing: Standing,
}

/// How it stands, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Every figure keeps its limits.
    Passed,
    /// So does every figure that could be judged; of others there were not enough requests.
    NotEnough,
    /// A figure could not be measured, or has failed, but not often enough to count.
    Unknown,
    /// A figure has failed as often in a row as counts, or nothing at all could be read so often.
    Failed,
}

/// What was measured of a service of one color in a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The service.
    pub service: String,
    /// The color.
    pub color: String,
    /// How many requests it has answered.
    pub requests: u64,
    /// The share of those with 5xx, from 0 to 1; none where there were no requests.
    pub errors: Option<f64>,
    /// The quantile that the latency is of.
    pub quantile: f64,
    /// The latency in seconds, or the last bound of Traefik's histogram where it is longer; none where nothing was timed.
    pub latency: Option<f64>,
}

impl Analysis {
    /// Begins with a step that gives traffic to these colors, to be compared with the other one; none where the stack has
    /// no analysis. The first look gives what the counters are reckoned from.
    pub fn begin(
        name: &str,
        stack: &Stack,
        colors: &[Color],
        other: Option<&Color>,
    ) -> Option<Self> {
        let config = stack.analysis.clone()?;
        let mut names = BTreeMap::new();
        for service_name in &config.services {
            let Some(service) = stack.services.get(service_name) else {
                continue;
            };
            for color in colors.iter().chain(other) {
                let of = service_of(&format!("{name}-{service_name}"), service, color);
                let of = if of.contains('@') {
                    of
                } else {
                    format!("{of}@http")
                };
                names.insert((service_name.clone(), color.clone()), of);
            }
        }
        Some(Self {
            config,
            colors: colors.to_vec(),
            other: other.cloned(),
            names,
            counters: Counters::default(),
            streaks: Streaks::default(),
        })
    }

    /// The time from one look to the next.
    pub fn every(&self) -> Duration {
        self.config.every
    }

    /// Looks once. The instances are given by name and address, and are asked where the config says so; the step began
    /// so long ago.
    pub async fn look(&mut self, instances: &[(&str, &str)], elapsed: Duration) -> Look {
        let began = Instant::now();
        let ((source, is_seen), numbers) = match self.config.source.clone() {
            Source::Instances { port, path } => {
                (self.instances(instances, port, &path).await, Vec::new())
            }
            Source::Prometheus(url) => {
                let queries = self.queries(elapsed);
                let numbers = queries.into_iter().map(async |(subject, limits, query)| {
                    let number = prometheus::number(&url, &query).await;
                    (subject, limits, number)
                });
                let (readings, numbers) = join(self.readings(&url), join_all(numbers)).await;
                (self.take(readings), numbers)
            }
        };
        let mut judged = self.figures(is_seen);
        for (subject, limits, number) in numbers {
            let verdict = match number {
                Ok(number) => judge::query(&limits, number),
                Err(Unanswered::Silent(_)) => Verdict::Unmeasured(Unmeasured::Blind),
                Err(Unanswered::Useless(why)) => Verdict::Unmeasured(Unmeasured::NoNumber(why)),
            };
            judged.push(self.streaks.judged(subject, verdict, None));
        }
        let standings = judged.iter().map(|judged| self.standing(judged));
        let standing = standings.max().unwrap_or(Standing::Passed);
        let took = began.elapsed();
        let source = source.map(|outcome| Line {
            kind: Kind::Analysis,
            name: "metrics".to_owned(),
            outcome,
            took,
            attempts: 1,
        });
        let figures = judged.iter().map(|judged| self.line(judged, took));
        Look {
            lines: source.into_iter().chain(figures).collect(),
            standing,
        }
    }

    /// What was measured so far: each service of each color, also of the other one.
    pub fn measured(&self) -> Vec<Measured> {
        let at = self
            .config
            .latency
            .as_ref()
            .map_or(0.95, |latency| latency.quantile);
        let measured = self.names.iter().map(|((service, color), name)| {
            let figures = self.counters.of(name);
            let latency = quantile(&figures.buckets, at).map(|latency| match latency {
                Quantile::At(latency) | Quantile::Above(latency) => latency.as_secs_f64(),
            });
            Measured {
                service: service.clone(),
                color: color.to_string(),
                requests: figures.requests,
                errors: figures.share(),
                quantile: at,
                latency,
            }
        });
        measured.collect()
    }

    /// Asks each instance; gives what is to be said of that, and whether any has told.
    async fn instances(
        &mut self,
        instances: &[(&str, &str)],
        port: u16,
        path: &str,
    ) -> (Option<Outcome>, bool) {
        let names = self.names.values().map(String::as_str).collect();
        let told = instances::read(instances, port, path, &names).await;
        let all = told.len();
        let mut silent = Vec::new();
        for told in told {
            match told.reading {
                Ok(reading) => self.counters.take(&told.address, reading),
                Err(why) => silent.push(format!("{}: {why}", told.place)),
            }
        }
        let outcome = match (all, silent.len()) {
            (0, _) => Outcome::Unmeasured("no Traefik polls".to_owned()),
            (_, 0) => Outcome::Passed(instances_in_words(all)),
            _ => Outcome::Unmeasured(first_few(silent.iter())),
        };
        (Some(outcome), silent.len() < all)
    }

    /// Asks the Prometheus for the counters, where any figure is judged by them.
    async fn readings(&self, url: &str) -> Option<Result<BTreeMap<String, Reading>, Unanswered>> {
        let names = self.names.values().map(String::as_str).collect();
        match self.config.errors.is_some() || self.config.latency.is_some() {
            true => Some(prometheus::readings(url, &names).await),
            false => None,
        }
    }

    /// Takes what the Prometheus has told.
    fn take(
        &mut self,
        readings: Option<Result<BTreeMap<String, Reading>, Unanswered>>,
    ) -> (Option<Outcome>, bool) {
        match readings {
            None => (None, false),
            Some(Err(unanswered)) => (
                Some(Outcome::Unmeasured(unanswered.why().to_owned())),
                false,
            ),
            Some(Ok(readings)) => {
                let outcome = Outcome::Passed(instances_in_words(readings.len()));
                for (instance, reading) in readings {
                    self.counters.take(&instance, reading);
                }
                (Some(outcome), true)
            }
        }
    }

    /// The operator's queries, each with what it is about: for each color, and for each service that it names.
    fn queries(&self, elapsed: Duration) -> Vec<(Subject, Query, String)> {
        let mut queries = Vec::new();
        for (query, color) in self
            .config
            .queries
            .iter()
            .flat_map(|query| self.colors.iter().map(move |color| (query, color)))
        {
            let of_services = template::names(&query.query)
                .iter()
                .any(|(_, name)| *name == "service");
            let services = match of_services {
                true => self.config.services.iter().map(Some).collect(),
                false => vec![None],
            };
            for service in services {
                let subject = Subject {
                    figure: Figure::Query(query.name.clone()),
                    service: service.cloned(),
                    color: color.clone(),
                };
                let text = prometheus::filled(
                    &query.query,
                    color.as_str(),
                    service.map(String::as_str),
                    elapsed,
                );
                queries.push((subject, query.clone(), text));
            }
        }
        queries
    }

    /// Judges what has been counted; or that nothing could be read.
    fn figures(&mut self, is_seen: bool) -> Vec<Judged> {
        let least = self.config.min_requests;
        let mut judged = Vec::new();
        for color in &self.colors {
            for service in &self.config.services {
                let of = |color: &Color| {
                    let name = self.names.get(&(service.clone(), color.clone()))?;
                    Some(self.counters.of(name))
                };
                let own = of(color).unwrap_or_default();
                let other = self.other.as_ref().and_then(of);
                let mut judge = |figure, requests, verdict: &dyn Fn() -> Verdict| {
                    let verdict = match is_seen {
                        true => verdict(),
                        false => Verdict::Unmeasured(Unmeasured::Blind),
                    };
                    let subject = Subject {
                        figure,
                        service: Some(service.clone()),
                        color: color.clone(),
                    };
                    judged.push(self.streaks.judged(subject, verdict, Some(requests)));
                };
                if let Some(limits) = &self.config.errors {
                    judge(Figure::Errors, own.requests, &|| {
                        judge::errors(limits, least, &own, other.as_ref())
                    });
                }
                if let Some(limits) = &self.config.latency {
                    judge(Figure::Latency, own.timed(), &|| {
                        judge::latency(limits, least, &own, other.as_ref())
                    });
                }
            }
        }
        judged
    }

    fn standing(&self, judged: &Judged) -> Standing {
        let counts = judged.failures >= self.config.failures;
        match &judged.verdict {
            Verdict::Passed(_) => Standing::Passed,
            Verdict::NotEnough(_) | Verdict::NobodyBeside(_) => Standing::NotEnough,
            Verdict::Failed(..) | Verdict::Unmeasured(Unmeasured::Blind) if counts => {
                Standing::Failed
            }
            Verdict::Failed(..) | Verdict::Unmeasured(_) => Standing::Unknown,
        }
    }
}

fn instances_in_words(instances: usize) -> String {
    match instances {
        1 => "1 instance".to_owned(),
        many => format!("{many} instances"),
    }
}
