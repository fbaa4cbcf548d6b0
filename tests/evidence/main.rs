//! Whose connection is it, on a real engine: neighbours that take an address, containers that share
//! one, and containers whose addresses change.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod changes;
mod log;
mod podman;
mod rights;
mod run;
mod shared;
mod short;
mod thief;
