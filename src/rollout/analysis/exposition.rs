//! The exposition: Prometheus' text format, of which only Traefik's counters are read.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats>

use std::collections::BTreeSet;

use super::counters::Reading;
use super::figures::{Counted, Sample, count};

/// Requests by service, status, method and protocol.
pub(super) const REQUESTS: &str = "traefik_service_requests_total";
/// How many of them took at most so many seconds.
pub(super) const BUCKETS: &str = "traefik_service_request_duration_seconds_bucket";
/// What every Traefik shows, also where it has had no request yet.
pub(super) const EVERY: &str = "traefik_config_reloads_total";
/// When the process began.
const BEGAN: &str = "process_start_time_seconds";

/// The most samples that are read of one instance: 20 000 services, say, with a color and five buckets each.
const MOST_SAMPLES: usize = 500_000;

/// Why a text is not what Traefik shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// It is something else.
    #[error(
        "these are not Traefik's metrics; is `metrics.port` that of their entrypoint, and are they on?"
    )]
    NotTraefik,
    /// A line of it.
    #[error("line {0} is no metric as Prometheus' text format has it")]
    Line(usize),
    /// It is too much.
    #[error("there are more than {MOST_SAMPLES} metrics of services")]
    TooMany,
}

/// Reads what an instance shows of some of Traefik's services.
pub(super) fn read(body: &[u8], wanted: &BTreeSet<&str>) -> Result<Reading, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotTraefik)?;
    let mut reading = Reading::default();
    let (mut is_traefik, mut samples) = (false, 0);
    for (i, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let name = line.split(['{', ' ', '\t']).next().unwrap_or_default();
        let rest = &line[name.len()..];
        match name {
            EVERY => is_traefik = true,
            BEGAN => {
                reading.began = rest
                    .split_whitespace()
                    .next()
                    .and_then(|value| value.parse().ok())
            }
            REQUESTS | BUCKETS => {
                samples += 1;
                if samples > MOST_SAMPLES {
                    return Err(Unreadable::TooMany);
                }
                let sample = sample(name, rest).ok_or(Unreadable::Line(i + 1))?;
                if wanted.contains(&*sample.service) {
                    reading.count(sample);
                }
            }
            _ => {}
        }
    }
    is_traefik.then_some(reading).ok_or(Unreadable::NotTraefik)
}

/// The sample of a line, after the metric's name.
fn sample(name: &str, rest: &str) -> Option<Sample> {
    let (mut service, mut code, mut le) = (None, None, None);
    let value = labels(rest, &mut |label, value| match label {
        "service" => service = Some(value),
        "code" => code = Some(value),
        "le" => le = Some(value),
        _ => {}
    })?;
    let counted = match name {
        REQUESTS => Counted::of_status(&code?),
        _ => Counted::of_bound(&le?)?,
    };
    Some(Sample {
        service: service?,
        counted,
        // A timestamp may follow.
        value: count(value.split_whitespace().next()?)?,
    })
}

/// Reads labels, where there are some; gives what comes after them.
fn labels<'a>(text: &'a str, see: &mut dyn FnMut(&str, String)) -> Option<&'a str> {
    let Some(mut rest) = text.trim_start().strip_prefix('{') else {
        return Some(text);
    };
    loop {
        if let Some(after) = rest.trim_start().strip_prefix('}') {
            return Some(after);
        }
        let (label, after) = rest.split_once('=')?;
        let (value, after) = quoted(after.trim_start().strip_prefix('"')?)?;
        see(label.trim(), value);
        let after = after.trim_start();
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// Reads on to the closing quote; gives what comes after it, too.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                escaped => escaped,
            }),
            plain => value.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// As Traefik 3.7 shows it, abridged.
    const SHOWN: &str = r#"# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
process_start_time_seconds 1.79561579343e+09
# TYPE traefik_config_reloads_total counter
traefik_config_reloads_total 1
traefik_entrypoint_requests_total{code="200",entrypoint="web",method="GET",protocol="http"} 2
traefik_service_request_duration_seconds_bucket{code="200",method="GET",protocol="http",service="s-a-blue@http",le="0.1"} 2
traefik_service_request_duration_seconds_bucket{code="200",method="GET",protocol="http",service="s-a-blue@http",le="+Inf"} 3
traefik_service_request_duration_seconds_bucket{code="502",method="GET",protocol="http",service="s-a-blue@http",le="+Inf"} 1
traefik_service_request_duration_seconds_sum{code="200",method="GET",protocol="http",service="s-a-blue@http"} 0.002820916
traefik_service_requests_total{code="200",method="GET",protocol="http",service="s-a-blue@http"} 3
traefik_service_requests_total{code="200",method="POST",protocol="http",service="s-a-blue@http"} 1e+06
traefik_service_requests_total{code="502",method="GET",protocol="http",service="s-a-blue@http"} 1
traefik_service_requests_total{code="502",method="GET",protocol="http",service="other@http"} 1
"#;

    fn of(text: &str) -> Result<Reading, Unreadable> {
        read(
            text.as_bytes(),
            &["s-a-blue@http", "a", "a\\\"}\n{é"].into(),
        )
    }

    /// With one more line.
    fn with(line: &str) -> Result<Reading, Unreadable> {
        of(&format!("{EVERY} 1\n{line}\n"))
    }

    #[test]
    fn the_counters_of_the_services_in_question_are_read() {
        let reading = of(SHOWN).unwrap();
        assert_eq!(reading.began, Some(1_795_615_793.43));
        assert_eq!(reading.services.len(), 1);
        let figures = &reading.services["s-a-blue@http"];
        assert_eq!((figures.requests, figures.errors), (1_000_004, 1));
        assert_eq!(figures.timed(), 4);
        assert_eq!(figures.buckets[&Duration::from_millis(100)], 2);
    }

    #[test]
    fn labels_are_read_however_they_are_written() {
        for (line, service) in [
            (
                r#"traefik_service_requests_total { service = "a" , code="200", } 1 1795615794000"#,
                "a",
            ),
            (
                r#"  traefik_service_requests_total{code="200",service="a\\\"}\n{é"}	1"#,
                "a\\\"}\n{é",
            ),
        ] {
            let reading = with(line).unwrap();
            assert_eq!(reading.services[service].requests, 1, "{line}");
        }
    }

    #[test]
    fn what_is_not_traefiks_is_no_reading() {
        for text in [
            "",
            "<html>traefik_config_reloads_total</html>",
            "go_goroutines 5\n",
            "{}",
        ] {
            assert_eq!(of(text), Err(Unreadable::NotTraefik), "{text}");
        }
        assert_eq!(read(&[0xff], &BTreeSet::new()), Err(Unreadable::NotTraefik));
    }

    #[test]
    fn a_counter_that_can_be_no_count_is_told_by_its_line() {
        for rest in [
            r#"{service="a",code="200"} NaN"#,
            r#"{service="a",code="200"} -1"#,
            r#"{service="a",code="200"} +Inf"#,
            r#"{service="a",code="200"} 1e300"#,
            r#"{service="a",code="200"}"#,
            r#"{service="a",code="200" 1"#,
            r#"{service="a",code="200} 1"#,
            r#"{service="a",code=200} 1"#,
            r#"{service="a"} 1"#,
            r#"{code="200"} 1"#,
            " 1",
        ] {
            assert_eq!(
                with(&format!("{REQUESTS}{rest}")),
                Err(Unreadable::Line(2)),
                "{rest}"
            );
        }
        for le in ["NaN", "-1", "x", "1e300"] {
            let line = format!(r#"{BUCKETS}{{service="a",le="{le}"}} 1"#);
            assert_eq!(with(&line), Err(Unreadable::Line(2)), "{le}");
        }
    }

    #[test]
    fn there_is_a_most_of_what_is_read() {
        let line = format!("{REQUESTS}{{service=\"a\",code=\"200\"}} 1\n");
        assert_eq!(
            with(&line.repeat(MOST_SAMPLES + 1)),
            Err(Unreadable::TooMany)
        );
    }

    proptest! {
        #[test]
        fn no_text_does_harm(
            lines in prop::collection::vec(
                prop_oneof![
                    "[ -~\t]{0,60}",
                    "(traefik_service_requests_total|traefik_service_request_duration_seconds_bucket)[{} \"=,\\\\a-z0-9.+éN-]{0,60}",
                    r#"traefik_service_requests_total\{service="[^"]{0,5}",code="[0-9]{0,4}"\} [0-9.e+-]{0,9}"#,
                ],
                0..20,
            )
        ) {
            let text = format!("{EVERY} 1\n{}", lines.join("\n"));
            if let Ok(reading) = of(&text) {
                for figures in reading.services.values() {
                    prop_assert!(figures.errors <= figures.requests);
                }
            }
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, &BTreeSet::new());
        }
    }
}
