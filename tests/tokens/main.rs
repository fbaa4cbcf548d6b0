//! Join tokens: machines that no container engine vouches for.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod confirm;
mod containers;
mod keep;
mod life;
mod namespace;
mod refuse;
mod returning;
mod stage;
mod uses;
mod watched;
