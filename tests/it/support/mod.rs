//! The harness: real processes, each with its own folder and its own free ports on loopback.
//!
//! - [`redis`], [`sentinel`], [`postgres`], [`traefik`], [`prometheus`], [`provider`], [`browser`]: the real programs, killed on drop, their logs shown when a test fails
//! - [`backend`]: the servers behind Traefik, in this process
//! - [`stack`]: the stack that most tests flip
//! - [`deals`]: the example's services, as processes
//! - [`certificate`]: a certificate, as files that can be replaced
//! - [`cli`]: one run of the command line, with everything expected that it may print
//! - [`load`], [`poll`], [`http`]: clients: constant load, a hand-made poller, a plain GET
//! - [`eventually`]: waits for what becomes true, instead of sleeping
//!
//! What waits is async. Start processes from the test's own body, not from `spawn_blocking`: see [`process::guarded`].

#![allow(
    dead_code,
    reason = "the benchmark shares this harness and uses a part of it"
)]

pub(crate) mod backend;
pub(crate) mod browser;
pub(crate) mod certificate;
pub(crate) mod cli;
pub(crate) mod deals;
pub(crate) mod eventually;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod poll;
pub(crate) mod port;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod provider;
pub(crate) mod redis;
pub(crate) mod sentinel;
pub(crate) mod stack;
pub(crate) mod traefik;

pub(crate) use eventually::eventually;
