//! Our certificates before verifiers that share no code with us, and before people's programs.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod house;
mod matrix;
mod published;
mod python;
mod questions;
mod spiffe;
mod thief;
mod verifiers;
