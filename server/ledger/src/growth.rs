//! What one batch adds to the tree, kept in memory until tiles hold it.

use dockmaster_tlog::hash::Hash;
use dockmaster_tlog::tree::{HashSource, RightEdge};

/// The nodes that one batch completes, and the right edge it grew from. Together they hold every
/// hash that an inclusion proof for an entry of the batch needs, so a proof made from them waits
/// for nothing on disk.
#[derive(Debug)]
pub(crate) struct Growth {
    old: RightEdge,
    new_size: u64,
    /// At level l the completed nodes, from index `old size >> l` on.
    levels: Vec<Vec<Hash>>,
}

/// The node is neither new in this batch nor on the edge it grew from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotHere;

impl Growth {
    /// Appends leaves to a tree and gives the edge after them.
    pub(crate) fn of(old: RightEdge, leaves: impl IntoIterator<Item = Hash>) -> (Self, RightEdge) {
        let mut edge = old.clone();
        let mut levels: Vec<Vec<Hash>> = Vec::new();
        for leaf in leaves {
            edge.push_with(leaf, |level, _, hash| {
                let level = usize::from(level);
                if level >= levels.len() {
                    levels.resize_with(level + 1, Vec::new);
                }
                levels[level].push(hash);
            });
        }
        let new_size = edge.size();
        (
            Self {
                old,
                new_size,
                levels,
            },
            edge,
        )
    }

    pub(crate) fn old_size(&self) -> u64 {
        self.old.size()
    }

    pub(crate) fn new_size(&self) -> u64 {
        self.new_size
    }

    /// The node, if this batch completed it.
    pub(crate) fn completed(&self, level: u8, index: u64) -> Option<Hash> {
        let first = self.old_size() >> level;
        let offset = usize::try_from(index.checked_sub(first)?).ok()?;
        self.levels.get(usize::from(level))?.get(offset).copied()
    }

    /// All nodes that this batch completed: level, index, hash.
    pub(crate) fn all_completed(&self) -> impl Iterator<Item = (u8, u64, Hash)> {
        self.levels.iter().zip(0u8..).flat_map(|(nodes, level)| {
            let first = self.old_size() >> level;
            (first..)
                .zip(nodes)
                .map(move |(index, hash)| (level, index, *hash))
        })
    }

    /// The node, if it is one of the perfect subtrees the old tree falls into.
    fn on_the_edge(&self, level: u8, index: u64) -> Option<Hash> {
        let up_to_here = self.old_size() >> level;
        if up_to_here & 1 == 0 || index != up_to_here - 1 {
            return None;
        }
        // Larger subtrees come first, one for each bit set above this level.
        let position = (up_to_here >> 1).count_ones() as usize;
        self.old.hashes().get(position).copied()
    }
}

impl HashSource for Growth {
    type Error = NotHere;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, NotHere> {
        let node = self.completed(level, index);
        node.or_else(|| self.on_the_edge(level, index))
            .ok_or(NotHere)
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_tlog::hash::leaf_hash;
    use dockmaster_tlog::tree::{inclusion_proof, verify_inclusion};

    use super::*;

    fn leaf(index: u64) -> Hash {
        leaf_hash(format!("entry-{index}").as_bytes())
    }

    #[test]
    fn every_entry_of_a_batch_is_proved_from_the_batch_alone() {
        for old in 0..70 {
            let (_, edge) = Growth::of(RightEdge::new(), (0..old).map(leaf));
            for new in old + 1..old + 20 {
                let (growth, edge) = Growth::of(edge.clone(), (old..new).map(leaf));
                for index in old..new {
                    let proof = inclusion_proof(index, new, &growth).unwrap();
                    verify_inclusion(&leaf(index), index, new, &proof, &edge.root()).unwrap();
                }
            }
        }
    }

    #[test]
    fn all_that_is_completed_is_told_with_its_place() {
        let (_, edge) = Growth::of(RightEdge::new(), (0..5).map(leaf));
        let (growth, _) = Growth::of(edge, (5..17).map(leaf));
        let all: Vec<_> = growth.all_completed().collect();
        assert!(all.contains(&(0, 5, leaf(5))) && all.iter().any(|(level, _, _)| *level == 4));
        for (level, index, hash) in all {
            assert_eq!(growth.completed(level, index), Some(hash));
        }
    }

    #[test]
    fn a_node_of_elsewhere_is_not_made_up() {
        let (_, edge) = Growth::of(RightEdge::new(), (0..5).map(leaf));
        let (growth, _) = Growth::of(edge, (5..9).map(leaf));
        assert_eq!(growth.hash(0, 3), Err(NotHere));
        assert_eq!(growth.hash(0, 9), Err(NotHere));
        assert_eq!(growth.hash(63, 1), Err(NotHere));
        assert_eq!(growth.hash(0, 4), Ok(leaf(4)));
    }
}
