//! Any node of the tree, from the tiles that hold it.

use thiserror::Error;

use super::hashes::{HashTile, TileError};
use super::{TILE_HEIGHT, TILE_WIDTH, TileId};
use crate::hash::Hash;
use crate::tree::{HashSource, MAX_SIZE};

/// Where tiles come from: files, HTTP, a cache.
pub trait TileReader {
    /// Why a tile could not be read.
    type Error;

    /// The bytes of one tile.
    ///
    /// A partial tile may be gone once it is full; the reader may then read the full one and return
    /// its first [`TileId::byte_len`] bytes.
    ///
    /// # Errors
    ///
    /// Whatever keeps the reader from reading.
    fn read_tile(&self, tile: TileId) -> Result<Vec<u8>, Self::Error>;
}

/// The stored hashes of a log of a given size, read from its tiles. Each hash reads its tile once more;
/// let the reader keep what it has read.
#[derive(Clone, Debug)]
pub struct TileSource<R> {
    reader: R,
    size: u64,
}

impl<R: TileReader> TileSource<R> {
    /// Reads the tiles of the log as it is at `size` entries: that decides which are partial.
    #[must_use]
    pub fn new(reader: R, size: u64) -> Self {
        Self { reader, size }
    }
}

impl<R: TileReader> HashSource for TileSource<R> {
    type Error = SourceError<R::Error>;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let outside = || SourceError::OutsideTree {
            level,
            index,
            size: self.size,
        };
        let at = node_location(level, index).ok_or_else(outside)?;
        let tile = TileId::in_tree(at.tile_level, at.tile_index, self.size).ok_or_else(outside)?;
        if at.offset + (1 << at.height) > tile.width() {
            return Err(outside());
        }
        let bytes = self.reader.read_tile(tile).map_err(SourceError::Read)?;
        let hashes = HashTile::parse(&bytes, tile.width())
            .map_err(|source| SourceError::Malformed { tile, source })?;
        hashes.subtree(at.offset, at.height).ok_or_else(outside)
    }
}

/// Where a node of the tree lies: `2^height` hashes of one tile make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLocation {
    /// Level of the tile.
    pub tile_level: u8,
    /// Index of the tile within its level.
    pub tile_index: u64,
    /// First hash in the tile that belongs to the node.
    pub offset: u16,
    /// Tree levels from those hashes up to the node, 0 to 7.
    pub height: u8,
}

/// Finds the node that is the perfect subtree of 2^`level` leaves from leaf `index * 2^level` on;
/// `None` if no log reaches it.
#[must_use]
pub fn node_location(level: u8, index: u64) -> Option<NodeLocation> {
    let last = index.checked_add(1)?;
    if last > MAX_SIZE.checked_shr(u32::from(level))? {
        return None;
    }
    let height = level % TILE_HEIGHT;
    // Cannot overflow: the shift by the whole level does not.
    let position = index << height;
    let width = u64::from(TILE_WIDTH);
    Some(NodeLocation {
        tile_level: level / TILE_HEIGHT,
        tile_index: position / width,
        // Below 256, so it fits.
        offset: (position % width) as u16,
        height,
    })
}

/// Why a node could not be had from tiles.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SourceError<E> {
    /// The tile could not be read.
    #[error("a tile of the log cannot be read")]
    Read(#[source] E),
    /// The tile is damaged.
    #[error("{tile} is damaged; restore it, or have the log write its tiles again")]
    Malformed {
        /// The tile.
        tile: TileId,
        /// What is wrong with it.
        source: TileError,
    },
    /// The node is not wholly in the tree.
    #[error("node {index} of level {level} is not in a log of {size} entries")]
    OutsideTree {
        /// Level of the node.
        level: u8,
        /// Index of the node.
        index: u64,
        /// Entries in the log.
        size: u64,
    },
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::testing::Reference;
    use crate::tile::tiles_between;
    use crate::tree::{consistency_proof, inclusion_proof, root};

    /// The files of a log that published every size given.
    struct Files(HashMap<String, Vec<u8>>);

    impl Files {
        fn grown(reference: &Reference, sizes: &[u64]) -> Self {
            let mut files = HashMap::new();
            let mut old = 0;
            for &size in sizes {
                for tile in tiles_between(old, size) {
                    let contents = HashTile::collect(tile, reference).unwrap();
                    files.insert(tile.path(), contents.encode());
                }
                old = size;
            }
            Self(files)
        }
    }

    impl TileReader for &Files {
        type Error = String;

        fn read_tile(&self, tile: TileId) -> Result<Vec<u8>, String> {
            self.0.get(&tile.path()).cloned().ok_or_else(|| tile.path())
        }
    }

    #[test]
    fn proofs_from_tiles_are_the_proofs_of_the_definition() {
        let sizes = [
            1, 2, 255, 256, 257, 300, 512, 700, 65_535, 65_536, 65_537, 70_000,
        ];
        let reference = Reference::new(70_000);
        let files = Files::grown(&reference, &sizes);
        for size in sizes {
            let source = TileSource::new(&files, size);
            assert_eq!(root(size, &source), Ok(reference.root(0, size)));
            for index in [0, size / 3, size / 2, size - 1] {
                assert_eq!(
                    inclusion_proof(index, size, &source),
                    Ok(reference.inclusion(index, 0, size)),
                    "{index} in {size}"
                );
                assert_eq!(
                    consistency_proof(index, size, &source),
                    Ok(reference.consistency(index, size)),
                    "{index} to {size}"
                );
            }
        }
    }

    #[test]
    fn a_damaged_tile_is_named() {
        let mut files = Files::grown(&Reference::new(3), &[3]);
        files.0.insert("tile/0/000.p/3".into(), vec![0; 95]);
        let error = TileSource::new(&files, 3).hash(0, 0).unwrap_err();
        assert!(
            error.to_string().starts_with("tile/0/000.p/3 is damaged"),
            "{error}"
        );
    }

    #[test]
    fn a_node_beyond_the_tree_is_refused_without_reading() {
        let files = Files(HashMap::new());
        let source = TileSource::new(&files, 3);
        for (level, index) in [
            (0, 3),
            (1, 1),
            (2, 0),
            (8, 0),
            (63, 0),
            (64, 0),
            (255, u64::MAX),
        ] {
            assert_eq!(
                source.hash(level, index),
                Err(SourceError::OutsideTree {
                    level,
                    index,
                    size: 3
                })
            );
        }
        assert_eq!(
            source.hash(1, 0),
            Err(SourceError::Read("tile/0/000.p/3".into()))
        );
    }

    #[test]
    fn a_node_lies_where_the_tiles_have_it() {
        let at = |level, index| node_location(level, index).unwrap();
        assert_eq!(
            at(3, 33),
            NodeLocation {
                tile_level: 0,
                tile_index: 1,
                offset: 8,
                height: 3
            }
        );
        assert_eq!(
            at(8, 257),
            NodeLocation {
                tile_level: 1,
                tile_index: 1,
                offset: 1,
                height: 0
            }
        );
        assert_eq!(node_location(0, u64::MAX), None);
        assert_eq!(node_location(63, 0), None);
        assert!(node_location(62, 0).is_some());
    }
}
