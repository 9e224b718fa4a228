//! Switches a whole stack of services between blue and green behind Traefik.

pub mod color;
pub mod config;
pub mod traefik;
pub mod traffic;
