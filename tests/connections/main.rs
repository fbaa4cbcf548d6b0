//! Connections: how many, how long, and how they end.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod crowd;
mod drain;
mod flood;
mod held;
mod malformed;
mod many;
mod raw;
mod slow;
mod stage;
mod stall;
