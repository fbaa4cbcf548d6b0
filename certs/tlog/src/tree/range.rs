//! Ranges of leaves as perfect subtrees.

use crate::hash::{Hash, empty_root, node_hash};

/// Where stored hashes come from: tiles, memory, a database.
pub trait HashSource {
    /// Why a stored hash could not be had.
    type Error;

    /// Hash of the perfect subtree of 2^`level` leaves that begins at leaf `index * 2^level`.
    ///
    /// Only asked for subtrees that lie wholly inside the tree.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from answering.
    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Root over the leaves `start..end`, where `start` is a multiple of the smallest power of two not
/// below the range's length (true for every subtree of the RFC 6962 split).
pub(super) fn range_root<S: HashSource + ?Sized>(
    start: u64,
    end: u64,
    source: &S,
) -> Result<Hash, S::Error> {
    let mut hashes = Vec::new();
    for (level, index) in perfect_subtrees(start, end) {
        hashes.push(source.hash(level, index)?);
    }
    Ok(fold(&hashes))
}

/// Root over neighbouring perfect subtrees, largest (leftmost) first.
pub(super) fn fold(hashes: &[Hash]) -> Hash {
    let from_the_right = hashes.iter().copied().rev();
    from_the_right
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or_else(empty_root)
}

/// Where a range of `len >= 2` leaves splits: the largest power of two below `len`.
pub(super) fn split(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}

fn perfect_subtrees(mut start: u64, end: u64) -> impl Iterator<Item = (u8, u64)> {
    std::iter::from_fn(move || {
        let level = (end - start).checked_ilog2()?;
        let index = start >> level;
        start += 1 << level;
        // At most 63, so it fits.
        Some((level as u8, index))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_into_perfect_subtrees_from_the_left() {
        let cut = |start, end| perfect_subtrees(start, end).collect::<Vec<_>>();
        assert_eq!(cut(0, 0), []);
        assert_eq!(cut(0, 8), [(3, 0)]);
        assert_eq!(cut(0, 7), [(2, 0), (1, 2), (0, 6)]);
        assert_eq!(cut(8, 13), [(2, 2), (0, 12)]);
    }

    #[test]
    fn a_tree_splits_below_its_size() {
        assert_eq!([2, 3, 4, 5, 8, 9].map(split), [1, 2, 2, 4, 4, 8]);
    }
}
