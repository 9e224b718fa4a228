//! `/stacks/{stack}/rollouts`: changes of traffic with care, handed over to whichever provider comes first.

use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{HeaderMap, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::idempotency;
use super::post::{Post, STACKS, stack_of};
use super::problem::{Kind, Problem};
use crate::color::Color;
use crate::config::Stack;
use crate::duration;
use crate::history;
use crate::rollout::before::{self, Before};
use crate::rollout::order::{Goal, Order};
use crate::rollout::outcome::Cause;
use crate::rollout::record::{Record, Want};
use crate::rollout::remote::{NotNoted, hand_over, is_abandoned, want};
use crate::rollout::there;
use crate::serve::Shared;
use crate::serve::answer::{Answer, json, json_of};
use crate::store::{Kept, Unreadable};
use crate::traffic::Traffic;

/// The shares of a ramp where nobody says, as on the command line.
const STEPS: [u32; 4] = [5, 25, 50, 100];

/// What a problem before anything was begun means.
const NOTHING: &str = "; nothing was changed";

/// How many digits of a rollout's id tell whose key it has; as many tell what was asked for.
const HALF: usize = 16;

/// What a rollout is asked for with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    kind: Asked,
    to: Option<String>,
    steps: Option<Vec<u32>>,
    #[serde(default, deserialize_with = "time")]
    interval: Option<Duration>,
    #[serde(default, deserialize_with = "time")]
    bake: Option<Duration>,
    #[serde(default, deserialize_with = "time")]
    timeout: Option<Duration>,
    #[serde(default)]
    why: String,
    #[serde(default)]
    no_verify: bool,
    #[serde(default)]
    no_wait: bool,
    #[serde(default)]
    no_rollback: bool,
    #[serde(default)]
    override_freeze: bool,
}

/// The kinds of rollouts that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Asked {
    Flip,
    Shift,
    Ramp,
    Rollback,
}

/// A duration as the config writes it: `2m`, or a number of seconds.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(f64),
        Text(String),
    }
    let parsed = match Option::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Written::Seconds(seconds)) => duration::of_seconds(seconds),
        Some(Written::Text(text)) => duration::parse(&text),
    };
    parsed.map(Some).map_err(serde::de::Error::custom)
}

impl Body {
    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let body: Self = serde_json::from_slice(bytes)
            .map_err(|error| Problem::new(Kind::InvalidRequest, format!("the body: {error}")))?;
        history::reason(&body.why)
            .map_err(|text| Problem::new(Kind::InvalidRequest, format!("`why`: {text}")))?;
        Ok(body)
    }

    /// What it asks of a stack.
    fn order(&self, stack: &Stack) -> Result<Order, Problem> {
        let invalid = |detail: String| Err(Problem::new(Kind::InvalidRequest, detail));
        let Self {
            kind,
            to,
            steps,
            interval,
            ..
        } = self;
        if *kind != Asked::Ramp && (steps.is_some() || interval.is_some()) {
            return invalid("`steps` and `interval` are of a ramp only".to_owned());
        }
        if self.override_freeze && self.why.trim().is_empty() {
            return invalid("`overrideFreeze` needs a `why`".to_owned());
        }
        let goal = match (kind, to) {
            (Asked::Flip, to) => Goal::Flip(color(to.as_deref(), stack)?),
            (Asked::Shift, Some(to)) => Goal::Shift(traffic(to, stack)?),
            (Asked::Shift, None) => {
                return invalid("`to` is missing: a shift needs the traffic".to_owned());
            }
            (Asked::Ramp, to) => {
                let steps = steps.clone().unwrap_or(STEPS.to_vec());
                Goal::Ramp(color(to.as_deref(), stack)?, steps)
            }
            (Asked::Rollback, None) => Goal::Rollback,
            (Asked::Rollback, Some(_)) => {
                return invalid("`to` is what the history says, in a rollback".to_owned());
            }
        };
        Ok(Order {
            goal,
            interval: interval.unwrap_or(Duration::from_secs(120)),
            bake: self.bake.unwrap_or_default(),
            timeout: self.timeout.unwrap_or(Duration::from_secs(60)),
            verify: !self.no_verify,
            wait: !self.no_wait,
            go_back: !self.no_rollback,
            override_freeze: self.override_freeze,
        })
    }
}

fn traffic(text: &str, stack: &Stack) -> Result<Traffic, Problem> {
    let parsed = Traffic::parse(text.as_bytes(), &stack.colors);
    parsed.map_err(|error| Problem::new(Kind::InvalidTraffic, error.to_string()))
}

/// The color that is named.
fn color(text: Option<&str>, stack: &Stack) -> Result<Option<Color>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let traffic = traffic(text, stack)?;
    match traffic.sole() {
        Some(color) if color.as_str() == text => Ok(Some(color.clone())),
        _ => {
            let detail = "`to` is one color; weights are set by a shift";
            Err(Problem::new(Kind::InvalidTraffic, detail))
        }
    }
}

/// Begins a rollout: 202 once a provider may run it.
pub(super) async fn begin(shared: &Shared, post: &Post) -> Result<Answer, Problem> {
    is_json(&post.headers)?;
    let body = Body::read(&post.body)?;
    let serving = shared.state.serving();
    let stack = stack_of(&serving, &post.stack)?;
    let order = body.order(stack)?;
    let failed = |error| Problem::store(&error, NOTHING);
    let mut before = before::read(&shared.store, stack).await.map_err(failed)?;
    let id = post.key.as_ref().map(|key| id_of(post, key));
    if let (Some(id), Ok(kept)) = (&id, &before.kept)
        && let Some(record) = repeated(id, kept)?
    {
        return Ok(accepted(&record, kept));
    }
    is_of(&before, &post.stack, &stack.key, &order)?;
    let history = match order.goal {
        Goal::Rollback => before.session.history(&stack.key, history::KEPT).await,
        _ => Ok(Vec::new()),
    };
    let request = order.request(stack, before.traffic.as_ref(), &history.map_err(failed)?);
    let request =
        request.map_err(|unfit| Problem::new(Kind::Unfit, format!("{unfit}{NOTHING}")))?;
    if let (Goal::Rollback, true, Some(now)) = (&order.goal, order.verify, &before.traffic) {
        let to = traffic(request.goal(), stack)?;
        let looked = there::look(stack, now, &to).await;
        looked.map_err(|absent| Problem::new(Kind::NobodyThere, format!("{absent}{NOTHING}")))?;
    }
    let why = match (body.why, &order.goal) {
        (why, Goal::Rollback) if why.is_empty() => "rollback".to_owned(),
        (why, _) => why,
    };
    let from = before.traffic.as_ref().map(ToString::to_string);
    let (by, at) = (post.by(), before.key.at);
    let mut record = Record::new(&post.stack, request, by, why, from, at);
    if let Some(id) = &id {
        record.id.clone_from(id);
    }
    let handed = hand_over(&mut before.session, &stack.key, &record).await;
    let kept = before.session.rollout_of(&stack.key).await;
    match (handed, id, kept) {
        (Ok(()), _, Ok(Ok(kept))) => Ok(accepted(&record, &kept)),
        (Ok(()), ..) => Ok(accepted(
            &record,
            &Kept {
                record: None,
                lease: None,
                at,
            },
        )),
        // The same request may have come by another provider at the same time.
        (Err(cause), Some(id), Ok(Ok(kept))) => match repeated(&id, &kept)? {
            Some(record) => Ok(accepted(&record, &kept)),
            None => Err(not_begun(cause)),
        },
        (Err(cause), ..) => Err(not_begun(cause)),
    }
}

/// The id of a rollout that is asked for with a key: equal for a repeat, whichever provider it comes to.
fn id_of(post: &Post, key: &str) -> String {
    let owner = post.token.name.as_deref().unwrap_or_default();
    let whose = idempotency::print(&[owner.as_bytes(), post.stack.as_bytes(), key.as_bytes()]);
    let what = idempotency::print(&[&post.body]);
    let half = |print: [u8; 32]| {
        print
            .iter()
            .take(HALF / 2)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    half(whose) + &half(what)
}

/// The rollout in the store, where it is the one that is asked for again.
fn repeated(id: &str, kept: &Kept) -> Result<Option<Record>, Problem> {
    let Some(record) = of(kept) else {
        return Ok(None);
    };
    if record.id == id {
        return Ok(Some(record));
    }
    match record.id.get(..HALF) == id.get(..HALF) {
        true => Err(idempotency::reused()),
        false => Ok(None),
    }
}

/// Refuses to change a key that somebody else's stack follows. Who has to go back can't wait until somebody else has
/// mended his config.
fn is_of(before: &Before, name: &str, key: &str, order: &Order) -> Result<(), Problem> {
    match before.other_stack(name) {
        Some(other) if order.goal != Goal::Rollback || !before.serves(name) => {
            Err(Problem::key_of_another(key, name, other))
        }
        _ => Ok(()),
    }
}

/// Why a rollout was not handed over.
fn not_begun(cause: Cause) -> Problem {
    match cause {
        Cause::Busy { holder } => {
            let detail = format!("{holder} is changing the traffic already{NOTHING}");
            Problem::new(Kind::Busy, detail)
        }
        Cause::WriteUnknown { reason } => {
            let detail = format!("the store: {reason}; whether the rollout has begun is not known");
            Problem::new(Kind::OutcomeUnknown, detail)
        }
        Cause::StoreAway { reason } | Cause::StoreRefused { reason, .. } => Problem::new(
            Kind::StoreUnavailable,
            format!("the store: {reason}{NOTHING}"),
        ),
        cause => Problem::new(Kind::Conflict, format!("{cause}{NOTHING}")),
    }
}

/// Answers the rollouts of a stack: the one that runs, or the last one.
pub(super) async fn list(shared: &Shared, stack: &str) -> Result<Answer, Problem> {
    let kept = kept(shared, stack).await?;
    let shown: Vec<_> = of(&kept)
        .iter()
        .map(|record| shown(record, &kept))
        .collect();
    Ok(json(shown))
}

/// Answers one of them.
pub(super) async fn show(shared: &Shared, stack: &str, id: &str) -> Result<Answer, Problem> {
    let kept = kept(shared, stack).await?;
    match of(&kept) {
        Some(record) if record.id == id => Ok(json(shown(&record, &kept))),
        _ => Err(unknown(id)),
    }
}

/// Notes what is wanted of a rollout: 202, because its runner does it.
pub(super) async fn act(
    shared: &Shared,
    post: &Post,
    id: &str,
    what: Want,
) -> Result<Answer, Problem> {
    if !post.body.is_empty() {
        return Err(Problem::new(
            Kind::InvalidRequest,
            "a body means nothing here",
        ));
    }
    let serving = shared.state.serving();
    let key = &stack_of(&serving, &post.stack)?.key;
    let failed = |error| Problem::store(&error, NOTHING);
    let mut session = shared.store.connect(key).await.map_err(failed)?;
    let noted = want(&mut session, key, Some(id), what, &post.by()).await;
    let record = noted.map_err(|why| match why {
        NotNoted::Another(_) | NotNoted::NoneRuns(None) => unknown(id),
        NotNoted::NoneRuns(Some(_)) => Problem::new(Kind::NotRunning, "the rollout has ended"),
        NotNoted::Busy => Problem::new(Kind::Conflict, format!("{why}{NOTHING}")),
        NotNoted::Unreadable(why) => unreadable(&why),
        NotNoted::Store(error) => failed(error),
    })?;
    let kept = session.rollout_of(key).await.map_err(failed)?;
    let kept = kept.map_err(|why| unreadable(&why))?;
    Ok(accepted(&record, &kept))
}

/// What the store has of a stack's rollout.
async fn kept(shared: &Shared, stack: &str) -> Result<Kept, Problem> {
    let serving = shared.state.serving();
    let key = &stack_of(&serving, stack)?.key;
    let failed = |error| Problem::store(&error, "");
    let mut session = shared.store.connect(key).await.map_err(failed)?;
    let kept = session.rollout_of(key).await.map_err(failed)?;
    kept.map_err(|why| unreadable(&why))
}

fn of(kept: &Kept) -> Option<Record> {
    Record::of_json(kept.record.as_ref()?)
}

fn unreadable(why: &Unreadable) -> Problem {
    Problem::new(
        Kind::StoreUnavailable,
        format!("the rollout can't be read: {why}"),
    )
}

fn unknown(id: &str) -> Problem {
    let detail =
        format!("there is no rollout `{id}`: the store keeps the one that runs, or the last one");
    Problem::new(Kind::UnknownRollout, detail)
}

fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.map(|kind| kind.split(|byte| *byte == b';').next().unwrap_or_default());
    match kind.map(<[u8]>::trim_ascii) {
        Some(kind) if kind.eq_ignore_ascii_case(b"application/json") => Ok(()),
        _ => {
            let detail = "the body is JSON: send `Content-Type: application/json`";
            Err(Problem::new(Kind::UnsupportedMediaType, detail))
        }
    }
}

/// A rollout as it is told. The token of its runner's lease is nobody's business.
fn shown(record: &Record, kept: &Kept) -> Value {
    let mut shown = serde_json::to_value(record).unwrap_or_default();
    let runner = record.runner.as_ref();
    shown["runner"] = runner.map(|runner| runner.name.as_str()).into();
    shown["abandoned"] = (runner.is_some() && is_abandoned(record, kept)).into();
    shown
}

/// A rollout that somebody else runs, with where to look for it.
fn accepted(record: &Record, kept: &Kept) -> Answer {
    let shown = shown(record, kept);
    let mut answer = json_of(StatusCode::ACCEPTED, "application/json", shown);
    let place = format!("{STACKS}{}/rollouts/{}", record.stack, record.id);
    if let Ok(place) = HeaderValue::from_str(&place) {
        answer.headers_mut().insert(LOCATION, place);
    }
    answer
}
