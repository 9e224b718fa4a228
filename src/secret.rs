//! Secrets: values that are shown nowhere, wherever they turn up.
//!
//! A password from the environment that the config uses may come back in a command line, in a path that was asked, in
//! the answer of a server or in the error of a library. So what is known to be secret is remembered here, and taken
//! out at the one place where text is made [printable](crate::printable).

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

/// Shorter values are not looked for: they would be found in words that are none.
const SHORTEST: usize = 6;

/// A word of a variable's name that ends so says that its value is secret.
const SECRET: [&str; 6] = [
    "PASSWD",
    "PASSWORD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "CREDENTIALS",
];

/// So does a last word `KEY` after one of these; other keys are names.
const SECRET_KEYS: [&str; 6] = [
    "ACCESS",
    "API",
    "ENCRYPTION",
    "PRIVATE",
    "SECRET",
    "SIGNING",
];

/// The values, the longest first, each with what is shown in its place.
static KNOWN: RwLock<Vec<(String, String)>> = RwLock::new(Vec::new());

/// Remembers a value.
pub fn keep(value: &str, instead: &str) {
    // A token comes with every request.
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if known.iter().any(|(is, _)| is == value) {
        return;
    }
    drop(known);
    // As it is, and as it stands between quotes.
    let quoted = serde_json::Value::from(value).to_string();
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    for form in [value, &quoted[1..quoted.len() - 1]] {
        if form.len() >= SHORTEST && known.iter().all(|(is, _)| is != form) {
            known.push((form.to_owned(), instead.to_owned()));
        }
    }
    known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
}

/// A variable of the environment, remembered where its name says that it is secret.
pub fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    if is_secret(name) {
        keep(&value, &format!("${{{name}}}"));
    }
    Some(value)
}

/// Whether a variable's name says that its value is secret.
fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let words: Vec<_> = upper.split('_').collect();
    match words.as_slice() {
        // Where it is, not what it is.
        [.., "FILE" | "PATH" | "DIR"] => false,
        // The working directory's variable is just `PWD`.
        [_, .., "PWD" | "PASS"] => true,
        [.., what, "KEY"] if SECRET_KEYS.contains(what) => true,
        words => words
            .iter()
            .any(|word| SECRET.iter().any(|secret| word.ends_with(secret))),
    }
}

/// A text without what is secret.
pub fn without(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    for (value, instead) in known.iter() {
        if shown.contains(value.as_str()) {
            shown = shown.replace(value, instead).into();
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_secret_by_its_name() {
        for name in [
            "DB_PASSWORD",
            "PGPASSWORD",
            "redis_pass",
            "DB_PWD",
            "GITHUB_TOKEN",
            "CLIENT_SECRET",
            "SECRET_KEY_BASE",
            "AWS_SECRET_ACCESS_KEY",
            "API_KEY",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "PWD",
            "OLDPWD",
            "KEY",
            "REDIS_KEY",
            "ACTIVE_KEY",
            "DB_PASSWORD_FILE",
            "TOKEN_PATH",
            "COMPASS_URL",
            "PORT",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn what_is_known_is_taken_out_in_every_form() {
        keep("pa\"ss\\word", "${DB_PASSWORD}");
        keep("pa\"ss\\word-long", "…");
        keep("short", "…");
        for (text, shown) in [
            ("a pa\"ss\\word b", "a ${DB_PASSWORD} b"),
            (r#"{"a":"pa\"ss\\word"}"#, r#"{"a":"${DB_PASSWORD}"}"#),
            ("pa\"ss\\word-long", "…"),
            ("short, or else", "short, or else"),
        ] {
            assert_eq!(without(text), shown);
        }
    }
}
