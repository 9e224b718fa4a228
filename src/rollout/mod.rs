//! Rollouts: changes of the traffic with care.

pub mod analysis;
pub mod freeze;
pub mod hook;
