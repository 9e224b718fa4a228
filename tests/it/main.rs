//! Integration tests, against the real Traefik and the real Redis.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "what fails here is a failed test"
)]

mod analysis;
mod api;
mod applied;
mod care;
mod chaos;
mod compose;
mod config;
mod containers;
mod cost;
mod dead;
mod deals;
mod deploy;
mod disabled;
mod document;
mod down;
mod fleet;
mod flip;
mod gates;
mod guard;
mod harness;
mod healthcheck;
mod hold;
mod hooks;
mod init;
mod listener;
mod preview;
mod properties;
mod readme;
mod rollout;
mod share;
mod shown;
mod state;
mod store;
mod support;
mod tls;
mod traefik_fields;
mod verify;
