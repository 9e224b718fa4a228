//! Who may do what: the document may hold secrets, and who reads it must be asked for a token where one is set.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use hyper::{StatusCode, Uri};

use super::renewed::{self, Renewed};
use super::routes::{Answer, plain};
use crate::secret;

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
        secret::keep(token, "…");
        Ok(Self(token.to_owned()))
    }

    /// A token from a file, without the white space around it.
    ///
    /// # Errors
    ///
    /// Where the file can't be read or is empty.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        Self::new(&renewed::secret(path)?)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
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
    pub read_token: Option<Arc<Renewed<Token>>>,
    /// What all that changes must show; none where nothing may be changed.
    pub token: Option<Arc<Renewed<Token>>>,
}

/// Why a change is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It comes from a page of another origin.
    Foreign,
    /// Nobody may change anything here.
    Off,
    /// It shows no token, or a wrong one.
    Token,
}

/// The header by which a browser says which page a request comes from (Fetch Metadata).
const FETCH_SITE: &str = "sec-fetch-site";

impl Access {
    /// Whether a request with these headers may read: it shows the token as `Bearer`, or as the password of `Basic`,
    /// which is what Traefik makes of a user and password in the endpoint's URL.
    pub fn may_read(&self, headers: &HeaderMap) -> bool {
        self.read_token.as_ref().is_none_or(|token| {
            let shown = bearer(headers).or_else(|| password(headers));
            shown.is_some_and(|shown| token.current().is(&shown))
        })
    }

    /// Whether a request with these headers may change the traffic: it shows the token as `Bearer`, and comes from no
    /// page of another origin. `Basic` does not count: a browser that knows it sends it for any page that asks.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn may_change(&self, headers: &HeaderMap) -> Result<(), Denied> {
        if is_foreign(headers) {
            return Err(Denied::Foreign);
        }
        let token = self.token.as_ref().ok_or(Denied::Off)?;
        let shown = bearer(headers).is_some_and(|shown| token.current().is(&shown));
        if shown { Ok(()) } else { Err(Denied::Token) }
    }
}

/// What the scheme of `Authorization` has after it.
fn credentials(headers: &HeaderMap, scheme: &str) -> Option<String> {
    // A token of more than ASCII comes in UTF-8.
    let value = std::str::from_utf8(headers.get(AUTHORIZATION)?.as_bytes()).ok()?;
    let (is, credentials) = value.trim().split_once(' ')?;
    is.eq_ignore_ascii_case(scheme)
        .then(|| credentials.trim().to_owned())
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    credentials(headers, "bearer")
}

/// The password of `Basic`.
fn password(headers: &HeaderMap) -> Option<String> {
    let decoded = BASE64_STANDARD
        .decode(credentials(headers, "basic")?)
        .ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (_user, password) = decoded.split_once(':')?;
    Some(password.to_owned())
}

/// Whether a browser says that a page of another origin sends this. What is no browser says nothing of it.
fn is_foreign(headers: &HeaderMap) -> bool {
    match headers.get(FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"same-origin") => return false,
        // Nobody's page: typed by the user, or sent by an extension.
        None | Some(b"none") => {}
        Some(_) => return true,
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    // The scheme is left out: a proxy in front may speak TLS where this does not.
    let origin = origin.to_str().ok().and_then(|o| o.parse::<Uri>().ok());
    let of = origin.as_ref().and_then(Uri::authority);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (of, host) {
        (Some(of), Some(host)) => !of.as_str().eq_ignore_ascii_case(host),
        // `null` is the origin of a page that hides its own.
        _ => true,
    }
}

/// The answer to whoever may not read.
pub(super) fn unauthorized() -> Answer {
    challenge(
        "Bearer, Basic realm=\"bluegreen\"",
        "a token is needed here: send `Authorization: Bearer TOKEN` (Traefik: providers.http.headers)",
    )
}

/// The answer to whoever may not change anything.
pub(super) fn denied(denied: Denied) -> Answer {
    let text = match denied {
        Denied::Token => {
            return challenge(
                "Bearer",
                "a change needs `Authorization: Bearer TOKEN`; a password (Basic) does not count",
            );
        }
        Denied::Off => "no change is taken here: `serve` runs without --token",
        Denied::Foreign => "no change is taken from a page of another origin",
    };
    plain(StatusCode::FORBIDDEN, text)
}

fn challenge(schemes: &'static str, text: &'static str) -> Answer {
    let mut answer = plain(StatusCode::UNAUTHORIZED, text);
    answer
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static(schemes));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    fn access() -> Access {
        let token = |text| Some(Arc::new(Renewed::fixed("token", Token::new(text).unwrap())));
        Access {
            read_token: token("s3cret\n"),
            token: token("s3cret"),
        }
    }

    #[test]
    fn a_token_opens_as_bearer_and_to_read_as_password() {
        let access = access();
        let basic = "Basic dHJhZWZpazpzM2NyZXQ=";
        for (value, read, change) in [
            ("Bearer s3cret", true, Ok(())),
            ("bearer  s3cret", true, Ok(())),
            (basic, true, Err(Denied::Token)),
        ] {
            let headers = headers(&[("authorization", value)]);
            assert_eq!(access.may_read(&headers), read, "{value}");
            assert_eq!(access.may_change(&headers), change, "{value}");
        }
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
            let headers = headers(&[("authorization", wrong)]);
            assert!(!access.may_read(&headers), "{wrong}");
            assert_eq!(access.may_change(&headers), Err(Denied::Token), "{wrong}");
        }
        assert!(!access.may_read(&HeaderMap::new()));
        let open = Access::default();
        assert!(open.may_read(&HeaderMap::new()));
        let shown = headers(&[("authorization", "Bearer s3cret")]);
        assert_eq!(open.may_change(&shown), Err(Denied::Off));
        assert!(!format!("{access:?}").contains("s3cret"));
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing_even_with_the_token() {
        const OWN: (&str, &str) = ("origin", "http://provider:9000");
        for (lines, foreign) in [
            (&[][..], false),
            (&[OWN], false),
            (&[("origin", "https://PROVIDER:9000")], false),
            (&[("sec-fetch-site", "same-origin")], false),
            // A proxy in front may have changed `Host`; the browser knows better.
            (
                &[("sec-fetch-site", "same-origin"), ("origin", "http://edge")],
                false,
            ),
            (&[("sec-fetch-site", "none")], false),
            (
                &[("sec-fetch-site", "none"), ("origin", "http://evil")],
                true,
            ),
            (&[("origin", "http://evil")], true),
            (&[("origin", "http://provider")], true),
            (&[("origin", "http://provider:9000.evil")], true),
            (&[("origin", "null")], true),
            (&[("origin", "")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-site"), OWN], true),
            (&[("sec-fetch-site", "")], true),
        ] {
            let mut all = headers(lines);
            all.extend(headers(&[
                ("authorization", "Bearer s3cret"),
                ("host", "provider:9000"),
            ]));
            let expected = if foreign {
                Err(Denied::Foreign)
            } else {
                Ok(())
            };
            assert_eq!(access().may_change(&all), expected, "{lines:?}");
        }
    }
}
