//! Nodes of the tree that proofs asked for lately, or that were completed lately.

use std::collections::HashMap;

use dockmaster_tlog::hash::Hash;

/// Nodes in one generation: 64 bytes each, so that both take half a megabyte at most.
const GENERATION: usize = 4096;

/// A node of the tree: level and index.
type Place = (u8, u64);

/// The nodes that are likely to be asked for again.
///
/// A complete node never changes, so nothing here can be out of date. Proofs ask for the same few
/// nodes near the end of the log over and over; without this each one reads a tile and hashes it.
/// When a generation is full the older one is dropped, so what is asked for stays.
#[derive(Debug, Default)]
pub(crate) struct RecentNodes {
    young: HashMap<Place, Hash>,
    old: HashMap<Place, Hash>,
}

impl RecentNodes {
    /// The node, if it is here.
    pub(crate) fn get(&mut self, level: u8, index: u64) -> Option<Hash> {
        let place = (level, index);
        if let Some(hash) = self.young.get(&place) {
            return Some(*hash);
        }
        let hash = self.old.remove(&place)?;
        self.keep(level, index, hash);
        Some(hash)
    }

    /// Keeps a complete node.
    pub(crate) fn keep(&mut self, level: u8, index: u64, hash: Hash) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert((level, index), hash);
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_tlog::hash::leaf_hash;

    use super::*;

    fn hash(index: u64) -> Hash {
        leaf_hash(&index.to_be_bytes())
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let mut nodes = RecentNodes::default();
        nodes.keep(3, 7, hash(7));
        let generation = GENERATION as u64;
        for index in 0..10 * generation {
            nodes.keep(0, index, hash(index));
            if index % 1000 == 0 {
                assert_eq!(nodes.get(3, 7), Some(hash(7)));
            }
        }
        assert_eq!(nodes.get(0, 0), None);
        let last = 10 * generation - 1;
        assert_eq!(nodes.get(0, last), Some(hash(last)));
    }

    #[test]
    fn it_never_holds_more_than_two_generations() {
        let mut nodes = RecentNodes::default();
        for index in 0..5 * GENERATION as u64 {
            nodes.keep(1, index, hash(index));
            nodes.get(1, index / 2);
            assert!(nodes.young.len() <= GENERATION && nodes.old.len() <= GENERATION);
        }
    }
}
