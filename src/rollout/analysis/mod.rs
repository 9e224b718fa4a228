//! Analysis: judging the traffic of a color by figures, while it gets some.
//!
//! A look reads how many requests Traefik has counted for each service and color, how many of them it has answered with
//! 5xx and how long they took, from each instance or from a Prometheus; the operator's own queries go to the latter.
//! What is judged are the requests since the first look of a step: counters of before, of a Traefik that was restarted
//! or of one that came meanwhile do not count.
//!
//! - `figures`: what has been counted of a service; `counters`: the figures of a step, out of counters that rise, and
//!   fall where they start anew; `quantile`: out of buckets;
//! - `judge`: from figures to verdicts, and how often in a row they were bad; `words`: the verdicts for people;
//! - `instances`: each Traefik's own metrics, by `exposition`, Prometheus' text format;
//! - `scraped`: the same of a Prometheus; `query`: the operator's own queries; `prometheus`: its API.

mod counters;
mod exposition;
mod figures;
mod instances;
mod judge;
mod prometheus;
mod quantile;
mod query;
mod scraped;
mod words;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join;
use serde::{Deserialize, Serialize};

use self::counters::Counters;
use self::judge::{Figure, Judged, Streaks, Subject, Unmeasured, Verdict};
use self::quantile::{Quantile, quantile};
use crate::color::Color;
use crate::config::{self, Source, Stack};
use crate::document::service_of;
use crate::verify::report::Line;

pub use self::judge::Standing;
pub use self::words::of_measured;

/// What is said of a figure where no source could be read; why is said of the sources.
const BLIND: &str = "nothing could be read";

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

/// What was measured of a service of one color in a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The service.
    pub service: String,
    /// The color.
    pub color: String,
    /// Whether it is judged, and not only what the others are compared with.
    pub judged: bool,
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

    /// How many looks in a row must fail before it counts.
    pub fn failures(&self) -> u32 {
        self.config.failures
    }

    /// Whether the instances themselves are asked.
    pub fn asks_instances(&self) -> bool {
        matches!(self.config.source, Source::Instances { .. })
    }

    /// Looks once. The instances are given by name and address, and are asked where the config says so; the step began
    /// so long ago.
    pub async fn look(&mut self, instances: &[(&str, &str)], since: Duration) -> Look {
        let began = Instant::now();
        let config = &self.config;
        let names = self.names.values().map(String::as_str).collect();
        let (seen, of_queries) = match &config.source {
            Source::Instances { port, path } => {
                let seen = instances::see(instances, *port, path, &names).await;
                (Some(seen), Vec::new())
            }
            Source::Prometheus(url) => {
                let counters = async {
                    let is_asked = config.errors.is_some() || config.latency.is_some();
                    match is_asked {
                        true => Some(scraped::see(url, &names).await),
                        false => None,
                    }
                };
                join(counters, query::judged(url, config, &self.colors, since)).await
            }
        };
        let took = began.elapsed();
        let mut lines = Vec::new();
        let mut judged = Vec::new();
        if let Some(seen) = seen {
            lines.push(words::of_source(&seen, took));
            let is_blind = seen.readings.is_empty();
            for (instance, reading) in seen.readings {
                self.counters.take(&instance, reading);
            }
            judged = self.figures(is_blind);
        }
        for (subject, verdict) in of_queries {
            judged.push(self.streaks.judged(subject, verdict, None));
        }
        let (config, other) = (&self.config, self.other.as_ref());
        let said = judged
            .iter()
            .map(|judged| words::of_judged(judged, config, other, took));
        lines.extend(said);
        let standings = judged.iter().map(|judged| judged.standing(config.failures));
        Look {
            lines,
            standing: standings.max().unwrap_or(Standing::Passed),
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
                judged: self.colors.contains(color),
                requests: figures.requests,
                errors: figures.share(),
                quantile: at,
                latency,
            }
        });
        measured.collect()
    }

    /// Judges what has been counted; blindly, where nothing could be read.
    fn figures(&mut self, is_blind: bool) -> Vec<Judged> {
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
                    let verdict = match is_blind {
                        true => Verdict::Unmeasured(Unmeasured::Blind(BLIND.to_owned())),
                        false => verdict(),
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
}
