//! Who may do what: the document may hold secrets, and who reads it must be asked for a token where one is set.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::StatusCode;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};

use super::routes::{Answer, plain};

/// A secret that is compared in constant time and never shown.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token as it was given.
    ///
    /// # Errors
    ///
    /// Where it is empty.
    pub fn new(token: &str) -> io::Result<Self> {
        let token = token.trim();
        if token.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the token is empty",
            ));
        }
        Ok(Self(token.to_owned()))
    }

    /// A token from a file, without the white space around it.
    ///
    /// # Errors
    ///
    /// Where the file can't be read or is empty.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(named)?;
        Self::new(&text).map_err(named)
    }

    /// Compares hashes, so that the time tells neither the length nor the beginning.
    fn is(&self, other: &str) -> bool {
        let hash = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let (ours, theirs) = (hash(&self.0), hash(other));
        let pairs = ours.as_ref().iter().zip(theirs.as_ref());
        pairs.fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Who may do what.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What all that reads must show; none for anybody.
    pub read_token: Option<Token>,
    /// What all that changes must show; none where nothing may be changed.
    pub token: Option<Token>,
}

impl Access {
    /// Whether this `Authorization` may read: the token as `Bearer`, or as the password of `Basic`, which is what
    /// Traefik makes of a user and password in the endpoint's URL.
    pub fn may_read(&self, authorization: Option<&HeaderValue>) -> bool {
        self.read_token
            .as_ref()
            .is_none_or(|token| shows(authorization, token))
    }

    /// Whether this `Authorization` may change the traffic; none where nobody may.
    pub fn may_change(&self, authorization: Option<&HeaderValue>) -> Option<bool> {
        let token = self.token.as_ref()?;
        Some(shows(authorization, token))
    }
}

/// Whether the header shows the token.
fn shows(authorization: Option<&HeaderValue>, token: &Token) -> bool {
    let shown = authorization
        .and_then(|value| value.to_str().ok())
        .and_then(|value| {
            let (scheme, credentials) = value.trim().split_once(' ')?;
            let credentials = credentials.trim();
            if scheme.eq_ignore_ascii_case("bearer") {
                return Some(credentials.to_owned());
            }
            if !scheme.eq_ignore_ascii_case("basic") {
                return None;
            }
            let decoded = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
            decoded
                .split_once(':')
                .map(|(_user, password)| password.to_owned())
        });
    shown.is_some_and(|shown| token.is(&shown))
}

/// The answer to whoever shows no token or a wrong one.
pub(super) fn unauthorized() -> Answer {
    let text = "a token is needed here: send `Authorization: Bearer TOKEN` (Traefik: providers.http.headers)\n";
    let mut answer = plain(StatusCode::UNAUTHORIZED, text.to_owned());
    answer.headers_mut().insert(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer, Basic realm=\"bluegreen\""),
    );
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_as_bearer_and_as_password() {
        let access = Access {
            read_token: Some(Token::new("s3cret\n").unwrap()),
            token: None,
        };
        let may = |value: &'static str| access.may_read(Some(&HeaderValue::from_static(value)));
        assert!(may("Bearer s3cret"));
        assert!(may("bearer  s3cret"));
        assert!(may("Basic dHJhZWZpazpzM2NyZXQ="));
        for wrong in [
            "",
            "s3cret",
            "Bearer",
            "Bearer s3cre",
            "Bearer s3cret2",
            "Basic s3cret",
            "Basic czNjcmV0",
            "Digest s3cret",
        ] {
            assert!(!may(wrong), "{wrong}");
        }
        assert!(!access.may_read(None));
        assert_eq!(
            access.may_change(Some(&HeaderValue::from_static("Bearer s3cret"))),
            None
        );
        assert!(Access::default().may_read(None));
        assert!(!format!("{access:?}").contains("s3cret"));
    }
}
