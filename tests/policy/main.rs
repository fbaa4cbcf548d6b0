//! The policy for certificates: which rule decides, requests that wait for an operator, and why
//! somebody got nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod containers;
mod held;
mod rules;
mod scene;
mod why;
