//! Rollouts: changes of the traffic with care.

pub mod analysis;
