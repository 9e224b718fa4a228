//! Prometheus: the same counters, asked of who has scraped them, and the operator's own queries.
//!
//! The counters are asked as they stand, and not as their `increase`: that misses the first request of a status that had
//! none before, which is the very one in question.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hyper::header::CONTENT_TYPE;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::{Position, Url, form_urlencoded};

use super::counters::Reading;
use super::exposition::{BUCKETS, EVERY, REQUESTS};
use super::figures::{Counted, Sample, count};
use super::instances::MOST;
use crate::template::{self, Values};
use crate::verify::ask::Request;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The Prometheus tells nothing.
    Silent(String),
    /// It does, but this query has no answer that could be used.
    Useless(String),
}

impl Unanswered {
    /// Why, in words.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Silent(why) | Self::Useless(why) => why,
        }
    }
}

/// What the API answers.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Envelope {
    data: Data,
    error: String,
}

/// The result of a query.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// An element of a vector.
#[derive(Deserialize)]
struct Element {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

/// The number that a query gives.
pub(super) async fn number(url: &str, query: &str) -> Result<f64, Unanswered> {
    one(ask(url, query).await?).map_err(Unanswered::Useless)
}

/// What each instance has counted of these services of Traefik's, by its labels.
pub(super) async fn readings(
    url: &str,
    services: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Reading>, Unanswered> {
    let data = ask(url, &of_counters(services)).await?;
    let elements = serde_json::from_value(data.result);
    let readings = elements
        .map_err(|error| error.to_string())
        .and_then(by_instance);
    readings.map_err(Unanswered::Useless)
}

/// Asks for the value of a query now.
async fn ask(url: &str, query: &str) -> Result<Data, Unanswered> {
    let silent = |why: &str| Unanswered::Silent(why.to_owned());
    let url = Url::parse(url).map_err(|error| silent(&error.to_string()))?;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", query)
        .append_pair("timeout", &format!("{}s", TIMEOUT.as_secs()))
        .finish();
    let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
    let request = Request {
        method: Method::POST,
        headers: vec![(CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned())],
        body: Some(form),
        most: MOST,
        ..Request::get(&url[..Position::BeforePath], &path, TIMEOUT)
    };
    let answer = request.ask().await.map_err(|none| silent(none.why()))?;
    let envelope: Option<Envelope> = serde_json::from_slice(&answer.body).ok();
    match (answer.status, envelope) {
        (StatusCode::OK, Some(Envelope { data, .. })) => Ok(data),
        // The query is at fault.
        (
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY,
            Some(Envelope { error, .. }),
        ) => Err(Unanswered::Useless(error)),
        _ => Err(silent(&answer.shown())),
    }
}

/// The one number of a result.
fn one(data: Data) -> Result<f64, String> {
    let value: Result<(f64, String), _> = match &*data.result_type {
        "scalar" => serde_json::from_value(data.result),
        "vector" => {
            let elements: Result<Vec<Element>, _> = serde_json::from_value(data.result);
            let mut elements = elements.map_err(|error| error.to_string())?;
            match (elements.pop(), elements.len()) {
                (Some(element), 0) => Ok(element.value),
                (None, _) => return Err("it gives nothing".to_owned()),
                (Some(_), more) => return Err(format!("it gives {} values, not one", more + 1)),
            }
        }
        other => return Err(format!("it gives a {other}, not a number")),
    };
    let (_, text) = value.map_err(|error| error.to_string())?;
    text.parse()
        .map_err(|_| format!("it gives `{text}`, not a number"))
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

/// A text as a string of PromQL, which is written as one of JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A query of the operator's with what it is about: the color, the service, and since when, such as `45s`. The names are
/// written as they have to be between quotes.
pub(super) fn filled(query: &str, color: &str, service: Option<&str>, since: Duration) -> String {
    let within_quotes = |name: &str| {
        let quoted = quoted(name);
        Value::from(&quoted[1..quoted.len() - 1])
    };
    let mut values = Values::from([
        ("color".to_owned(), within_quotes(color)),
        // PromQL takes no range of no length.
        (
            "since".to_owned(),
            format!("{}s", since.as_secs().max(1)).into(),
        ),
    ]);
    values.extend(service.map(|name| ("service".to_owned(), within_quotes(name))));
    template::fill(query, &values)
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
    use serde_json::json;

    use super::*;

    fn data(result_type: &str, result: Value) -> Data {
        Data {
            result_type: result_type.to_owned(),
            result,
        }
    }

    #[test]
    fn a_scalar_and_a_vector_of_one_are_a_number() {
        let element = |value: &str| json!({ "metric": {}, "value": [1.5, value] });
        for (result_type, result, number) in [
            ("scalar", json!([1.5, "3"]), Ok(3.0)),
            ("vector", json!([element("0.25")]), Ok(0.25)),
            ("vector", json!([element("+Inf")]), Ok(f64::INFINITY)),
            ("vector", json!([]), Err("it gives nothing")),
            (
                "vector",
                json!([element("1"), element("2")]),
                Err("it gives 2 values, not one"),
            ),
            (
                "vector",
                json!([element("x")]),
                Err("it gives `x`, not a number"),
            ),
            ("matrix", json!([]), Err("it gives a matrix, not a number")),
            (
                "string",
                json!([1.5, "3"]),
                Err("it gives a string, not a number"),
            ),
        ] {
            assert_eq!(
                one(data(result_type, result)),
                number.map_err(str::to_owned)
            );
        }
        assert!(
            one(data("vector", json!([element("NaN")])))
                .unwrap()
                .is_nan()
        );
        for (result_type, result) in [
            ("scalar", json!(5)),
            ("vector", json!({})),
            ("vector", json!([{}])),
            ("", Value::Null),
        ] {
            assert!(one(data(result_type, result)).is_err());
        }
    }

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
    fn a_query_is_about_a_color_a_service_and_the_time_since_then() {
        let fill =
            |query, since| filled(query, "a\"b\\", Some("api"), Duration::from_millis(since));
        let query = r#"sum(rate(x{color="{color}",s="{service}"}[{since}])) by (le)"#;
        let filled = r#"sum(rate(x{color="a\"b\\",s="api"}[45s])) by (le)"#;
        assert_eq!(fill(query, 45_900), filled);
        assert_eq!(fill("x[{since}] {none}", 0), "x[1s] {none}");
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
