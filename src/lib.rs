//! Switches a whole stack of services between blue and green behind Traefik.
//!
//! This is the map of the crate, in the order in which the data flows:
//!
//! 1. the words: [`color`], [`traffic`], [`check`], [`hook`], [`gate`], [`cron`], [`template`], [`duration`], [`flag`],
//!    [`token`]; [`command`] runs what the operator has written;
//! 2. [`config`] reads `bluegreen.yml` and checks it as a whole, also against what Traefik knows ([`traefik`]);
//! 3. [`document`] renders the config and the traffic to the bytes that Traefik gets, without the servers that are [`dead`]
//!    where they are to be left out;
//! 4. [`store`] follows the key in Redis, or in a folder; beside the key are the [`history`] and the [`registry`] of
//!    providers and instances, and the [`lease`] of who changes it;
//! 5. [`state`] decides what serves when: one writer, many watchers; [`last_good`] and [`certificate`] are what it
//!    keeps on disk;
//! 6. [`serve`] answers Traefik's polls from the state, and knows who has which document;
//! 7. [`verify`] checks a color before it gets the traffic, and production after;
//! 8. [`rollout`] is a change of the traffic with care, which figures judge;
//! 9. [`commands`] are the command line on top, one file each; [`log`] is what it logs to, [`printable`] what all
//!    that is shown goes through, without what is [`secret`]. [`init`] writes a first
//!    config from compose files.

pub mod certificate;
pub mod check;
pub mod color;
pub mod command;
pub mod commands;
pub mod config;
pub mod cron;
pub mod dead;
pub mod document;
pub mod duration;
pub mod flag;
pub mod gate;
pub mod history;
pub mod hook;
pub mod init;
pub mod last_good;
pub mod lease;
pub mod log;
pub mod printable;
pub mod registry;
pub mod rollout;
pub mod secret;
pub mod serve;
pub mod state;
pub mod store;
pub mod template;
pub mod token;
pub mod traefik;
pub mod traffic;
pub mod verify;
