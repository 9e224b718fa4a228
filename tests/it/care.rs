//! `flip` with care: what it verifies, what it does where something fails, and what is left where it is stopped.

mod adopted;
mod asleep;
mod elsewhere;
mod interrupted;
mod killed;
mod now;
mod others;
mod outages;
mod production;
mod refused;
mod rollback;
mod site;
mod unconfirmed;
mod usage;
mod way_back;

pub(crate) use site::Site;
