//! The ledger on a real disk: commits, reads, crashes, faults and recovery.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod blobs;
mod commit;
mod crash;
mod damage;
mod faults;
mod fixture;
mod import;
mod operations;
mod power;
mod read;
mod recovery;
mod repair;
mod shadow;
