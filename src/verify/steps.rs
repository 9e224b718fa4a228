//! A smoke test of steps: requests, one after the other, each with what is expected of its answer.

use serde_json::Value;

use super::ask::{Answer, NoAnswer, Request};
use super::report::Outcome;
use super::smoke::Target;
use crate::check::{Check, Expect, Source, Step};
use crate::template::{Values, fill, fill_json};

/// Runs the steps up to the first that is not answered as expected, and then those that clean up.
pub(super) async fn run(
    stack: &str,
    check: &Check,
    steps: &[Step],
    target: &Target<'_>,
) -> Outcome {
    let run = format!("{:010x}", fastrand::u64(..1 << 40));
    let mut values = Values::from([
        ("color".to_owned(), target.color.clone().into()),
        ("stack".to_owned(), stack.into()),
        ("run".to_owned(), run.into()),
    ]);
    let mut outcome = Outcome::Passed(match steps.len() {
        1 => "1 step".to_owned(),
        steps => format!("{steps} steps"),
    });
    for (i, step) in steps.iter().enumerate() {
        if let Err(wrong) = take(check, step, target, &mut values).await {
            outcome = wrong.outcome(&format!("step {}", i + 1));
            break;
        }
    }
    for (i, step) in check.cleanup.iter().enumerate() {
        // What needs a value that was never got has nothing to clean up.
        if !step.has(&values) {
            continue;
        }
        let cleaned = take(check, step, target, &mut values).await;
        if let (Err(wrong), Outcome::Passed(_)) = (cleaned, &outcome) {
            outcome = wrong.outcome(&format!("cleanup, step {}", i + 1));
        }
    }
    outcome
}

/// What is wrong with a step.
enum Wrong {
    Answer(String),
    /// Nobody could be asked.
    Unreachable(String),
}

impl Wrong {
    fn outcome(self, which: &str) -> Outcome {
        match self {
            Self::Answer(text) => Outcome::Failed(format!("{which}: {text}")),
            Self::Unreachable(text) => Outcome::Unmeasured(format!("{which}: {text}")),
        }
    }
}

async fn take(
    check: &Check,
    step: &Step,
    target: &Target<'_>,
    values: &mut Values,
) -> Result<(), Wrong> {
    let Some(base) = target.base(&step.service) else {
        return Err(Wrong::Unreachable(format!(
            "where {} is, is not known",
            step.service
        )));
    };
    let header = |name: &str| name.parse().ok();
    let of_rule = base
        .headers
        .iter()
        .filter_map(|(name, value)| Some((header(name)?, value.clone())));
    let path = fill(&step.path, values);
    let timeout = step.timeout.unwrap_or(check.timeout);
    let request = Request {
        method: step.method.clone(),
        host: base.host.clone(),
        headers: of_rule.collect(),
        ..Request::get(&base.server, &path, timeout)
    };
    let request = request.with(&step.headers, &step.body, values);
    let asked = request.shown();
    let answer = request.ask().await.map_err(|error| match error {
        NoAnswer::Unreachable(why) if target.name == "production" => {
            Wrong::Unreachable(format!("{asked}: {why}"))
        }
        error => Wrong::Answer(format!("{asked}: {}", error.why())),
    })?;
    let wrong = |what: String| Wrong::Answer(format!("{asked}: {what}, got {}", answer.shown()));
    meets(&step.expect, &answer, values).map_err(wrong)?;
    for (name, source) in &step.save {
        let value = find(source, &answer).map_err(wrong)?;
        values.insert(name.clone(), value);
    }
    Ok(())
}

/// Whether an answer is as expected; else what was.
pub(crate) fn meets(expect: &Expect, answer: &Answer, values: &Values) -> Result<(), String> {
    let status = answer.status.as_u16();
    if expect.status.is_empty() && !answer.status.is_success() {
        return Err("expected 2xx".to_owned());
    }
    if !expect.status.is_empty() && !expect.status.contains(&status) {
        let good: Vec<_> = expect.status.iter().map(u16::to_string).collect();
        return Err(format!("expected {}", good.join(" or ")));
    }
    for (name, wanted) in &expect.headers {
        let wanted = fill(wanted, values);
        let mut is = answer.headers.get_all(name).iter();
        if !is.any(|value| value.as_bytes() == wanted.as_bytes()) {
            let is: Vec<_> = answer.headers.get_all(name).iter().collect();
            let is = match is.as_slice() {
                [] => "is not there".to_owned(),
                values => format!("is {values:?}"),
            };
            return Err(format!(
                "expected the header `{name}: {wanted}`, which {is}"
            ));
        }
    }
    let body = String::from_utf8_lossy(&answer.body);
    for text in &expect.contains {
        let text = fill(text, values);
        if !body.contains(&text) {
            return Err(format!("expected `{text}` in the body"));
        }
    }
    if expect.json.is_empty() {
        return Ok(());
    }
    let json = answer.json().ok_or("expected JSON")?;
    for (path, wanted) in &expect.json {
        let wanted = fill_json(wanted, values);
        let found = path.query(&json).all();
        if found.is_empty() {
            return Err(format!(
                "expected {path} to be {wanted}, which is not there"
            ));
        }
        if let Some(other) = found.iter().find(|value| !same(value, &wanted)) {
            return Err(format!("expected {path} to be {wanted}, which is {other}"));
        }
    }
    Ok(())
}

/// Whether two values are the same; a number is, however it is written.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// The value of an answer that is to be saved; else what was expected.
fn find(source: &Source, answer: &Answer) -> Result<Value, String> {
    match source {
        Source::Header(name) => {
            let value = answer
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok());
            let value = value.ok_or_else(|| format!("expected the header `{name}`"))?;
            Ok(value.into())
        }
        Source::Json(path) => {
            let json = answer.json().ok_or("expected JSON")?;
            let found = path.query(&json).first();
            Ok(found
                .ok_or_else(|| format!("expected a value at {path}"))?
                .clone())
        }
    }
}
