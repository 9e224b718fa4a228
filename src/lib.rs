//! Switches a whole stack of services between blue and green behind Traefik.

pub mod certificate;
pub mod color;
pub mod commands;
pub mod config;
pub mod document;
pub mod history;
pub mod last_good;
pub mod log;
pub mod registry;
pub mod serve;
pub mod state;
pub mod store;
pub mod traffic;
