//! The verdicts for people: a line each.

use std::fmt;
use std::time::Duration;

use super::Measured;
use super::counters::Seen;
use super::judge::{Figure, Judged, Limit, Standing, Subject, Unmeasured, Value, Verdict};
use crate::color::Color;
use crate::config::{Analysis, Latency};
use crate::registry::first_few;
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

/// `api green: 1240 requests, 0.1 % errors, p95 12 ms`
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            color,
            judged: _,
            requests,
            errors,
            quantile,
            latency,
        } = self;
        write!(f, "{service} {color}: {requests} requests")?;
        if let Some(share) = errors {
            write!(f, ", {} errors", Value::Share(*share))?;
        }
        let latency = latency.and_then(|latency| Duration::try_from_secs_f64(latency).ok());
        match latency {
            Some(latency) => write!(f, ", {} {}", percentile(*quantile), time(latency)),
            None => Ok(()),
        }
    }
}

/// What those that are judged were measured at, in a sentence; nothing where there are none.
pub fn of_measured(measured: &[Measured]) -> String {
    let judged = measured.iter().filter(|one| one.judged);
    let judged: Vec<_> = judged.map(ToString::to_string).collect();
    judged.join("; ")
}

/// A quantile in percent, such as `p95`.
fn percentile(quantile: f64) -> String {
    format!("p{}", rounded(quantile * 100.0, 3))
}

/// A number with at most so many decimals.
fn rounded(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What is to be said of where the figures come from.
pub(super) fn of_source(seen: &Seen, took: Duration) -> Line {
    let outcome = match (&*seen.silent, seen.readings.len()) {
        ([], 1) => Outcome::Passed("1 instance".to_owned()),
        ([], instances) => Outcome::Passed(format!("{instances} instances")),
        (silent, _) => Outcome::Unmeasured(first_few(silent.iter())),
    };
    line("metrics".to_owned(), outcome, took)
}

fn line(name: String, outcome: Outcome, took: Duration) -> Line {
    Line {
        kind: Kind::Analysis,
        name,
        outcome,
        took,
        attempts: 1,
    }
}

/// What is to be said of what was judged, by the limits of a config, beside the other color.
pub(super) fn of_judged(
    judged: &Judged,
    config: &Analysis,
    other: Option<&Color>,
    took: Duration,
) -> Line {
    let detail = detail(judged, config, other);
    let outcome = match judged.standing(config.failures) {
        Standing::Passed => Outcome::Passed(detail),
        Standing::NotEnough => Outcome::Skipped(detail),
        Standing::Unknown | Standing::Failing => Outcome::Unmeasured(detail),
        Standing::Failed => Outcome::Failed(detail),
    };
    line(judged.subject.to_string(), outcome, took)
}

fn detail(judged: &Judged, config: &Analysis, other: Option<&Color>) -> String {
    let least = config.min_requests;
    let other = other
        .map(|color| format!(" on {color}"))
        .unwrap_or_default();
    let in_a_row = match judged.failures {
        failures if failures < config.failures => {
            format!("; {failures} of {} looks in a row", config.failures)
        }
        1 => String::new(),
        failures => format!("; {failures} looks in a row"),
    };
    let seen = |value: &Value| {
        let quantile = match (&judged.subject.figure, &config.latency) {
            (Figure::Latency, Some(Latency { quantile, .. })) => {
                format!("{} ", percentile(*quantile))
            }
            _ => String::new(),
        };
        let requests = judged
            .requests
            .map(|requests| format!(" of {requests} requests"));
        format!("{quantile}{value}{}", requests.unwrap_or_default())
    };
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
            format!("{}, {limit}{in_a_row}", seen(value))
        }
        Verdict::NotEnough(requests) => format!("not enough requests: {requests} of {least}"),
        Verdict::NobodyBeside(requests) => {
            format!("not enough requests{other} to compare with: {requests} of {least}")
        }
        Verdict::Unmeasured(Unmeasured::Blind(why)) => format!("{why}{in_a_row}"),
        Verdict::Unmeasured(Unmeasured::Beyond(bound)) => format!(
            "it takes longer than {}, the last bound of Traefik's histogram, and may: add one, in `metrics.prometheus.buckets` of Traefik",
            time(*bound)
        ),
        Verdict::Unmeasured(Unmeasured::NoNumber(why)) => {
            format!("the query has no number: {why}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_by_what_is_judged() {
        let measured = |color: &str, requests, errors, latency| Measured {
            service: "api".to_owned(),
            color: color.to_owned(),
            judged: color == "green",
            requests,
            errors,
            quantile: 0.95,
            latency,
        };
        for (measured, words) in [
            (vec![], ""),
            (vec![measured("blue", 3720, Some(0.0), Some(0.009))], ""),
            (
                vec![
                    measured("blue", 3720, Some(0.0), Some(0.009)),
                    measured("green", 1240, Some(0.001), Some(0.012)),
                ],
                "api green: 1240 requests, 0.1 % errors, p95 12 ms",
            ),
            (
                vec![
                    measured("green", 0, None, None),
                    measured("green", 1, Some(0.0), Some(f64::MAX)),
                ],
                "api green: 0 requests; api green: 1 requests, 0 % errors",
            ),
        ] {
            assert_eq!(of_measured(&measured), words);
        }
    }

    #[test]
    fn values_are_short_and_say_what_is_so() {
        for (value, words) in [
            (Value::Share(0.0), "0 %"),
            (Value::Share(0.000_05), "below 0.01 %"),
            (Value::Share(0.0025), "0.25 %"),
            (Value::Share(0.5), "50 %"),
            (Value::Share(1.0), "100 %"),
            (Value::Time(Duration::from_millis(240)), "240 ms"),
            (Value::Above(Duration::from_secs(5)), "more than 5.0 s"),
            (Value::Number(-0.0), "0"),
            (Value::Number(-12.5), "-12.5"),
            (Value::Number(1.0 / 3.0), "0.3333"),
            (Value::Number(100.0), "100"),
            (Value::Number(1e-9), "1.000e-9"),
            (Value::Number(f64::MAX), "1.798e308"),
            (Value::Number(f64::INFINITY), "inf"),
        ] {
            assert_eq!(value.to_string(), words);
        }
    }
}
