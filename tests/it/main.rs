//! Integration tests, against the real Traefik and the real Redis.

mod config;
