//! The growing files of the log: the right-hand tile of every level and the last entry bundle.

use dockmaster_tlog::hash::{Hash, leaf_hash};
use dockmaster_tlog::tile::{EntriesId, EntryBundle, HashTile, TILE_WIDTH, TileId, node_location};
use dockmaster_tlog::tree::RightEdge;

/// A file of the log: its path below `public/` and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TileFile {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

/// What the next entries extend. Holds the partial files only; a full one is handed out and
/// forgotten.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tiles {
    size: u64,
    bundle: EntryBundle,
    /// The partial tile of each level; possibly without hashes.
    levels: Vec<HashTile>,
}

impl Tiles {
    /// Goes on from the partial files of a log of `size` entries. Each must have the width that
    /// the size gives it; `None` if one has not, or a leaf does not match its entry.
    pub(crate) fn resume(size: u64, bundle: EntryBundle, levels: Vec<HashTile>) -> Option<Self> {
        let width = |level: usize| ((size >> (8 * level)) % u64::from(TILE_WIDTH)) as usize;
        let widths_fit = levels
            .iter()
            .enumerate()
            .all(|(l, tile)| tile.hashes().len() == width(l));
        let mut leaves = levels
            .first()
            .map(HashTile::hashes)
            .unwrap_or_default()
            .iter();
        let entries_fit = bundle.iter().map(leaf_hash).eq(leaves.by_ref().copied());
        (widths_fit && entries_fit).then_some(Self {
            size,
            bundle,
            levels,
        })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry and hands out the files that this makes full.
    pub(crate) fn push<E>(
        &mut self,
        entry: &[u8],
        emit: &mut impl FnMut(TileFile) -> Result<(), E>,
    ) -> Result<(), E> {
        // Cannot fail: the writer limits entries, frames count them in 16 bits, and a full bundle
        // is replaced below.
        let pushed = self.bundle.push(entry);
        debug_assert!(pushed.is_ok());
        let index = self.size;
        self.size += 1;
        if self.bundle.len() == usize::from(TILE_WIDTH) {
            let bundle = std::mem::take(&mut self.bundle);
            emit(entries_file(index, self.size, &bundle))?;
        }
        self.push_hash(leaf_hash(entry), emit)
    }

    /// A full tile becomes one hash of the level above.
    fn push_hash<E>(
        &mut self,
        leaf: Hash,
        emit: &mut impl FnMut(TileFile) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = Some(leaf);
        let mut level = 0;
        while let Some(hash) = next.take() {
            if self.levels.len() <= level {
                self.levels.push(HashTile::new());
            }
            let tile = &mut self.levels[level];
            // Cannot fail: a full tile is replaced as soon as it is full.
            let pushed = tile.push(hash);
            debug_assert!(pushed.is_ok());
            if let Some(root) = tile.root() {
                let full = std::mem::take(tile);
                emit(self.hash_file(level, &full))?;
                next = Some(root);
            }
            level += 1;
        }
        Ok(())
    }

    /// The partial files of the present size.
    pub(crate) fn partials(&self) -> Vec<TileFile> {
        let mut files = Vec::new();
        if !self.bundle.is_empty() {
            files.push(entries_file(self.size - 1, self.size, &self.bundle));
        }
        for (level, tile) in self.levels.iter().enumerate() {
            if !tile.hashes().is_empty() {
                files.push(self.hash_file(level, tile));
            }
        }
        files
    }

    /// The right edge of the tree, for whoever grows it further.
    pub(crate) fn edge(&self) -> Option<RightEdge> {
        let mut hashes = Vec::new();
        for level in (0..63_u8).rev().filter(|level| self.size >> level & 1 == 1) {
            let at = node_location(level, (self.size >> level) - 1)?;
            let tile = self.levels.get(usize::from(at.tile_level))?;
            hashes.push(tile.subtree(at.offset, at.height)?);
        }
        RightEdge::from_parts(self.size, hashes).ok()
    }

    /// The file of a tile that ends at the present size.
    fn hash_file(&self, level: usize, tile: &HashTile) -> TileFile {
        let nodes = self.size >> (8 * level);
        let index = (nodes - 1) / u64::from(TILE_WIDTH);
        // Cannot fail: at most eight levels, and no log reaches 2^63 entries. An empty path would be
        // refused by the file system.
        let id = TileId::in_tree(level as u8, index, self.size);
        TileFile {
            path: id.map(|id| id.path()).unwrap_or_default(),
            bytes: tile.encode(),
        }
    }
}

/// The file of the bundle that holds entry `last` in a log of `size` entries.
fn entries_file(last: u64, size: u64, bundle: &EntryBundle) -> TileFile {
    let id = EntriesId::in_tree(last / u64::from(TILE_WIDTH), size);
    TileFile {
        path: id.map(|id| id.path()).unwrap_or_default(),
        bytes: bundle.encode(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::convert::Infallible;

    use dockmaster_tlog::tile::{entries_between, tiles_between};

    use super::*;
    use crate::growth::Growth;

    fn entry(index: u64) -> Vec<u8> {
        format!("entry-{index}").into_bytes()
    }

    fn grow(tiles: &mut Tiles, to: u64) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut emit = |file: TileFile| {
            files.insert(file.path, file.bytes);
            Ok::<_, Infallible>(())
        };
        for index in tiles.size()..to {
            tiles.push(&entry(index), &mut emit).unwrap();
        }
        files.extend(
            tiles
                .partials()
                .into_iter()
                .map(|file| (file.path, file.bytes)),
        );
        files
    }

    #[test]
    fn growing_hands_out_exactly_the_files_the_format_asks_for() {
        let mut tiles = Tiles::default();
        let mut written = BTreeMap::new();
        let mut old = 0;
        for new in [1, 2, 255, 256, 257, 700, 65_535, 65_536, 70_000] {
            let hashes = tiles_between(old, new).into_iter().map(|tile| tile.path());
            let bundles = entries_between(old, new)
                .into_iter()
                .map(|bundle| bundle.path());
            let expected: BTreeSet<String> = hashes.chain(bundles).collect();
            // A partial file that did not grow is handed out once more, as it was.
            let mut files = grow(&mut tiles, new);
            files.retain(|path, bytes| written.get(path) != Some(bytes));
            assert_eq!(
                files.keys().cloned().collect::<BTreeSet<_>>(),
                expected,
                "{old} to {new}"
            );
            written.extend(files);
            old = new;
        }
    }

    #[test]
    fn tiles_resume_from_their_partial_files_and_know_the_edge() {
        for size in [0, 1, 255, 256, 300, 65_536, 66_000] {
            let mut tiles = Tiles::default();
            grow(&mut tiles, size);
            let resumed = Tiles::resume(size, tiles.bundle.clone(), tiles.levels.clone()).unwrap();
            let leaves = (0..size).map(|index| leaf_hash(&entry(index)));
            let (_, edge) = Growth::of(RightEdge::new(), leaves);
            assert_eq!(resumed.edge(), Some(edge), "size {size}");
            assert_eq!(
                grow(&mut resumed.clone(), size + 300),
                grow(&mut tiles, size + 300)
            );
        }
    }

    #[test]
    fn partial_files_of_another_size_or_another_entry_are_refused() {
        let mut tiles = Tiles::default();
        grow(&mut tiles, 5);
        let (bundle, levels) = (tiles.bundle.clone(), tiles.levels.clone());
        assert!(Tiles::resume(4, bundle, levels.clone()).is_none());
        let mut other = EntryBundle::new();
        for index in 1..6 {
            other.push(&entry(index)).unwrap();
        }
        assert!(Tiles::resume(5, other, levels).is_none());
    }
}
