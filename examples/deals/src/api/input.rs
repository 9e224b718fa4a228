//! What comes in: every wrong field is told at once.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde_json::{Map, Value};

use super::problem::Problem;

/// The longest title and note, in characters.
const MAX_TITLE: usize = 200;
const MAX_NOTE: usize = 2000;

/// A body that was read and is valid.
pub(crate) struct Input<T>(pub(crate) T);

impl<S: Send + Sync, T: Fields> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = Bytes::from_request(request, state).await?;
        parse(&body).map(Self)
    }
}

/// What a body can be read as.
pub(crate) trait Fields: Sized {
    /// Takes its fields out of the body.
    fn take(reader: &mut Reader) -> Option<Self>;
}

/// Reads a JSON object.
///
/// # Errors
///
/// It is none, or some of its fields are wrong, missing or unknown.
pub(crate) fn parse<T: Fields>(body: &[u8]) -> Result<T, Problem> {
    let object: Value = serde_json::from_slice(body)
        .map_err(|error| Problem::BadRequest(format!("the body is not JSON: {error}")))?;
    let Value::Object(fields) = object else {
        return Err(Problem::BadRequest(
            "the body is not a JSON object".to_owned(),
        ));
    };
    let mut reader = Reader {
        fields,
        wrong: BTreeMap::new(),
    };
    let read = T::take(&mut reader);
    let Reader { fields, mut wrong } = reader;
    wrong.extend(fields.into_iter().map(|(name, _)| (name, "is unknown")));
    match read {
        Some(read) if wrong.is_empty() => Ok(read),
        _ => Err(Problem::Invalid(wrong)),
    }
}

/// The fields that were not taken yet, and what is wrong with the others.
pub(crate) struct Reader {
    fields: Map<String, Value>,
    wrong: BTreeMap<String, &'static str>,
}

impl Reader {
    fn field<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, &'static str>,
    ) -> Option<T> {
        let value = self.fields.remove(name).unwrap_or_default();
        let read = match value {
            Value::Null => Err("is missing"),
            value => read(value),
        };
        read.map_err(|problem| self.wrong.insert(name.to_owned(), problem))
            .ok()
    }

    /// A text with something in it.
    fn text(&mut self, name: &str, most: usize, too_long: &'static str) -> Option<String> {
        self.field(name, |value| {
            let text = value.as_str().ok_or("must be a text")?.trim();
            if text.is_empty() {
                Err("must not be empty")
            } else if text.chars().count() > most {
                Err(too_long)
            } else if text.contains('\0') {
                // PostgreSQL has no such texts.
                Err("must not contain a NUL")
            } else {
                Ok(text.to_owned())
            }
        })
    }
}

/// A deal that is to be created.
#[derive(Debug)]
pub(crate) struct NewDeal {
    pub(crate) title: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
}

impl Fields for NewDeal {
    fn take(reader: &mut Reader) -> Option<Self> {
        let title = reader.text("title", MAX_TITLE, "must have at most 200 characters");
        let amount = reader.field("amount", |value| {
            let amount = value.as_i64().filter(|amount| *amount > 0);
            amount.ok_or("must be a whole number above 0, in minor units")
        });
        let currency = reader.field("currency", |value| {
            let code = value.as_str().unwrap_or_default();
            if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) {
                Ok(code.to_owned())
            } else {
                Err("must be three capital letters, as in ISO 4217")
            }
        });
        Some(Self {
            title: title?,
            amount: amount?,
            currency: currency?,
        })
    }
}

/// Who decides on a deal, and why.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) approver: String,
    pub(crate) note: String,
}

impl Fields for Decision {
    fn take(reader: &mut Reader) -> Option<Self> {
        let approver = reader.text("approver", MAX_TITLE, "must have at most 200 characters");
        let note = reader.text("note", MAX_NOTE, "must have at most 2000 characters");
        Some(Self {
            approver: approver?,
            note: note?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, NewDeal, Problem, parse};

    fn wrong(body: &str) -> Vec<String> {
        match parse::<NewDeal>(body.as_bytes()) {
            Err(Problem::Invalid(wrong)) => wrong.into_keys().collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_wrong_field_is_told_at_once() {
        let body = r#"{ "title": " ", "amount": 1.5, "currency": "eur", "colour": 1 }"#;
        assert_eq!(wrong(body), ["amount", "colour", "currency", "title"]);
        assert_eq!(wrong("{}"), ["amount", "currency", "title"]);
        let body = r#"{ "title": "a", "amount": -1, "currency": "EUR" }"#;
        assert_eq!(wrong(body), ["amount"]);
        let long = "x".repeat(201);
        let body = format!(r#"{{ "title": "{long}", "amount": 1, "currency": "EUR" }}"#);
        assert_eq!(wrong(&body), ["title"]);
    }

    #[test]
    fn what_is_no_object_is_a_bad_request() {
        for body in ["", "[]", "null", "{", "\u{feff}{}"] {
            let read = parse::<Decision>(body.as_bytes());
            assert!(
                matches!(read, Err(Problem::BadRequest(_))),
                "{body}: {read:?}"
            );
        }
    }

    #[test]
    fn texts_lose_the_white_space_around_them() {
        let read = parse::<Decision>(br#"{ "approver": " ann ", "note": "fine\n" }"#);
        let read = read.map(|decision| (decision.approver, decision.note));
        assert!(matches!(read, Ok((a, n)) if (&*a, &*n) == ("ann", "fine")));
    }
}
