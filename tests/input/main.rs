//! Bad input: each with a clear error, and no trace but its audit entry.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod clock;
mod documents;
mod enrollment;
mod expired;
mod http;
mod questions;
mod stand;
mod trust;
