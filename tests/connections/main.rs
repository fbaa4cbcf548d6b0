//! Connections: how many, how long, and how they end.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod crowd;
mod drain;
mod held;
mod stage;
