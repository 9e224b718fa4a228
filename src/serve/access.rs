//! Who may do what: the document may hold secrets, and who reads it must be asked for a token where one is set.

use std::io;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use hyper::{StatusCode, Uri};

use super::answer::{Answer, plain};
use super::renewed::{self, Renewed};
use crate::config;
use crate::secret;
use crate::token::{Hash, Rights, Token};

/// The tokens of one flag or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens(Vec<Arc<Token>>);

impl Tokens {
    /// A token as it was given, which has no name.
    ///
    /// # Errors
    ///
    /// Where it is empty.
    pub fn one(token: &str, rights: Rights) -> io::Result<Self> {
        let token = token.trim();
        if token.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the token is empty",
            ));
        }
        secret::keep(token, "…");
        Ok(Self(vec![Arc::new(Token {
            name: None,
            hash: Hash::of(token),
            rights,
            stacks: None,
        })]))
    }

    /// A token from a file, without the white space around it.
    ///
    /// # Errors
    ///
    /// Where the file can't be read or is empty.
    pub fn one_from_file(path: &Path, rights: Rights) -> io::Result<Self> {
        Self::one(&renewed::secret(path)?, rights)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// The tokens of a tokens file.
    ///
    /// # Errors
    ///
    /// Where the file can't be read, or has mistakes: all of them, from the second line on.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        let text = renewed::secret(path)?;
        let tokens = config::tokens(path, text).map_err(|report| {
            io::Error::other(format!("{} has mistakes\n{report}", path.display()))
        })?;
        Ok(Self(tokens.into_iter().map(Arc::new).collect()))
    }
}

/// Who may do what. Who may change may look, too.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The token of all that reads.
    pub read_token: Option<Arc<Renewed<Tokens>>>,
    /// The token of all that changes.
    pub token: Option<Arc<Renewed<Tokens>>>,
    /// Tokens with names.
    pub tokens: Option<Arc<Renewed<Tokens>>>,
}

/// Why a change is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It comes from a page of another origin.
    Foreign,
    /// Nobody may change anything here.
    Off,
    /// It shows no token, or a wrong one.
    Token,
    /// It shows one that only reads.
    ReadOnly(Arc<Token>),
    /// It shows one of other stacks.
    OtherStacks(Arc<Token>),
}

/// The header by which a browser says which page a request comes from (Fetch Metadata).
const FETCH_SITE: &str = "sec-fetch-site";

impl Access {
    /// Where its tokens come from.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<Renewed<Tokens>>> {
        let Self {
            read_token,
            token,
            tokens,
        } = self;
        [read_token, token, tokens].into_iter().flatten()
    }

    /// Whether looking needs a token: where there is any that is meant for it. A file with tokens is, also once nobody is
    /// left in it.
    pub fn guards_reading(&self) -> bool {
        self.read_token.is_some() || self.tokens.is_some()
    }

    /// Whether a request with these headers may read: it shows a token as `Bearer`, or as the password of `Basic`,
    /// which is what Traefik makes of a user and password in the endpoint's URL.
    pub fn may_read(&self, headers: &HeaderMap) -> bool {
        !self.guards_reading()
            || bearer(headers)
                .or_else(|| password(headers))
                .is_some_and(|shown| !self.known(&shown).is_empty())
    }

    /// The token by which a request with these headers may change the traffic of a stack: it shows it as `Bearer`, and
    /// comes from no page of another origin. `Basic` does not count: a browser that knows it sends it for any page that
    /// asks.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn may_change(&self, headers: &HeaderMap, stack: &str) -> Result<Arc<Token>, Denied> {
        if is_foreign(headers) {
            return Err(Denied::Foreign);
        }
        if self.token.is_none() && self.tokens.is_none() {
            return Err(Denied::Off);
        }
        let shown = bearer(headers).ok_or(Denied::Token)?;
        let mut known = self.known(&shown);
        // One text may be the token of two flags.
        known.sort_by_key(|token| (token.rights != Rights::Flip, !token.is_for(stack)));
        match known.into_iter().next() {
            None => Err(Denied::Token),
            Some(token) if token.rights != Rights::Flip => Err(Denied::ReadOnly(token)),
            Some(token) if !token.is_for(stack) => Err(Denied::OtherStacks(token)),
            Some(token) => Ok(token),
        }
    }

    /// Every token that this is. Hashes of all are compared, so that the time tells neither how long a token is nor how
    /// it begins. One that is known is kept out of all that is printed, logged and answered.
    fn known(&self, shown: &str) -> Vec<Arc<Token>> {
        let hash = Hash::of(shown);
        let mut known = Vec::new();
        for source in self.sources() {
            let tokens = source.current();
            known.extend(
                tokens
                    .0
                    .iter()
                    .filter(|token| token.hash.is(&hash))
                    .cloned(),
            );
        }
        if !known.is_empty() {
            secret::keep(shown, "…");
        }
        known
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
    let mut answer = plain(
        StatusCode::UNAUTHORIZED,
        "a token is needed here: send `Authorization: Bearer TOKEN` (Traefik: providers.http.headers)",
    );
    let schemes = HeaderValue::from_static("Bearer, Basic realm=\"bluegreen\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, schemes);
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

    fn flag(text: &str, rights: Rights) -> Option<Arc<Renewed<Tokens>>> {
        let tokens = Tokens::one(text, rights).unwrap();
        Some(Arc::new(Renewed::fixed("token", tokens)))
    }

    fn file(tokens: &[(&str, &str, Rights, Option<&str>)]) -> Option<Arc<Renewed<Tokens>>> {
        let token = |(name, text, rights, stack): &(&str, &str, Rights, Option<&str>)| {
            Arc::new(Token {
                name: Some((*name).to_owned()),
                hash: Hash::of(text),
                rights: *rights,
                stacks: stack.map(|stack| [stack.to_owned()].into()),
            })
        };
        let tokens = Tokens(tokens.iter().map(token).collect());
        Some(Arc::new(Renewed::fixed("tokens file", tokens)))
    }

    fn access() -> Access {
        Access {
            read_token: flag("s3cret\n", Rights::Read),
            token: flag("s3cret", Rights::Flip),
            tokens: None,
        }
    }

    /// Who may change the stack by it, or why nobody may.
    fn change(access: &Access, headers: &HeaderMap) -> Result<Option<String>, Denied> {
        let token = access.may_change(headers, "shop")?;
        Ok(token.name.clone())
    }

    #[test]
    fn a_token_opens_as_bearer_and_to_read_as_password() {
        let access = access();
        let basic = "Basic dHJhZWZpazpzM2NyZXQ=";
        for (value, read, changes) in [
            ("Bearer s3cret", true, Ok(None)),
            ("bearer  s3cret", true, Ok(None)),
            (basic, true, Err(Denied::Token)),
        ] {
            let headers = headers(&[("authorization", value)]);
            assert_eq!(access.may_read(&headers), read, "{value}");
            assert_eq!(change(&access, &headers), changes, "{value}");
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
            assert_eq!(change(&access, &headers), Err(Denied::Token), "{wrong}");
        }
        assert!(!access.may_read(&HeaderMap::new()));
        let open = Access::default();
        assert!(open.may_read(&HeaderMap::new()));
        let shown = headers(&[("authorization", "Bearer s3cret")]);
        assert_eq!(change(&open, &shown), Err(Denied::Off));
        assert!(!format!("{access:?}").contains("s3cret"));
    }

    #[test]
    fn a_named_token_does_what_its_entry_says_beside_those_of_the_flags() {
        let access = Access {
            token: flag("of-the-flag", Rights::Flip),
            tokens: file(&[
                ("edge", "edges", Rights::Read, None),
                ("ci", "cis", Rights::Flip, None),
                ("shop", "shops", Rights::Flip, Some("shop")),
                ("billing", "billings", Rights::Flip, Some("billing")),
            ]),
            ..Access::default()
        };
        let outcome =
            |shown: &'static str| match change(&access, &headers(&[("authorization", shown)])) {
                Ok(by) => format!("by {by:?}"),
                Err(Denied::ReadOnly(token)) => format!("{:?} only reads", token.name),
                Err(Denied::OtherStacks(token)) => format!("{:?} is for others", token.name),
                Err(denied) => format!("{denied:?}"),
            };
        for (shown, reads, changes) in [
            ("Bearer of-the-flag", true, "by None"),
            ("Bearer edges", true, "Some(\"edge\") only reads"),
            ("Bearer cis", true, "by Some(\"ci\")"),
            ("Bearer shops", true, "by Some(\"shop\")"),
            ("Bearer billings", true, "Some(\"billing\") is for others"),
            ("Bearer nobodys", false, "Token"),
            ("Basic eDplZGdlcw==", true, "Token"),
        ] {
            let headers = headers(&[("authorization", shown)]);
            assert_eq!(access.may_read(&headers), reads, "{shown}");
            assert_eq!(outcome(shown), changes, "{shown}");
        }
        assert!(!access.may_read(&HeaderMap::new()));
    }

    #[test]
    fn a_file_with_nobody_in_it_opens_nothing() {
        let access = Access {
            tokens: file(&[]),
            ..Access::default()
        };
        let shown = headers(&[("authorization", "Bearer anything")]);
        assert!(!access.may_read(&shown) && !access.may_read(&HeaderMap::new()));
        assert_eq!(change(&access, &shown), Err(Denied::Token));
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
                Ok(None)
            };
            assert_eq!(change(&access(), &all), expected, "{lines:?}");
        }
    }
}
