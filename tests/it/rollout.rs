//! Weights and steps: `shift`, `ramp`, and the figures that judge each step, and a bake.

mod edges;
mod figures;
mod left;
mod looks;
mod ramp;
mod shift;
