//! Transparency log maths and formats, without I/O, clock or randomness.
//!
//! In scope, each in its own module and each after one C2SP document or RFC:
//!
//! - [`hash`] and [`tree`]: the Merkle tree of RFC 6962 (leaf and node hashes, the right edge of a
//!   growing tree, inclusion and consistency proofs, made and verified);
//! - [`tile`]: the tree and its entries cut into immutable files (c2sp.org/tlog-tiles);
//! - [`note`]: signed text, its keys and witness cosignatures (c2sp.org/signed-note,
//!   c2sp.org/tlog-cosignature with Ed25519);
//! - [`checkpoint`]: the signed head of a log (c2sp.org/tlog-checkpoint);
//! - [`proof`]: one file that proves an entry offline (c2sp.org/tlog-proof); [`evidence`]: the same
//!   with the entry in it;
//! - [`witness`]: asking for a cosignature, and giving one (c2sp.org/tlog-witness).
//!
//! Out of scope: reading and writing files (the caller brings a [`tile::TileReader`] or a
//! [`tree::HashSource`]), keeping two roots of one size from being signed (the ledger's frames do
//! that), and what an entry means.
//!
//! # Invariants
//!
//! - Nothing here reads a file, a clock or a source of randomness.
//! - Every parser is bounded, never panics, and accepts exactly one spelling of each value.
//! - A [`checkpoint::Checkpoint`] that came from [`checkpoint::Checkpoint::open`] was signed by the
//!   key it was opened with, and carries that key's name as its origin.

#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod evidence;
pub mod hash;
pub mod note;
pub mod proof;
pub mod tile;
pub mod tree;
pub mod witness;

mod decimal;
#[cfg(test)]
mod testing;
