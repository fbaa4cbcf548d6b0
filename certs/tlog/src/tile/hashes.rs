//! The contents of a hash tile.

use thiserror::Error;

use super::{TILE_HEIGHT, TILE_WIDTH, TileId};
use crate::hash::{HASH_BYTES, Hash, node_hash};
use crate::tree::HashSource;

/// Up to 256 neighbouring hashes of one tile level. As a file: the hashes, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HashTile {
    hashes: Vec<Hash>,
}

impl HashTile {
    /// A tile without hashes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fills the tile `id` from the hashes of its level.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from answering.
    pub fn collect<S: HashSource + ?Sized>(id: TileId, source: &S) -> Result<Self, S::Error> {
        let nodes = id.node_indexes();
        let hashes: Result<_, _> = nodes
            .map(|index| source.hash(id.node_level(), index))
            .collect();
        Ok(Self { hashes: hashes? })
    }

    /// Reads a tile of `width` hashes.
    ///
    /// # Errors
    ///
    /// [`TileError`] if the file has any other length.
    pub fn parse(bytes: &[u8], width: u16) -> Result<Self, TileError> {
        let expected = usize::from(width) * HASH_BYTES;
        if width > TILE_WIDTH || bytes.len() != expected {
            return Err(TileError::Length {
                width,
                expected,
                given: bytes.len(),
            });
        }
        let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
        Ok(Self {
            hashes: hashes.iter().copied().map(Hash::from_bytes).collect(),
        })
    }

    /// The file: 32 bytes for each hash.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.hashes
            .iter()
            .flat_map(Hash::as_bytes)
            .copied()
            .collect()
    }

    /// Appends one hash.
    ///
    /// # Errors
    ///
    /// [`TileError::Full`] if there are 256 already.
    pub fn push(&mut self, hash: Hash) -> Result<(), TileError> {
        if self.hashes.len() >= usize::from(TILE_WIDTH) {
            return Err(TileError::Full);
        }
        self.hashes.push(hash);
        Ok(())
    }

    /// The hashes, in order.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Root over the 2^`height` hashes from `offset` on; `None` if they are not all there, not
    /// aligned, or more than a tile.
    #[must_use]
    pub fn subtree(&self, offset: u16, height: u8) -> Option<Hash> {
        if height > TILE_HEIGHT || !offset.is_multiple_of(1 << height) {
            return None;
        }
        let start = usize::from(offset);
        let mut hashes = self.hashes.get(start..start + (1 << height))?.to_vec();
        while hashes.len() > 1 {
            let (pairs, _) = hashes.as_chunks::<2>();
            hashes = pairs
                .iter()
                .map(|[left, right]| node_hash(left, right))
                .collect();
        }
        hashes.first().copied()
    }

    /// Root of a full tile, the hash that stands for it one tile level up; `None` while it is partial.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        self.subtree(0, TILE_HEIGHT)
    }
}

/// Bytes that are not the tile they should be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TileError {
    /// Not the length that belongs to the width.
    #[error("a tile of {width} hashes has {expected} bytes, not {given}")]
    Length {
        /// Hashes that should be there, 1 to 256.
        width: u16,
        /// Bytes that many hashes have.
        expected: usize,
        /// Bytes that were given.
        given: usize,
    },
    /// A tile holds no more than 256 hashes.
    #[error("the tile is full")]
    Full,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Reference, leaf};

    #[test]
    fn a_full_tile_takes_no_more_and_has_a_root() {
        let reference = Reference::new(257);
        let mut tile = HashTile::new();
        for index in 0..256 {
            assert_eq!(tile.root(), None);
            tile.push(leaf(index)).unwrap();
        }
        assert_eq!(tile.push(leaf(256)), Err(TileError::Full));
        assert_eq!(tile.root(), Some(reference.root(0, 256)));
        assert_eq!(tile.encode().len(), 8192);
        let id = TileId::new(0, 0, 256).unwrap();
        assert_eq!(HashTile::collect(id, &reference), Ok(tile));
    }

    #[test]
    fn subtrees_inside_a_tile_match_the_definition() {
        let reference = Reference::new(100);
        let tile = HashTile::collect(TileId::new(0, 0, 100).unwrap(), &reference).unwrap();
        assert_eq!(tile.subtree(64, 5), Some(reference.root(64, 96)));
        assert_eq!(tile.subtree(99, 0), Some(leaf(99)));
        assert_eq!(tile.subtree(64, 6), None);
        assert_eq!(tile.subtree(1, 1), None);
        assert_eq!(tile.subtree(0, 9), None);
        assert_eq!(tile.subtree(65_535, 0), None);
    }

    proptest! {
        #[test]
        fn bytes_of_the_right_length_read_back_and_others_are_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..8300), width in 0_u16..300,
        ) {
            prop_assert_eq!(
                HashTile::parse(&bytes, width).is_ok(),
                width <= 256 && bytes.len() == usize::from(width) * 32
            );
            let fitting = (bytes.len() / 32).min(256);
            let tile = HashTile::parse(&bytes[..fitting * 32], fitting as u16).unwrap();
            prop_assert_eq!(tile.encode(), &bytes[..fitting * 32]);
        }
    }
}
