//! Which files a growing log writes.

use super::{EntriesId, MAX_TILE_LEVEL, TILE_HEIGHT, TILE_WIDTH, TileId};

/// Every hash tile that has to be written when a log grows from `old_size` to `new_size` entries: those
/// that become full on the way, and the partial ones of the new size. Lower levels first.
///
/// The result has about `(new_size - old_size) / 255` names, so grow in steps.
#[must_use]
pub fn tiles_between(old_size: u64, new_size: u64) -> Vec<TileId> {
    let mut tiles = Vec::new();
    for level in 0..=MAX_TILE_LEVEL {
        let height = u32::from(level) * u32::from(TILE_HEIGHT);
        let indexes = touched(old_size >> height, new_size >> height);
        tiles.extend(indexes.filter_map(|index| TileId::in_tree(level, index, new_size)));
    }
    tiles
}

/// Every entry bundle that has to be written when a log grows from `old_size` to `new_size` entries.
#[must_use]
pub fn entries_between(old_size: u64, new_size: u64) -> Vec<EntriesId> {
    touched(old_size, new_size)
        .filter_map(|index| EntriesId::in_tree(index, new_size))
        .collect()
}

/// Indexes of the tiles that hold members `old..new` of one level; none if nothing was added.
fn touched(old: u64, new: u64) -> impl Iterator<Item = u64> {
    let width = u64::from(TILE_WIDTH);
    let first = if old < new {
        old / width
    } else {
        new.div_ceil(width)
    };
    first..new.div_ceil(width)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn seventy_thousand_entries_need_the_worked_tiles() {
        let tiles = tiles_between(0, 70_000);
        let at = |level| tiles.iter().filter(move |tile| tile.level() == level);
        assert_eq!(at(0).filter(|tile| tile.width() == 256).count(), 273);
        assert_eq!(at(0).next_back().unwrap().path(), "tile/0/273.p/112");
        let above: Vec<_> = tiles
            .iter()
            .filter(|tile| tile.level() > 0)
            .map(TileId::path)
            .collect();
        assert_eq!(above, ["tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]);
        let bundles = entries_between(0, 70_000);
        assert_eq!(bundles.len(), 274);
        assert_eq!(bundles.last().unwrap().path(), "tile/entries/273.p/112");
    }

    #[test]
    fn nothing_is_written_when_nothing_grows() {
        assert_eq!(tiles_between(300, 300), []);
        assert_eq!(entries_between(300, 300), []);
        assert_eq!(entries_between(256, 256), []);
        assert_eq!(tiles_between(300, 299), []);
        assert_eq!(entries_between(600, 299), []);
    }

    #[test]
    fn a_tile_that_fills_up_brings_its_parent() {
        let paths = |old, new| {
            tiles_between(old, new)
                .iter()
                .map(TileId::path)
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(255, 256), ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(paths(256, 257), ["tile/0/001.p/1"]);
        assert_eq!(
            paths(65_535, 65_536),
            ["tile/0/255", "tile/1/000", "tile/2/000.p/1"],
        );
    }

    #[test]
    fn growing_in_steps_leaves_the_files_of_every_size() {
        let sizes = [
            0, 1, 3, 255, 256, 257, 511, 512, 700, 65_535, 65_536, 65_800, 131_072,
        ];
        let mut tiles = BTreeSet::new();
        let mut bundles = BTreeSet::new();
        for step in sizes.windows(2) {
            tiles.extend(tiles_between(step[0], step[1]));
            bundles.extend(entries_between(step[0], step[1]));
            // What a reader of exactly this size may ask for is there.
            assert!(
                tiles_between(0, step[1])
                    .iter()
                    .all(|tile| tiles.contains(tile)),
                "{step:?}"
            );
            assert!(
                entries_between(0, step[1])
                    .iter()
                    .all(|id| bundles.contains(id)),
                "{step:?}"
            );
        }
    }
}
