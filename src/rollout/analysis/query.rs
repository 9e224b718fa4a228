//! Queries: the operator's own, for a Prometheus; each gives a number.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::judge::{self, Figure, Subject, Unmeasured, Verdict};
use super::prometheus::{Data, Element, Unanswered, ask, quoted};
use crate::color::Color;
use crate::config::{self, Query};
use crate::template::{self, Values};

/// Asks each query for each color, and for each service where it names one; judges what comes.
pub(super) async fn judged(
    url: &str,
    config: &config::Analysis,
    colors: &[Color],
    since: Duration,
) -> Vec<(Subject, Verdict)> {
    let mut asked = Vec::new();
    for query in &config.queries {
        let names = template::names(&query.query);
        let services = match names.iter().any(|(_, name)| *name == "service") {
            true => config.services.iter().map(Some).collect(),
            false => vec![None],
        };
        for color in colors {
            for service in &services {
                let service = *service;
                let text = filled(
                    &query.query,
                    color.as_str(),
                    service.map(String::as_str),
                    since,
                );
                let subject = Subject {
                    figure: Figure::Query(query.name.clone()),
                    service: service.cloned(),
                    color: color.clone(),
                };
                asked.push(async move { (subject, verdict(url, query, &text).await) });
            }
        }
    }
    join_all(asked).await
}

async fn verdict(url: &str, limits: &Query, query: &str) -> Verdict {
    let unmeasured = match ask(url, query).await.map(one) {
        Ok(Ok(number)) => return judge::query(limits, number),
        Ok(Err(why)) | Err(Unanswered::Useless(why)) => Unmeasured::NoNumber(why),
        Err(Unanswered::Silent(why)) => {
            Unmeasured::Blind(format!("the Prometheus does not answer: {why}"))
        }
    };
    Verdict::Unmeasured(unmeasured)
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
    fn a_query_is_about_a_color_a_service_and_the_time_since_then() {
        let fill =
            |query, since| filled(query, "a\"b\\", Some("api"), Duration::from_millis(since));
        let query = r#"sum(rate(x{color="{color}",s="{service}"}[{since}])) by (le)"#;
        let filled = r#"sum(rate(x{color="a\"b\\",s="api"}[45s])) by (le)"#;
        assert_eq!(fill(query, 45_900), filled);
        assert_eq!(fill("x[{since}] {none}", 0), "x[1s] {none}");
    }
}
