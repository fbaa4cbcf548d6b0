//! One log as the other implementations store it.

use std::convert::Infallible;
use std::sync::OnceLock;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use dockmaster_tlog::hash::Hash;
use dockmaster_tlog::tree::HashSource;
use sha2::Sha256;
use tlog_tiles::tlog::{self, HashReader};

/// Every size up to here is looked at, with all that can be proved in it: two full tiles and a part.
pub(crate) const ALL_SIZES: u64 = 600;

/// Sizes where a tile of the second level fills up, and its neighbours.
pub(crate) const LARGE_SIZES: [u64; 9] = [
    65_279, 65_280, 65_281, 65_535, 65_536, 65_537, 65_791, 65_792, 65_793,
];

/// Indexes, or earlier sizes, at which such a tree could go wrong.
pub(crate) fn corners(size: u64) -> impl Iterator<Item = u64> {
    let around = |at: u64| [at.saturating_sub(1), at, at + 1];
    let spots = [1, 128, 256, 512, 32_768, 65_280, 65_536, size / 3, size - 1];
    let mut corners: Vec<_> = spots.into_iter().flat_map(around).collect();
    corners.sort_unstable();
    corners.dedup();
    corners.into_iter()
}

pub(crate) fn entry(index: u64) -> Vec<u8> {
    format!("entry-{index}").into_bytes()
}

/// A log as `tlog_tiles` stores it.
#[derive(Default)]
pub(crate) struct Stored(pub(crate) Vec<tlog::Hash>);

impl Stored {
    pub(crate) fn of(size: u64) -> Self {
        let mut log = Self::default();
        for index in 0..size {
            let stored = tlog::stored_hashes(index, &entry(index), &log).unwrap();
            log.0.extend(stored);
        }
        log
    }

    /// One for all tests: the hashes of a smaller log are among those of a larger one.
    pub(crate) fn large() -> &'static Self {
        static LARGE: OnceLock<Stored> = OnceLock::new();
        LARGE.get_or_init(|| Self::of(65_800))
    }

    pub(crate) fn leaf(&self, index: u64) -> Hash {
        ours(&self.0[tlog::stored_hash_index(0, index) as usize])
    }
}

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes
            .iter()
            .map(|&index| self.0[index as usize])
            .collect())
    }
}

impl HashSource for Stored {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(ours(
            &self.0[tlog::stored_hash_index(level, index) as usize],
        ))
    }
}

/// A log as `ct-merkle` stores it.
pub(crate) type CtTree = MemoryBackedTree<Sha256, Vec<u8>>;

/// Grows such a log to a size.
pub(crate) fn grow(tree: &mut CtTree, size: u64) {
    for index in tree.len()..size {
        tree.push(entry(index));
    }
}

pub(crate) fn ours(hash: &tlog::Hash) -> Hash {
    Hash::from_bytes(hash.0)
}

pub(crate) fn theirs(hash: &Hash) -> tlog::Hash {
    tlog::Hash(*hash.as_bytes())
}

pub(crate) fn all_theirs(hashes: &[Hash]) -> Vec<tlog::Hash> {
    hashes.iter().map(theirs).collect()
}

/// A proof as `ct-merkle` writes it.
pub(crate) fn joined(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(Hash::as_bytes).copied().collect()
}
