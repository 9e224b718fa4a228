//! The verdicts for people: a line each.

use std::fmt;
use std::time::Duration;

use super::judge::{Figure, Judged, Limit, Subject, Unmeasured, Value, Verdict};
use super::{Analysis, Standing};
use crate::verify::report::{Kind, Line, Outcome, time};

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.figure {
            Figure::Errors => "errors",
            Figure::Latency => "latency",
            Figure::Query(name) => name,
        })?;
        if let Some(service) = &self.service {
            write!(f, " {service}")?;
        }
        write!(f, " {}", self.color)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Share(share) if share > 0.0 && share < 0.0001 => f.write_str("below 0.01 %"),
            Self::Share(share) => write!(f, "{} %", rounded(share * 100.0, 2)),
            Self::Time(took) => f.write_str(&time(took)),
            Self::Above(bound) => write!(f, "more than {}", time(bound)),
            Self::Number(0.0) => f.write_str("0"),
            Self::Number(number) if (1e-3..1e9).contains(&number.abs()) => {
                f.write_str(&rounded(number, 4))
            }
            Self::Number(number) => write!(f, "{number:.3e}"),
        }
    }
}

/// A number with at most so many decimals.
fn rounded(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Analysis {
    /// What is to be said of a verdict.
    pub(super) fn line(&self, judged: &Judged, took: Duration) -> Line {
        let detail = self.detail(judged);
        Line {
            kind: Kind::Analysis,
            name: judged.subject.to_string(),
            outcome: match self.standing(judged) {
                Standing::Passed => Outcome::Passed(detail),
                Standing::NotEnough => Outcome::Skipped(detail),
                Standing::Unknown => Outcome::Unmeasured(detail),
                Standing::Failed => Outcome::Failed(detail),
            },
            took,
            attempts: 1,
        }
    }

    fn detail(&self, judged: &Judged) -> String {
        let least = self.config.min_requests;
        let quantile = self
            .config
            .latency
            .as_ref()
            .filter(|_| judged.subject.figure == Figure::Latency);
        let quantile =
            quantile.map(|latency| format!("p{} ", rounded(latency.quantile * 100.0, 3)));
        let seen = |value: &Value| {
            let of = judged
                .requests
                .map(|requests| format!(" of {requests} requests"));
            format!(
                "{}{value}{}",
                quantile.as_deref().unwrap_or_default(),
                of.unwrap_or_default()
            )
        };
        let in_a_row = || match judged.failures {
            failures if failures < self.config.failures => {
                format!("; {failures} of {} looks in a row", self.config.failures)
            }
            1 => String::new(),
            failures => format!("; {failures} looks in a row"),
        };
        let other = self
            .other
            .as_ref()
            .map(|color| format!(" on {color}"))
            .unwrap_or_default();
        match &judged.verdict {
            Verdict::Passed(value) => seen(value),
            Verdict::Failed(value, limit) => {
                let limit = match limit {
                    Limit::AtMost(most) => format!("at most {most} is allowed"),
                    Limit::AtLeast(least) => format!("at least {least} is needed"),
                    Limit::Beside {
                        other: beside,
                        most,
                    } => {
                        format!("at most {most} is allowed beside {beside}{other}")
                    }
                };
                format!("{}, {limit}{}", seen(value), in_a_row())
            }
            Verdict::NotEnough(requests) => format!("not enough requests: {requests} of {least}"),
            Verdict::NobodyBeside(requests) => {
                format!("not enough requests{other} to compare with: {requests} of {least}")
            }
            Verdict::Unmeasured(Unmeasured::Blind) => {
                format!("nothing could be read{}", in_a_row())
            }
            Verdict::Unmeasured(Unmeasured::Beyond(bound)) => format!(
                "it takes longer than {}, the last bound of Traefik's histogram, and may: add one, in `metrics.prometheus.buckets` of Traefik",
                time(*bound)
            ),
            Verdict::Unmeasured(Unmeasured::NoNumber(why)) => {
                format!("the query has no number: {why}")
            }
        }
    }
}
