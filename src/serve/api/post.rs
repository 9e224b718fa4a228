//! What asks for a change: who, of which stack, and with what.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::body::Bytes;

use super::problem::{Kind, Problem};
use crate::config::Stack;
use crate::state::Serving;
use crate::token::Token;

/// What every path of the API begins with.
pub(in crate::serve) const STACKS: &str = "/stacks/";

/// What asks for a change, and may.
pub(super) struct Post {
    pub(super) token: Arc<Token>,
    pub(super) address: SocketAddr,
    pub(super) stack: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Its `Idempotency-Key`.
    pub(super) key: Option<String>,
}

impl Post {
    /// Who asks, as the history says it.
    pub(super) fn by(&self) -> String {
        let address = self.address.ip();
        match &self.token.name {
            Some(name) => format!("{name} over http from {address}"),
            None => format!("http from {address}"),
        }
    }
}

/// The config of a stack.
///
/// # Errors
///
/// Where there is none of that name.
pub(super) fn stack_of<'a>(serving: &'a Serving, name: &str) -> Result<&'a Stack, Problem> {
    serving.config.stacks.get(name).ok_or_else(|| {
        let stacks: Vec<_> = serving.config.stacks.keys().map(String::as_str).collect();
        let stacks = stacks.join(", ");
        let detail = format!("there is no stack `{name}`; there are: {stacks}");
        Problem::new(Kind::UnknownStack, detail)
    })
}
