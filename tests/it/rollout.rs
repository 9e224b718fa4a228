//! Weights and steps: `shift`, `ramp`, and the figures that judge each step.

mod edges;
mod figures;
mod left;
mod ramp;
mod shift;
