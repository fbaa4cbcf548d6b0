//! This crate beside independent implementations of the same documents: `tlog_tiles` (Cloudflare's port
//! of the Go project's), `ct-merkle`, and `signed_note`. The paths of the first predate today's, so
//! tiles are compared by their coordinates.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod notes;
mod others;
mod proofs;
mod tiles;
mod verdicts;
