//! The rollout engine: a change of traffic with care, whoever asks for it and wherever it runs.
//!
//! - [`order`] and [`request`]: what is asked for; [`record`]: what is kept of it in the store, with how far it has come;
//! - [`plan`]: what comes next, by what has happened: pure;
//! - [`engine`]: does what the plan says, keeps the record, and hears what others want meanwhile; [`keeper`] writes the
//!   record in one step with the key and the lease; [`act`] is what takes its time;
//! - [`before`]: what is there before; [`ready`]: whether the colors are; [`there`]: whether anybody is, for who goes
//!   back; [`confirm`]: the wait for the instances, by [`standing`] and [`applied`]; [`watch`]: production after the
//!   change, by its answers and by [`looks`] at its figures ([`analysis`]); [`way_back`] and its [`attempts`];
//! - [`hook`]: what the operator runs beside it, and [`place`], where; [`nested`]: a shift that a hook makes;
//! - [`gates`]: what stands in its way now, such as a [`freeze`];
//! - [`remote`]: a rollout that runs elsewhere; [`adopt`]: one that nobody runs;
//! - [`outcome`]: what came of it; [`event`]: what happens meanwhile, for whoever looks on.
//!
//! It knows nothing of terminals: words, exit codes and JSON are made of outcomes and events where they are shown.

pub mod act;
pub mod adopt;
pub mod analysis;
pub mod applied;
pub mod attempts;
pub mod before;
pub mod confirm;
pub mod context;
pub mod engine;
pub mod event;
pub mod freeze;
pub mod gates;
pub mod hook;
pub mod interrupts;
pub mod keeper;
pub mod looks;
pub mod nested;
pub mod order;
pub mod outcome;
pub mod place;
pub mod plan;
pub mod ready;
pub mod record;
pub mod remote;
pub mod request;
pub mod standing;
pub mod there;
pub mod watch;
pub mod way_back;
