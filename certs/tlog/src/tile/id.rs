//! Names of tiles and entry bundles.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

use super::path::{parse_place, place};
use super::{MAX_TILE_LEVEL, TILE_HEIGHT, TILE_WIDTH};
use crate::decimal::parse_u64;

/// Names one hash tile: its tile level, its index within that level, and how many hashes it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u16,
}

impl TileId {
    /// Names the tile `index` of `level` (0 to 7) with `width` hashes (1 to 256).
    ///
    /// # Errors
    ///
    /// [`IdError`] if no log can have such a tile.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, IdError> {
        if level > MAX_TILE_LEVEL {
            return Err(IdError::Level { level });
        }
        check_width(width)?;
        check_index(level, index)?;
        Ok(Self {
            level,
            index,
            width,
        })
    }

    /// The tile at this place as a log of `size` entries has it: full, partial, or not at all.
    #[must_use]
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let width = width_in_tree(level, index, size)?;
        Self::new(level, index, width).ok()
    }

    /// Tile level: each hash in it stands for 256^level leaves.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Index of the tile within its level.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Hashes in the tile, 1 to 256.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Length of its file in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        usize::from(self.width) * crate::hash::HASH_BYTES
    }

    /// Tree level of its hashes, as a [`crate::tree::HashSource`] counts it.
    #[must_use]
    pub fn node_level(&self) -> u8 {
        self.level * TILE_HEIGHT
    }

    /// Indexes of its hashes within that tree level.
    #[must_use]
    pub fn node_indexes(&self) -> Range<u64> {
        members(self.index, self.width)
    }

    /// Path below the log's public folder or URL prefix, such as `tile/0/x001/067.p/112`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("tile/{}/{}", self.level, place(self.index, self.width))
    }

    /// Reads what [`TileId::path`] writes.
    ///
    /// # Errors
    ///
    /// [`IdError`] if the path is not exactly that of a tile some log can have.
    pub fn parse(path: &str) -> Result<Self, IdError> {
        let (level, rest) = path
            .strip_prefix("tile/")
            .and_then(|rest| rest.split_once('/'))
            .ok_or(IdError::Path)?;
        let level = parse_u64(level).ok_or(IdError::Path)?;
        let level = u8::try_from(level).map_err(|_| IdError::Path)?;
        let (index, width) = parse_place(rest).ok_or(IdError::Path)?;
        Self::new(level, index, width)
    }
}

/// Names one entry bundle: its index, and how many entries it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntriesId {
    index: u64,
    width: u16,
}

impl EntriesId {
    /// Names the bundle `index` with `width` entries (1 to 256).
    ///
    /// # Errors
    ///
    /// [`IdError`] if no log can have such a bundle.
    pub fn new(index: u64, width: u16) -> Result<Self, IdError> {
        check_width(width)?;
        check_index(0, index)?;
        Ok(Self { index, width })
    }

    /// The bundle at this index as a log of `size` entries has it: full, partial, or not at all.
    #[must_use]
    pub fn in_tree(index: u64, size: u64) -> Option<Self> {
        let width = width_in_tree(0, index, size)?;
        Self::new(index, width).ok()
    }

    /// Index of the bundle.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Entries in the bundle, 1 to 256.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Indexes of its entries within the log.
    #[must_use]
    pub fn entry_indexes(&self) -> Range<u64> {
        members(self.index, self.width)
    }

    /// Path below the log's public folder or URL prefix, such as `tile/entries/x001/067.p/112`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("tile/entries/{}", place(self.index, self.width))
    }

    /// Reads what [`EntriesId::path`] writes.
    ///
    /// # Errors
    ///
    /// [`IdError`] if the path is not exactly that of a bundle some log can have.
    pub fn parse(path: &str) -> Result<Self, IdError> {
        let rest = path.strip_prefix("tile/entries/").ok_or(IdError::Path)?;
        let (index, width) = parse_place(rest).ok_or(IdError::Path)?;
        Self::new(index, width)
    }
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

impl fmt::Display for EntriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// A name no tile or bundle can have.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IdError {
    /// The level is above [`MAX_TILE_LEVEL`].
    #[error("no log has tiles at level {level} (at most {MAX_TILE_LEVEL})")]
    Level {
        /// The level that was given.
        level: u8,
    },
    /// The width is not 1 to 256.
    #[error("a tile holds 1 to {TILE_WIDTH} hashes or entries, not {width}")]
    Width {
        /// The width that was given.
        width: u16,
    },
    /// The index is beyond what a log can reach.
    #[error("no log reaches tile {index} of level {level}")]
    Index {
        /// The level that was given.
        level: u8,
        /// The index that was given.
        index: u64,
    },
    /// The path is not spelled like one.
    #[error(
        "not the path of a tile; they look like tile/0/x001/067, tile/0/x001/067.p/112 or \
         tile/entries/x001/067"
    )]
    Path,
}

fn check_width(width: u16) -> Result<(), IdError> {
    if (1..=TILE_WIDTH).contains(&width) {
        Ok(())
    } else {
        Err(IdError::Width { width })
    }
}

fn check_index(level: u8, index: u64) -> Result<(), IdError> {
    // Leaves under one full tile: 2^(8 * (level + 1)), so this many tiles fit into 64 bits.
    let height = u32::from(level + 1) * u32::from(TILE_HEIGHT);
    let largest = u64::MAX.checked_shr(height).unwrap_or(0);
    if index <= largest {
        Ok(())
    } else {
        Err(IdError::Index { level, index })
    }
}

/// Hashes that a tree of `size` leaves has in the tile at this place; `None` if there are none.
fn width_in_tree(level: u8, index: u64, size: u64) -> Option<u16> {
    let hashes = size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT))?;
    let first = index.checked_mul(u64::from(TILE_WIDTH))?;
    let width = hashes.checked_sub(first)?.min(u64::from(TILE_WIDTH));
    u16::try_from(width).ok().filter(|width| *width > 0)
}

fn members(index: u64, width: u16) -> Range<u64> {
    // Cannot overflow: `check_index` keeps the index below 2^56.
    let first = index * u64::from(TILE_WIDTH);
    first..first + u64::from(width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_have_their_worked_spelling() {
        let path = |level, index, width| TileId::new(level, index, width).unwrap().path();
        assert_eq!(path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path(0, 273, 112), "tile/0/273.p/112");
        assert_eq!(path(1, 1, 17), "tile/1/001.p/17");
        assert_eq!(path(2, 0, 1), "tile/2/000.p/1");
        assert_eq!(
            EntriesId::new(1067, 112).unwrap().path(),
            "tile/entries/x001/067.p/112"
        );
        assert_eq!(EntriesId::new(0, 256).unwrap().path(), "tile/entries/000");
    }

    #[test]
    fn other_spellings_are_refused() {
        for path in [
            "",
            "tile/0/",
            "tile/0/1",
            "tile/0/01",
            "tile/0/0001",
            "tile/00/001",
            "tile/0/x000/001",
            "tile/0/001/001",
            "tile/0/x001",
            "tile/0/x001/x067",
            "tile/0/X001/067",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/012",
            "tile/0/001.p/",
            "tile/0/001.p",
            "tile/0/001.p/12/",
            "/tile/0/001",
            "tile/0/001/",
            "tile/-1/001",
            "tile/0/+01",
            "tile/entries/001",
            "tile/0/../001",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(TileId::parse(path), Err(IdError::Path), "{path}");
        }
        assert_eq!(EntriesId::parse("tile/0/001"), Err(IdError::Path));
        assert_eq!(
            TileId::parse("tile/8/000"),
            Err(IdError::Level { level: 8 })
        );
        assert_eq!(
            TileId::parse("tile/7/001"),
            Err(IdError::Index { level: 7, index: 1 })
        );
    }

    #[test]
    fn a_tile_is_as_wide_as_the_tree_makes_it() {
        let width = |level, index, size| TileId::in_tree(level, index, size).map(|id| id.width());
        assert_eq!(width(0, 0, 0), None);
        assert_eq!(width(0, 272, 70_000), Some(256));
        assert_eq!(width(0, 273, 70_000), Some(112));
        assert_eq!(width(0, 274, 70_000), None);
        assert_eq!(width(1, 1, 70_000), Some(17));
        assert_eq!(width(2, 0, 70_000), Some(1));
        assert_eq!(width(3, 0, 70_000), None);
        assert_eq!(width(200, u64::MAX, 70_000), None);
        assert_eq!(
            EntriesId::in_tree(273, 70_000).unwrap().entry_indexes(),
            69_888..70_000
        );
    }

    proptest! {
        #[test]
        fn a_path_reads_back(level in 0_u8..8, index: u64, width in 1_u16..=256) {
            let index = index.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
            let tile = TileId::new(level, index, width).unwrap();
            prop_assert_eq!(TileId::parse(&tile.path()), Ok(tile));
            prop_assert!(tile.path().len() < 64);
            let entries = EntriesId::new(index, width).unwrap();
            prop_assert_eq!(EntriesId::parse(&entries.path()), Ok(entries));
        }

        #[test]
        fn a_path_that_reads_is_written_the_same(
            path in "(tile/)?([0-9]{1,2}|entries)/(x[0-9]{3}/){0,8}[0-9]{2,4}(\\.p/[0-9]{0,3})?|\\PC*",
        ) {
            if let Ok(tile) = TileId::parse(&path) {
                prop_assert_eq!(tile.path(), path.as_str());
            }
            if let Ok(entries) = EntriesId::parse(&path) {
                prop_assert_eq!(entries.path(), path);
            }
        }
    }
}
