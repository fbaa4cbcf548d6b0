//! The record, taken out of the master: proofs, exports, backups.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod evidence;
mod export;
mod restore;
mod scene;
