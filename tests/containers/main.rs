//! What the master, the agent and an operator do for real containers of a real engine.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod classification;
mod engine;
mod identity;
mod leave;
mod mutual;
mod once;
mod renewal;
mod reuse;
mod scale;
