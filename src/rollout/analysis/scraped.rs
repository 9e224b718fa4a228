//! Scraped: the counters of every instance, as a Prometheus has them.
//!
//! They are asked as they stand, and not as their `increase`: that misses the first request of a status that had none
//! before, which is the very one in question.

use std::collections::{BTreeMap, BTreeSet};

use super::counters::{Reading, Seen};
use super::exposition::{BUCKETS, EVERY, REQUESTS};
use super::figures::{Counted, Sample, count};
use super::prometheus::{Element, Unanswered, ask, quoted};

/// What each instance has counted of these services of Traefik's.
pub(super) async fn see(url: &str, services: &BTreeSet<&str>) -> Seen {
    match readings(url, services).await {
        Ok(readings) => Seen {
            readings: readings.into_iter().collect(),
            silent: Vec::new(),
        },
        Err(why) => Seen {
            readings: Vec::new(),
            silent: vec![why],
        },
    }
}

async fn readings(
    url: &str,
    services: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Reading>, String> {
    let data = ask(url, &of_counters(services))
        .await
        .map_err(Unanswered::why)?;
    let elements = serde_json::from_value(data.result);
    by_instance(elements.map_err(|error| error.to_string())?)
}

/// One query for all counters of these services, and for something that every instance has, so that one without any
/// requests is known too. Where the target has a label `service` itself, Prometheus calls Traefik's `exported_service`.
fn of_counters(services: &BTreeSet<&str>) -> String {
    let services: Vec<_> = services.iter().map(|service| literally(service)).collect();
    let services = quoted(&services.join("|"));
    let of = |metric| {
        format!("{metric}{{service=~{services}}} or {metric}{{exported_service=~{services}}}")
    };
    let (requests, buckets) = (of(REQUESTS), of(BUCKETS));
    format!(
        "{EVERY} or sum without (method, protocol) ({requests}) or sum without (method, protocol, code) ({buckets})"
    )
}

/// A regular expression that matches this text only.
fn literally(text: &str) -> String {
    let mut expression = String::new();
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            expression.push('\\');
        }
        expression.push(c);
    }
    expression
}

/// The readings of instances: each is told by the labels that are not of its counters.
fn by_instance(elements: Vec<Element>) -> Result<BTreeMap<String, Reading>, String> {
    let mut readings: BTreeMap<String, Reading> = BTreeMap::new();
    for Element { mut metric, value } in elements {
        metric.remove("__name__");
        let counted = match (metric.remove("le"), metric.remove("code")) {
            (Some(le), _) => Counted::of_bound(&le)
                .ok_or(format!("the bucket `{le}` is none"))?
                .into(),
            (None, code) => code.map(|code| Counted::of_status(&code)),
        };
        let mut label = |name| metric.remove(name);
        let Some(counted) = counted else {
            readings.entry(key(&metric)).or_default();
            continue;
        };
        let service = label("exported_service").or_else(|| label("service"));
        let service = service.ok_or("there is a counter of no service")?;
        let value = count(&value.1).ok_or(format!("`{}` is no count", value.1))?;
        let sample = Sample {
            service,
            counted,
            value,
        };
        readings.entry(key(&metric)).or_default().count(sample);
    }
    match readings.is_empty() {
        true => Err("it has no metrics of any Traefik".to_owned()),
        false => Ok(readings),
    }
}

fn key(labels: &BTreeMap<String, String>) -> String {
    let labels = labels
        .iter()
        .map(|(name, value)| format!("{name}={}", quoted(value)));
    labels.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn no_name_breaks_out_of_its_string() {
        assert_eq!(literally("s-a.b@http"), r"s\-a\.b\@http");
        let query = of_counters(&["a\"} or vector(1) #", "b.c@http"].into());
        let strings = query.split(r#"=~""#).count() - 1;
        assert_eq!(strings, 4, "{query}");
        assert!(
            query.contains(r#""a\\\"\\} or vector\\(1\\) \\#|b\\.c\\@http""#),
            "{query}"
        );
    }

    #[test]
    fn elements_are_counters_of_instances() {
        let element =
            |labels: Value, value: &str| json!({ "metric": labels, "value": [1.5, value] });
        let elements = json!([
            element(
                json!({ "__name__": EVERY, "instance": "a:1", "job": "t" }),
                "1"
            ),
            element(
                json!({ "__name__": EVERY, "instance": "b:1", "job": "t", "service": "traefik" }),
                "1"
            ),
            element(
                json!({ "instance": "a:1", "job": "t", "service": "s@http", "code": "200" }),
                "5"
            ),
            element(
                json!({ "instance": "a:1", "job": "t", "service": "s@http", "code": "503" }),
                "2"
            ),
            element(
                json!({ "instance": "a:1", "job": "t", "service": "s@http", "le": "+Inf" }),
                "7"
            ),
            element(
                json!({ "instance": "b:1", "job": "t", "service": "traefik", "exported_service": "s@http", "code": "200" }),
                "1"
            ),
        ]);
        let readings = by_instance(serde_json::from_value(elements).unwrap()).unwrap();
        let (a, b) = (
            r#"instance="a:1",job="t""#,
            r#"instance="b:1",job="t",service="traefik""#,
        );
        assert_eq!(readings.keys().collect::<Vec<_>>(), [a, b]);
        let figures = &readings[a].services["s@http"];
        assert_eq!(
            (figures.requests, figures.errors, figures.timed()),
            (7, 2, 7)
        );
        assert_eq!(readings[b].services["s@http"].requests, 1);
        assert!(by_instance(Vec::new()).is_err());
        let bad = json!([element(
            json!({ "service": "s@http", "code": "200" }),
            "NaN"
        )]);
        assert!(by_instance(serde_json::from_value(bad).unwrap()).is_err());
    }
}
