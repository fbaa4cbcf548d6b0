//! Further hosts: their watchers, their relays, and what they may vouch for, between the real programs.
//! A host is a network namespace with a bridge of the same range as every other's.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod crowd;
mod engine;
mod evict;
mod garbage;
mod lost;
mod relay;
mod remit;
mod renewal;
mod rogue;
mod stage;
mod strangers;
mod thief;
mod why;
