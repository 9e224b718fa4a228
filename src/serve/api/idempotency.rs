//! `Idempotency-Key`: a repeat of a request gets the first answer again, and nothing is done twice
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! What may have changed something is remembered for a day, a bounded number of keys for each token. Where nothing was
//! changed a repeat is a new try. A provider remembers what it was asked itself; what is asked of another one, or after a
//! restart, is judged by the store: the key's compare-and-set, and the id of a rollout.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use ring::digest::{Context, SHA256};

use super::problem::{Kind, Problem};
use crate::serve::answer::Answer;

/// The header that has the key.
const HEADER: &str = "Idempotency-Key";

/// The longest key, in bytes; a UUID has 36.
const LONGEST: usize = 255;

/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// How many keys of one token are remembered; the oldest give way.
const MOST: usize = 256;

/// The key that a request has.
///
/// # Errors
///
/// Why its header is none.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let invalid = |why: &str| Problem::new(Kind::InvalidRequest, format!("{HEADER}: {why}"));
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(invalid("there are several"));
    }
    let text = value.to_str().unwrap_or_default();
    // A string of RFC 9651 stands in quotes; many clients leave them out.
    let quoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let key = quoted.unwrap_or(text);
    let fits = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    if !(1..=LONGEST).contains(&key.len()) || !key.chars().all(fits) {
        return Err(invalid(
            "it is 1 to 255 printable ASCII characters without white space, quotes and backslashes, such as a UUID",
        ));
    }
    Ok(Some(key.to_owned()))
}

/// Another request had the key.
pub(super) fn reused() -> Problem {
    let detail = format!("another request had this {HEADER}: give each its own");
    Problem::new(Kind::KeyReused, detail)
}

/// A hash of several parts, by which requests are told apart.
pub(super) fn print(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        // Or one could go on in the next.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut print = [0; 32];
    print.copy_from_slice(context.finish().as_ref());
    print
}

/// Whose key it is: the name of a token, none for that of a flag.
type Owner = Option<String>;

/// What is remembered of the requests of each token.
#[derive(Clone, Default)]
pub(super) struct Remembered(Arc<Mutex<Table>>);

impl Remembered {
    /// Does the work of a request, unless it was done before. It is done to its end even if whoever asked goes away, so
    /// that a repeat finds the answer.
    ///
    /// # Errors
    ///
    /// Those of the work, and where it runs, or the key was another request's.
    pub(super) async fn once(
        &self,
        owner: Owner,
        key: String,
        print: [u8; 32],
        work: impl Future<Output = Result<Answer, Problem>> + Send + 'static,
    ) -> Result<Answer, Problem> {
        match self.table(|table| table.begin(&owner, &key, print, Instant::now())) {
            Begun::First => {}
            Begun::Again(answer) => return Ok(answer),
            Begun::Running => {
                let detail = format!("the first request with this {HEADER} is still running");
                return Err(Problem::new(Kind::StillRunning, detail));
            }
            Begun::Another => return Err(reused()),
            Begun::TooMany => {
                let detail = format!("{MOST} requests of this token with an {HEADER} are running");
                return Err(Problem::new(Kind::TooMany, detail));
            }
        }
        let this = self.clone();
        let worked = tokio::spawn(async move {
            let worked = work.await;
            let (keep, worked) = match worked {
                Ok(answer) => (Some(answer.clone()), Ok(answer)),
                Err(problem) if problem.is_of_unknown_outcome() => {
                    let answer = problem.answer();
                    (Some(answer.clone()), Ok(answer))
                }
                Err(problem) => (None, Err(problem)),
            };
            this.table(|table| table.end(&owner, &key, keep));
            worked
        });
        worked.await.unwrap_or_else(|_| {
            let detail = "the provider stops, or has failed: what was done is not known";
            Err(Problem::new(Kind::OutcomeUnknown, detail))
        })
    }

    fn table<T>(&self, act: impl FnOnce(&mut Table) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The keys of each token.
#[derive(Default)]
struct Table(HashMap<Owner, HashMap<String, Entry>>);

/// What is remembered of a request.
struct Entry {
    print: [u8; 32],
    at: Instant,
    /// None while it runs.
    answer: Option<Answer>,
}

/// How a request begins.
enum Begun {
    /// Nothing is known of it.
    First,
    /// It was done, with this answer.
    Again(Answer),
    /// It runs.
    Running,
    /// Another one had this key.
    Another,
    /// So many of this token run.
    TooMany,
}

impl Table {
    fn begin(&mut self, owner: &Owner, key: &str, print: [u8; 32], now: Instant) -> Begun {
        for entries in self.0.values_mut() {
            entries.retain(|_, entry| {
                entry.answer.is_none() || now.duration_since(entry.at) < REMEMBERED
            });
        }
        self.0.retain(|_, entries| !entries.is_empty());
        let entries = self.0.entry(owner.clone()).or_default();
        if let Some(entry) = entries.get(key) {
            return match &entry.answer {
                _ if entry.print != print => Begun::Another,
                Some(answer) => Begun::Again(answer.clone()),
                None => Begun::Running,
            };
        }
        if entries.len() >= MOST {
            let done = entries.iter().filter(|(_, entry)| entry.answer.is_some());
            let oldest = done.min_by_key(|(_, entry)| entry.at);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return Begun::TooMany;
            };
            entries.remove(&oldest);
        }
        let entry = Entry {
            print,
            at: now,
            answer: None,
        };
        entries.insert(key.to_owned(), entry);
        Begun::First
    }

    fn end(&mut self, owner: &Owner, key: &str, keep: Option<Answer>) {
        let Some(entries) = self.0.get_mut(owner) else {
            return;
        };
        match keep {
            Some(_) => {
                if let Some(entry) = entries.get_mut(key) {
                    entry.answer = keep;
                }
            }
            None => {
                entries.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::serve::answer::json;

    const ONE: [u8; 32] = [1; 32];
    const TWO: [u8; 32] = [2; 32];

    fn begun(begun: Begun) -> &'static str {
        match begun {
            Begun::First => "first",
            Begun::Again(_) => "again",
            Begun::Running => "running",
            Begun::Another => "another",
            Begun::TooMany => "too many",
        }
    }

    #[test]
    fn a_repeat_gets_the_first_answer() {
        let (mut table, now) = (Table::default(), Instant::now());
        let ci = Some("ci".to_owned());
        let mut begin = |owner: &Owner, key, print| begun(table.begin(owner, key, print, now));
        assert_eq!(begin(&ci, "a", ONE), "first");
        assert_eq!(begin(&ci, "a", ONE), "running");
        assert_eq!(begin(&ci, "a", TWO), "another");
        assert_eq!(begin(&ci, "b", ONE), "first");
        // The keys of others are others.
        assert_eq!(begin(&None, "a", TWO), "first");
        table.end(&ci, "a", Some(json("done")));
        table.end(&None, "a", None);
        let mut begin = |owner: &Owner, key, print| begun(table.begin(owner, key, print, now));
        assert_eq!(begin(&ci, "a", ONE), "again");
        assert_eq!(begin(&ci, "a", TWO), "another");
        // Nothing was changed: it is a new try.
        assert_eq!(begin(&None, "a", ONE), "first");
    }

    #[test]
    fn an_answer_is_remembered_for_a_day() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.begin(&None, "a", ONE, now);
        table.end(&None, "a", Some(json("done")));
        table.begin(&None, "runs", ONE, now);
        let day = now + REMEMBERED;
        assert_eq!(
            begun(table.begin(&None, "a", TWO, day - Duration::from_secs(1))),
            "another"
        );
        assert_eq!(begun(table.begin(&None, "a", TWO, day)), "first");
        assert_eq!(begun(table.begin(&None, "runs", ONE, day)), "running");
    }

    #[test]
    fn a_flood_of_keys_makes_its_own_oldest_give_way() {
        let (mut table, start) = (Table::default(), Instant::now());
        let (ci, flood) = (Some("ci".to_owned()), Some("flood".to_owned()));
        table.begin(&ci, "a", ONE, start);
        table.end(&ci, "a", Some(json("done")));
        table.begin(&flood, "runs", ONE, start);
        for i in 0..10 * MOST {
            let (key, now) = (i.to_string(), start + Duration::from_millis(i as u64));
            assert_eq!(begun(table.begin(&flood, &key, ONE, now)), "first");
            table.end(&flood, &key, Some(json("done")));
        }
        assert_eq!(table.0[&flood].len(), MOST);
        let newest = (10 * MOST - 1).to_string();
        let now = start + Duration::from_secs(60);
        assert_eq!(begun(table.begin(&flood, &newest, ONE, now)), "again");
        assert_eq!(begun(table.begin(&flood, "runs", ONE, now)), "running");
        assert_eq!(begun(table.begin(&ci, "a", ONE, now)), "again");

        let many = Some("many".to_owned());
        for i in 0..MOST {
            assert_eq!(begun(table.begin(&many, &i.to_string(), ONE, now)), "first");
        }
        assert_eq!(begun(table.begin(&many, "one more", ONE, now)), "too many");
    }

    #[test]
    fn a_key_stands_in_quotes_or_alone() {
        let of = |text: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_bytes(text).unwrap());
            key(&headers).ok().flatten()
        };
        let uuid = "8e03978e-40d5-43dd-bc93-6894a57f9324";
        assert_eq!(of(uuid.as_bytes()).as_deref(), Some(uuid));
        assert_eq!(of(format!("\"{uuid}\"").as_bytes()).as_deref(), Some(uuid));
        assert!(of("x".repeat(LONGEST).as_bytes()).is_some());
        for wrong in ["", "\"\"", "\"", "a b", "\"a", "a\"", "a\\b", "gr\u{fc}n"] {
            assert_eq!(of(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(of("x".repeat(LONGEST + 1).as_bytes()), None);
        let mut twice = HeaderMap::new();
        twice.append(HEADER, HeaderValue::from_static("a"));
        twice.append(HEADER, HeaderValue::from_static("a"));
        assert!(key(&twice).is_err());
        assert!(matches!(key(&HeaderMap::new()), Ok(None)));
    }

    #[test]
    fn what_goes_on_in_the_next_part_is_another_request() {
        assert_ne!(print(&[b"ab", b"c"]), print(&[b"a", b"bc"]));
        assert_eq!(print(&[b"ab", b"c"]), print(&[b"ab", b"c"]));
    }
}
