//! The growing files at the size where the write-ahead log begins, from what `public/` holds.

use std::fs;
use std::path::{Path, PathBuf};

use dockmaster_tlog::tile::{EntriesId, EntryBundle, HashTile, MAX_TILE_LEVEL, TILE_WIDTH, TileId};

use crate::disk::{FileError, read_if_there};
use crate::error::OpenError;
use crate::publish::Round;
use crate::tiles::Tiles;

/// From the partial files, or from later files of the same tile that begin with the same content.
/// `None` if one is missing or does not fit.
pub(crate) fn from_tiles(public: &Path, size: u64) -> Result<Option<Tiles>, FileError> {
    let width = u64::from(TILE_WIDTH);
    let mut levels = Vec::new();
    for level in 0..=MAX_TILE_LEVEL {
        let nodes = size >> (8 * u32::from(level));
        if nodes == 0 {
            break;
        }
        let tile = match TileId::new(level, nodes / width, (nodes % width) as u16) {
            Ok(id) => hash_tile(public, id)?,
            // Width 0: the tile is yet to begin.
            Err(_) => Some(HashTile::new()),
        };
        let Some(tile) = tile else {
            return Ok(None);
        };
        levels.push(tile);
    }
    let Some(bundle) = last_bundle(public, size)? else {
        return Ok(None);
    };
    Ok(Tiles::resume(size, bundle, levels))
}

/// From all entries, writing every hash tile anew. For a ledger whose tiles were lost.
pub(crate) fn from_entries(
    public: &Path,
    size: u64,
    round: &mut Round<'_>,
) -> Result<Tiles, OpenError> {
    let mut tiles = Tiles::default();
    while tiles.size() < size {
        let id = EntriesId::in_tree(tiles.size() / u64::from(TILE_WIDTH), size);
        let path = public.join(id.map(|id| id.path()).unwrap_or_default());
        let bundle = match id {
            Some(id) if id.width() < TILE_WIDTH => last_bundle(public, size)?,
            Some(_) => {
                read_if_there(&path)?.and_then(|bytes| EntryBundle::parse(&bytes, TILE_WIDTH).ok())
            }
            None => None,
        };
        let bundle = bundle.ok_or(OpenError::Base { path })?;
        for entry in bundle.iter() {
            tiles.push(entry, &mut |file| round.write(&file))?;
        }
    }
    Ok(tiles)
}

fn hash_tile(public: &Path, id: TileId) -> Result<Option<HashTile>, FileError> {
    let read = |bytes: &[u8]| HashTile::parse(bytes.get(..id.byte_len())?, id.width()).ok();
    Ok(candidates(&public.join(id.path()), id.width())?
        .iter()
        .find_map(|file| {
            // An unreadable candidate is no better than none.
            read(&fs::read(file).ok()?)
        }))
}

fn last_bundle(public: &Path, size: u64) -> Result<Option<EntryBundle>, FileError> {
    let width = size % u64::from(TILE_WIDTH);
    let Ok(id) = EntriesId::new(size / u64::from(TILE_WIDTH), width as u16) else {
        return Ok(Some(EntryBundle::new()));
    };
    let files = candidates(&public.join(id.path()), id.width())?;
    Ok(files
        .iter()
        .find_map(|file| first_entries(&fs::read(file).ok()?, id.width())))
}

/// The first entries of a bundle that may have more.
fn first_entries(bytes: &[u8], width: u16) -> Option<EntryBundle> {
    let mut bundle = EntryBundle::new();
    let mut rest = bytes;
    for _ in 0..width {
        let (length, tail) = rest.split_first_chunk()?;
        let (entry, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        bundle.push(entry).ok()?;
        rest = tail;
    }
    Some(bundle)
}

/// The partial file itself, then the full one, then wider partial ones.
fn candidates(partial: &Path, width: u16) -> Result<Vec<PathBuf>, FileError> {
    let mut found = vec![partial.to_owned()];
    let Some(folder) = partial.parent() else {
        return Ok(found);
    };
    found.push(folder.with_extension(""));
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(FileError::at("list", folder)(error)),
    };
    for file in files {
        let file = file.map_err(FileError::at("list", folder))?;
        let other = file
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u16>().ok());
        if other.is_some_and(|other| other > width) {
            found.push(file.path());
        }
    }
    Ok(found)
}
