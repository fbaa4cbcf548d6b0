//! The right edge: all that is needed to append to a tree.

use thiserror::Error;

use super::MAX_SIZE;
use super::range::fold;
use crate::hash::{Hash, node_hash};

/// A tree of any size in at most 63 hashes: the roots of the perfect subtrees it falls into, largest
/// first (a "compact range"). Appending and taking the root need nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RightEdge {
    size: u64,
    hashes: Vec<Hash>,
}

impl RightEdge {
    /// The edge of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Rebuilds the edge from what [`RightEdge::size`] and [`RightEdge::hashes`] gave.
    ///
    /// The hashes cannot be checked here; compare [`RightEdge::root`] with a signed one.
    ///
    /// # Errors
    ///
    /// [`EdgeError`] if the size is out of range, or the hashes are not one for each bit set in it.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, EdgeError> {
        if size > MAX_SIZE {
            return Err(EdgeError::TooLarge { size });
        }
        let expected = size.count_ones() as usize;
        if hashes.len() != expected {
            return Err(EdgeError::WrongCount {
                size,
                expected,
                given: hashes.len(),
            });
        }
        Ok(Self { size, hashes })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the perfect subtrees, largest first: one for each bit set in the size.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Appends one leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _, _| {});
    }

    /// Appends one leaf and tells `completed` every perfect subtree that this completes, as
    /// `(level, index, hash)` from the leaf itself upwards: what a [`super::HashSource`] must store.
    pub fn push_with(&mut self, leaf: Hash, mut completed: impl FnMut(u8, u64, Hash)) {
        let mut hash = leaf;
        let mut index = self.size;
        let mut level = 0;
        completed(level, index, hash);
        // Each low bit set in the size is a perfect subtree that the new one pairs up with.
        while index & 1 == 1 {
            let Some(left) = self.hashes.pop() else { break };
            hash = node_hash(&left, &hash);
            index >>= 1;
            level += 1;
            completed(level, index, hash);
        }
        self.hashes.push(hash);
        // Cannot overflow: it starts at most at MAX_SIZE, and nobody appends 2^63 leaves.
        self.size += 1;
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.hashes)
    }
}

/// Parts that are not the right edge of a tree.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EdgeError {
    /// The size is above [`MAX_SIZE`].
    #[error("tree size {size} is out of range (at most 2^63 - 1)")]
    TooLarge {
        /// The size that was given.
        size: u64,
    },
    /// Too few or too many hashes for the size.
    #[error("the right edge of a tree of {size} leaves has {expected} hashes, not {given}")]
    WrongCount {
        /// The size that was given.
        size: u64,
        /// How many hashes belong to it.
        expected: usize,
        /// How many were given.
        given: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Reference, leaf};

    #[test]
    fn the_root_of_seventy_thousand_entries_has_its_worked_value() {
        let mut edge = RightEdge::new();
        for index in 0..70_000 {
            edge.push(leaf(index));
        }
        assert_eq!(edge.size(), 70_000);
        assert_eq!(
            edge.root().to_string(),
            "a62a54be33294ffd5a5c4c637fd754630b71a892e8356e3a666a5c8a7ffd1518"
        );
    }

    #[test]
    fn the_root_matches_the_definition_at_every_size() {
        let reference = Reference::new(300);
        let mut edge = RightEdge::new();
        for size in 0..=300 {
            assert_eq!(edge.root(), reference.root(0, size), "size {size}");
            edge.push(leaf(size));
        }
    }

    #[test]
    fn an_edge_goes_on_from_its_parts() {
        let mut edge = RightEdge::new();
        for index in 0..77 {
            edge.push(leaf(index));
        }
        let mut resumed = RightEdge::from_parts(edge.size(), edge.hashes().to_vec()).unwrap();
        edge.push(leaf(77));
        resumed.push(leaf(77));
        assert_eq!(resumed, edge);
    }

    #[test]
    fn parts_that_do_not_fit_the_size_are_refused() {
        assert_eq!(
            RightEdge::from_parts(3, vec![leaf(0)]),
            Err(EdgeError::WrongCount {
                size: 3,
                expected: 2,
                given: 1
            })
        );
        assert_eq!(
            RightEdge::from_parts(1 << 63, vec![leaf(0)]),
            Err(EdgeError::TooLarge { size: 1 << 63 })
        );
    }

    #[test]
    fn every_completed_subtree_is_told_once() {
        let reference = Reference::new(64);
        let mut edge = RightEdge::new();
        let mut told = Vec::new();
        for index in 0..64 {
            edge.push_with(leaf(index), |level, index, hash| {
                told.push((level, index, hash));
            });
        }
        assert_eq!(told.len(), 127);
        for (level, index, hash) in told {
            assert_eq!(hash, reference.root(index << level, (index + 1) << level));
        }
    }
}
