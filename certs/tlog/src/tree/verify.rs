//! Verifying proofs, with nothing but the proof and the roots.

use thiserror::Error;

use super::MAX_SIZE;
use crate::hash::{Hash, empty_root, node_hash};

/// Accepts `proof` if it leads from `leaf` at `index` to `root`, the root of `size` leaves.
/// RFC 9162 section 2.1.3.2.
///
/// # Errors
///
/// [`ProofError`] if it does not; then nothing is known about the leaf.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    check_size(size)?;
    if index >= size {
        return Err(ProofError::NoSuchLeaf { index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::TooLong { given: proof.len() });
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // At the right border a node without sibling is its own parent: climb to where it has one.
            // The node is not 0 here (0 is even, and equal to `last` only at the top), so the shift
            // is below 64.
            let skip = node.trailing_zeros();
            node >>= skip;
            last >>= skip;
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::TooShort { given: proof.len() });
    }
    if hash == *root {
        Ok(())
    } else {
        Err(ProofError::NotThisRoot)
    }
}

/// Accepts `proof` if it shows the tree of `old_size` leaves with `old_root` to be the beginning of
/// the tree of `new_size` leaves with `new_root`. RFC 9162 section 2.1.4.2.
///
/// # Errors
///
/// [`ProofError`] if it does not. [`ProofError::NotTheOldRoot`] and [`ProofError::NotThisRoot`]
/// between two *signed* roots mean that the log rewrote its past.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    check_size(new_size)?;
    if old_size > new_size {
        return Err(ProofError::Shrinks {
            old: old_size,
            new: new_size,
        });
    }
    if old_size == 0 || old_size == new_size {
        return verify_trivial(old_size, old_root, new_size, new_root, proof);
    }

    let (mut node, mut last) = (old_size - 1, new_size - 1);
    let skip = node.trailing_ones();
    node >>= skip;
    last >>= skip;

    // When the old tree is perfect its root is the first node itself, and the proof leaves it out.
    let (first, rest) = match proof.split_first() {
        _ if old_size.is_power_of_two() => (old_root, proof),
        Some(parts) => parts,
        None => return Err(ProofError::TooShort { given: 0 }),
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::TooLong { given: proof.len() });
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            let skip = node.trailing_zeros();
            node >>= skip;
            last >>= skip;
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::TooShort { given: proof.len() });
    }
    if old_hash != *old_root {
        return Err(ProofError::NotTheOldRoot);
    }
    if new_hash == *new_root {
        Ok(())
    } else {
        Err(ProofError::NotThisRoot)
    }
}

/// From nothing, or to the same size: an empty proof, and the roots speak for themselves.
fn verify_trivial(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if !proof.is_empty() {
        return Err(ProofError::TooLong { given: proof.len() });
    }
    if old_size == 0 && *old_root != empty_root() {
        return Err(ProofError::NotTheOldRoot);
    }
    if old_size == new_size && old_root != new_root {
        return Err(ProofError::NotThisRoot);
    }
    Ok(())
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// The leaf cannot be in a tree of that size.
    #[error("no entry {index} in a log of {size} entries")]
    NoSuchLeaf {
        /// The leaf that was claimed.
        index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// The old size is above the new one.
    #[error("a log does not shrink, but this one went from {old} entries to {new}")]
    Shrinks {
        /// Size before.
        old: u64,
        /// Size after.
        new: u64,
    },
    /// The size is above [`MAX_SIZE`].
    #[error("tree size {size} is out of range (at most 2^63 - 1)")]
    TooLarge {
        /// The size that was given.
        size: u64,
    },
    /// Fewer hashes than the sizes call for.
    #[error("the proof is cut short after {given} hashes")]
    TooShort {
        /// Hashes in the proof.
        given: usize,
    },
    /// More hashes than the sizes call for.
    #[error("the proof has {given} hashes, more than such a proof can have")]
    TooLong {
        /// Hashes in the proof.
        given: usize,
    },
    /// A consistency proof that does not lead to the old root.
    #[error("the proof does not lead to the root of the earlier tree")]
    NotTheOldRoot,
    /// A proof that does not lead to the (new) root.
    #[error("the proof does not lead to the root it should")]
    NotThisRoot,
}

fn check_size(size: u64) -> Result<(), ProofError> {
    if size > MAX_SIZE {
        Err(ProofError::TooLarge { size })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
