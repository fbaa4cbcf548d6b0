//! Tiles: which there are, what is in them, and what is read from them.

use std::collections::HashMap;

use dockmaster_tlog::tile::{
    EntriesId, HashTile, TileId, TileReader, TileSource, entries_between, tiles_between,
};
use dockmaster_tlog::tree::{
    HashSource, consistency_proof, inclusion_proof, root, verify_inclusion,
};
use proptest::prelude::*;
use tlog_tiles::tlog;
use tlog_tiles::{Tile, TileHashReader};

use crate::others::{ALL_SIZES, LARGE_SIZES, Stored, all_theirs, corners, theirs};

/// All that names a tile: level, index, width.
type Coordinates = (u8, u64, u32);

fn of_ours(tile: &TileId) -> Coordinates {
    (tile.level(), tile.index(), u32::from(tile.width()))
}

fn of_theirs(tile: &Tile) -> Coordinates {
    (tile.level(), tile.level_index(), tile.width())
}

fn same_names(old: u64, new: u64) {
    let tiles: Vec<_> = tiles_between(old, new).iter().map(of_ours).collect();
    let other = Tile::new_tiles(8, old, new);
    let other: Vec<_> = other.iter().map(of_theirs).collect();
    assert_eq!(tiles, other, "{old} to {new}");
    // A bundle holds the entries under a tile of the lowest level, and is written with it.
    let lowest = tiles.iter().filter(|(level, ..)| *level == 0);
    let lowest: Vec<_> = lowest.map(|(_, index, width)| (*index, *width)).collect();
    let bundles = entries_between(old, new);
    let named = |it: &EntriesId| (it.index(), u32::from(it.width()));
    let bundles: Vec<_> = bundles.iter().map(named).collect();
    assert_eq!(bundles, lowest, "{old} to {new}");
}

/// The files of a log at one size, in memory, for readers of both kinds.
struct Files(HashMap<Coordinates, Vec<u8>>);

impl Files {
    /// Our tiles; each is what theirs is.
    fn of(log: &Stored, size: u64) -> Self {
        let tiles = tiles_between(0, size);
        Self(tiles.iter().map(|tile| Self::one(log, tile)).collect())
    }

    fn one(log: &Stored, tile: &TileId) -> (Coordinates, Vec<u8>) {
        let Ok(hashes) = HashTile::collect(*tile, log);
        let bytes = hashes.encode();
        let (level, index, width) = of_ours(tile);
        let other = Tile::new(8, level, index, width, false).read_data(log);
        assert_eq!(bytes, other.unwrap(), "{tile}");
        ((level, index, width), bytes)
    }
}

impl TileReader for Files {
    type Error = &'static str;

    fn read_tile(&self, tile: TileId) -> Result<Vec<u8>, Self::Error> {
        self.0.get(&of_ours(&tile)).cloned().ok_or("no such tile")
    }
}

impl tlog_tiles::TileReader for Files {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let read = |tile| self.0.get(&of_theirs(tile)).cloned();
        tiles
            .iter()
            .map(|tile| read(tile).ok_or(tlog::Error::BadMath))
            .collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// Roots and proofs from tiles are those from all hashes, whoever reads the tiles.
fn same_from_tiles(log: &Stored, size: u64, files: &Files, spots: impl Iterator<Item = u64>) {
    let source = TileSource::new(files, size);
    let whole = root(size, &source).unwrap();
    assert_eq!(whole, root(size, log).unwrap(), "size {size}");
    let other = TileHashReader::new(size, theirs(&whole), files);
    for spot in spots {
        if spot < size {
            let proof = inclusion_proof(spot, size, &source).unwrap();
            assert_eq!(proof, inclusion_proof(spot, size, log).unwrap());
            let proved = tlog::prove_record(size, spot, &other).unwrap();
            assert_eq!(all_theirs(&proof), proved, "{spot} in {size}");
        }
        if (1..size).contains(&spot) {
            let proof = consistency_proof(spot, size, &source).unwrap();
            assert_eq!(proof, consistency_proof(spot, size, log).unwrap());
            let proved = tlog::prove_tree(size, spot, &other).unwrap();
            assert_eq!(all_theirs(&proof), proved, "{spot} to {size}");
        }
    }
}

impl TileReader for &Files {
    type Error = &'static str;

    fn read_tile(&self, tile: TileId) -> Result<Vec<u8>, Self::Error> {
        (*self).read_tile(tile)
    }
}

#[test]
fn between_any_two_small_sizes_the_same_tiles_are_written() {
    for new in 0..=ALL_SIZES {
        for old in 0..=new {
            same_names(old, new);
        }
    }
}

#[test]
fn between_any_two_corners_of_a_large_log_the_same_tiles_are_written() {
    for new in LARGE_SIZES {
        for old in corners(new).filter(|old| *old <= new) {
            same_names(old, new);
        }
    }
}

/// Grows a log through these sizes, and looks at each.
fn same_at(log: &Stored, sizes: impl Iterator<Item = u64>, spots: impl Fn(u64) -> Vec<u64>) {
    // Full tiles are the same at every size, so that only what is new has to be made.
    let (mut files, mut old) = (Files(HashMap::new()), 0);
    for size in sizes {
        let new = tiles_between(old, size);
        files.0.extend(new.iter().map(|tile| Files::one(log, tile)));
        same_from_tiles(log, size, &files, spots(size).into_iter());
        old = size;
    }
}

#[test]
fn the_tiles_of_every_small_size_have_the_same_bytes_and_prove_the_same() {
    let log = Stored::of(ALL_SIZES);
    same_at(&log, 1..=ALL_SIZES, |size| vec![size / 2, size - 1]);
}

#[test]
fn the_tiles_of_a_large_log_have_the_same_bytes_and_prove_the_same() {
    let sizes = LARGE_SIZES.into_iter();
    same_at(Stored::large(), sizes, |size| corners(size).collect());
}

proptest! {
    #[test]
    fn a_growing_log_writes_the_same_tiles(old in 0_u64..200_000, grown in 0_u64..70_000) {
        same_names(old, old + grown);
    }

    #[test]
    fn a_changed_bit_of_a_tile_leads_to_no_proof_and_not_to_the_root(
        size in 1..ALL_SIZES, at: prop::sample::Index, tile: prop::sample::Index, bit in 0..8_u32,
    ) {
        let log = Stored::large();
        let mut files = Files::of(log, size);
        let whole = root(size, log).unwrap();
        let mut names: Vec<_> = files.0.keys().copied().collect();
        names.sort_unstable();
        let (level, tile, _) = *tile.get(&names);
        let name = names.into_iter().find(|name| (name.0, name.1) == (level, tile)).unwrap();
        let bytes = files.0.get_mut(&name).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let source = TileSource::new(&files, size);
        if level > 0 {
            // In a tree this small every hash of the upper level is under the root itself.
            prop_assert_ne!(root(size, &source).unwrap(), whole);
            return Ok(());
        }
        let index = (tile << 8) + (at / 32) as u64;
        let leaf = source.hash(0, index).unwrap();
        let proof = inclusion_proof(index, size, &source).unwrap();
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &whole).is_err());
        // Their reader leaves some tiles unchecked; what is proved from them is worth no more.
        let other = TileHashReader::new(size, theirs(&whole), &files);
        let verdict = tlog::prove_record(size, index, &other).and_then(|proof| {
            tlog::check_record(&proof, size, theirs(&whole), index, theirs(&leaf))
        });
        prop_assert!(verdict.is_err());
    }
}
