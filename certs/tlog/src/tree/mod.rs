//! The Merkle tree of RFC 6962: growing it, proving from it, verifying proofs.
//!
//! A tree of n leaves splits at the largest power of two below n. The *perfect* subtree at
//! `(level, index)` has the 2^level leaves from `index * 2^level` on; it never changes once its last
//! leaf is there, so these are the hashes worth storing, and every proof is made from them.

mod edge;
mod prove;
mod range;
mod verify;

pub use edge::{EdgeError, RightEdge};
pub use prove::{ProveError, consistency_proof, inclusion_proof, root};
pub use range::HashSource;
pub use verify::{ProofError, verify_consistency, verify_inclusion};

/// Largest tree size that is accepted anywhere: 2^63 - 1, so that no index arithmetic overflows.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// Most hashes an inclusion proof can have.
pub const MAX_PROOF_HASHES: usize = 63;
