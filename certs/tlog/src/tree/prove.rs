//! Making proofs from stored hashes.

use thiserror::Error;

use super::MAX_SIZE;
use super::range::{HashSource, range_root, split};
use crate::hash::Hash;

/// Hashes that lead from leaf `index` to the root of the tree of `size` leaves, the leaf's sibling
/// first. RFC 6962 section 2.1.1.
///
/// # Errors
///
/// [`ProveError`] if there is no such leaf in a tree of that size, or the source fails.
pub fn inclusion_proof<S: HashSource + ?Sized>(
    index: u64,
    size: u64,
    source: &S,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    check_size(size)?;
    if index >= size {
        return Err(ProveError::NoSuchLeaf { index, size });
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range_root(middle, end, source).map_err(ProveError::Source)?);
            end = middle;
        } else {
            proof.push(range_root(start, middle, source).map_err(ProveError::Source)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Hashes that show the tree of `old` leaves to be the beginning of the tree of `new` leaves. Empty
/// when `old` is 0 or `new`. RFC 6962 section 2.1.2.
///
/// # Errors
///
/// [`ProveError`] if `old` is above `new`, or the source fails.
pub fn consistency_proof<S: HashSource + ?Sized>(
    old: u64,
    new: u64,
    source: &S,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    check_size(new)?;
    if old > new {
        return Err(ProveError::Shrinks { old, new });
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, new);
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(range_root(middle, end, source).map_err(ProveError::Source)?);
            end = middle;
        } else {
            proof.push(range_root(start, middle, source).map_err(ProveError::Source)?);
            start = middle;
        }
    }
    // From leaf 0 on it is the old root itself, which the verifier has.
    if start != 0 {
        proof.push(range_root(start, end, source).map_err(ProveError::Source)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Root of the tree of `size` leaves.
///
/// # Errors
///
/// [`ProveError`] if the size is out of range, or the source fails.
pub fn root<S: HashSource + ?Sized>(size: u64, source: &S) -> Result<Hash, ProveError<S::Error>> {
    check_size(size)?;
    range_root(0, size, source).map_err(ProveError::Source)
}

/// Why a proof could not be made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProveError<E> {
    /// The leaf is not in the tree.
    #[error("no entry {index} in a log of {size} entries")]
    NoSuchLeaf {
        /// The leaf that was asked for.
        index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// The old size is above the new one.
    #[error("a log does not shrink: no proof from {old} entries to {new}")]
    Shrinks {
        /// Size to prove from.
        old: u64,
        /// Size to prove to.
        new: u64,
    },
    /// The size is above [`MAX_SIZE`].
    #[error("tree size {size} is out of range (at most 2^63 - 1)")]
    TooLarge {
        /// The size that was given.
        size: u64,
    },
    /// A stored hash could not be had.
    #[error("a stored hash of the log cannot be read")]
    Source(#[source] E),
}

fn check_size<E>(size: u64) -> Result<(), ProveError<E>> {
    if size > MAX_SIZE {
        Err(ProveError::TooLarge { size })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Reference;

    #[test]
    fn proofs_match_the_definition_at_every_size() {
        let reference = Reference::new(300);
        for size in 0..=300 {
            assert_eq!(root(size, &reference), Ok(reference.root(0, size)));
            for index in 0..size {
                let proof = inclusion_proof(index, size, &reference).unwrap();
                assert_eq!(
                    proof,
                    reference.inclusion(index, 0, size),
                    "{index} in {size}"
                );
            }
            for old in 0..=size {
                let proof = consistency_proof(old, size, &reference).unwrap();
                assert_eq!(proof, reference.consistency(old, size), "{old} to {size}");
            }
        }
    }

    #[test]
    fn proofs_that_cannot_exist_are_refused() {
        let reference = Reference::new(10);
        assert_eq!(
            inclusion_proof(10, 10, &reference),
            Err(ProveError::NoSuchLeaf {
                index: 10,
                size: 10
            })
        );
        assert_eq!(
            consistency_proof(10, 9, &reference),
            Err(ProveError::Shrinks { old: 10, new: 9 })
        );
        assert_eq!(
            root(u64::MAX, &reference),
            Err(ProveError::TooLarge { size: u64::MAX })
        );
    }

    #[test]
    fn the_largest_tree_needs_no_more_hashes_than_promised() {
        struct Anything;
        impl HashSource for Anything {
            type Error = std::convert::Infallible;
            fn hash(&self, _: u8, _: u64) -> Result<Hash, Self::Error> {
                Ok(crate::hash::empty_root())
            }
        }
        for index in [0, 1, MAX_SIZE / 2, MAX_SIZE - 1] {
            let proof = inclusion_proof(index, MAX_SIZE, &Anything).unwrap();
            assert!(proof.len() <= super::super::MAX_PROOF_HASHES);
        }
        assert!(consistency_proof(MAX_SIZE - 1, MAX_SIZE, &Anything).is_ok());
    }
}
