//! Tokens: what a request over HTTP shows, and what it may do by it.
//!
//! Only a token's hash is kept. A token is long and random, so one round of SHA-256 is enough: there is no list of likely
//! ones to try.

use std::collections::BTreeSet;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

/// What the text of a `Hash` begins with.
const ALGORITHM: &str = "sha256:";

/// The SHA-256 of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// That of this token.
    pub fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }

    /// Whether both are equal, in a time that does not tell how much of them is.
    pub fn is(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(other.0);
        pairs.fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
    }
}

/// Why a text is no `Hash` of a token. Without any of the text, which may be the token itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHash {
    /// It is something else.
    #[error("this is not the hash of a token")]
    NotAHash,
    /// It is the hash of nothing.
    #[error("this is the hash of an empty text, which is no token")]
    OfNothing,
}

/// `sha256:` and 64 hexadecimal digits.
impl FromStr for Hash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let digits = text.strip_prefix(ALGORITHM).unwrap_or_default().as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return Err(InvalidHash::NotAHash);
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return Err(InvalidHash::NotAHash);
            };
            *byte = (high * 16 + low) as u8;
        }
        match Self(hash) {
            hash if hash == Self::of("") => Err(InvalidHash::OfNothing),
            hash => Ok(hash),
        }
    }
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Looking at everything.
    Read,
    /// That, and changing the traffic.
    Flip,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose it is, for the history; none for one of a flag.
    pub name: Option<String>,
    /// Its hash.
    pub hash: Hash,
    /// What it is good for.
    pub rights: Rights,
    /// The stacks that it may change; none for all of them.
    pub stacks: Option<BTreeSet<String>>,
}

impl Token {
    /// Whether it may change this stack.
    pub fn is_for(&self, stack: &str) -> bool {
        self.stacks
            .as_ref()
            .is_none_or(|stacks| stacks.contains(stack))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s s3cret | sha256sum`
    const S3CRET: &str = "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0";

    #[test]
    fn a_hash_is_what_sha256sum_prints() {
        for text in [
            format!("sha256:{S3CRET}"),
            format!("sha256:{}", S3CRET.to_uppercase()),
        ] {
            let hash: Hash = text.parse().unwrap();
            assert!(hash.is(&Hash::of("s3cret")));
            assert!(!hash.is(&Hash::of("s3cret\n")));
        }
    }

    #[test]
    fn anything_else_is_none() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.parse::<Hash>(), Err(InvalidHash::OfNothing));
        for text in [
            "",
            "s3cret",
            S3CRET,
            "sha256:",
            &format!("sha256:{}", &S3CRET[1..]),
            &format!("sha256:{S3CRET}0"),
            &format!("sha256: {}", &S3CRET[1..]),
            &format!("sha256:+{}", &S3CRET[1..]),
            &format!("sha256:{}é", &S3CRET[2..]),
            &format!("sha512:{S3CRET}"),
            &format!("SHA256:{S3CRET}"),
            "$2y$10$abcdefghijklmnopqrstuv",
        ] {
            assert_eq!(text.parse::<Hash>(), Err(InvalidHash::NotAHash), "{text}");
        }
    }
}
