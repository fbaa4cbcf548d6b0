//! The life of certificates: revoked, listed, renewed, and their authorities made anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod follower;
mod own;
mod proxies;
mod race;
mod renew;
mod revoke;
mod rotate;
mod stage;
