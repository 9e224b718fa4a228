//! The example's services, as the processes that they are, behind the real Traefik.

mod api;
mod dashboard;
mod faults;
mod flow;
mod mcp;
