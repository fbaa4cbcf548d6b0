//! The Dockmaster master: leases, certificates, classification, catalogs and the audit log behind
//! one HTTP API.
//!
//! Every change goes one way: *parse -> load -> decide -> commit -> announce*. [`api`] parses,
//! [`state`] is the view, `decide` functions are pure, [`journal`] commits to the ledger, and the
//! view's change notice wakes whoever waits. [`app`] puts the parts together.
#![forbid(unsafe_code)]

pub mod acknowledged;
pub mod api;
pub mod app;
pub mod audit;
pub mod authorities;
pub mod backup;
pub mod blobs;
pub mod clocks;
pub mod config;
pub mod crl;
pub mod datadir;
pub mod delivery;
pub mod documents;
pub mod enrollment;
pub mod env;
pub(crate) mod files;
pub mod flow;
pub mod hosts;
pub mod identity;
pub mod index;
pub mod journal;
pub mod keeper;
pub mod leases;
pub mod lifetime;
pub mod listener;
pub mod logkey;
pub mod material;
pub mod newdir;
pub mod open_files;
pub mod operators;
pub mod origin;
pub mod outpost;
pub mod pace;
pub mod policy;
pub mod quota;
pub mod refusals;
pub mod reports;
pub mod restore;
pub mod revocation;
pub mod rotation;
pub mod rotor;
pub mod setup;
pub mod state;
pub mod store;
pub mod stored;
mod tally;
pub mod tokens;
pub mod watchers;
pub mod witnesses;

#[cfg(test)]
mod testing;
