//! The log cut into immutable files, after c2sp.org/tlog-tiles.
//!
//! A hash tile at tile level L holds up to 256 neighbouring hashes, each the root of a perfect subtree
//! of 256^L leaves; an entry bundle holds the up to 256 entries under one tile of level 0. Full ones
//! never change; a partial one has its width in its name, so it never changes either.

mod bundle;
mod hashes;
mod id;
mod path;
mod plan;
mod source;

pub use bundle::{BundleError, EntryBundle, MAX_ENTRY_BYTES};
pub use hashes::{HashTile, TileError};
pub use id::{EntriesId, IdError, TileId};
pub use plan::{entries_between, tiles_between};
pub use source::{NodeLocation, SourceError, TileReader, TileSource, node_location};

/// Tree levels in one tile.
pub const TILE_HEIGHT: u8 = 8;

/// Hashes in a full tile, and entries in a full bundle: 2^8.
pub const TILE_WIDTH: u16 = 256;

/// Highest tile level a log can reach: 256^8 leaves are more than a size can count.
pub const MAX_TILE_LEVEL: u8 = 7;
