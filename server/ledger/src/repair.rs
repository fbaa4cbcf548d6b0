//! Mending what can be made again: everything below `public/` but the entries themselves.
//!
//! An ordinary start looks only at the right edge of the log, so that it takes no longer as the log
//! grows. This reads all of it: each entry bundle, each hash tile, and the root that they give.

use std::fs;
use std::path::PathBuf;

use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::tile::{EntriesId, EntryBundle, TILE_WIDTH};

use crate::config::Config;
use crate::disk::{Disk, FileError, Folders, read_if_there};
use crate::error::OpenError;
use crate::ledger::{Ledger, Opened};
use crate::publish::Public;
use crate::tiles::{TileFile, Tiles};

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Entries in the log.
    pub size: u64,
    /// Files that were missing or damaged and were made again.
    pub rewritten: Vec<PathBuf>,
    /// Where an unreadable checkpoint was put.
    pub set_aside: Option<PathBuf>,
}

/// Why a ledger cannot be repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Entries are gone that nothing else holds.
    #[error(
        "{} is missing or damaged, and its entries are nowhere else; copy it from a backup or from \
         whoever mirrors the log, and repair again",
        path.display()
    )]
    Entries {
        /// The bundle.
        path: PathBuf,
    },
    /// The entries are not those that were signed.
    #[error(
        "the entries do not give the root that is signed for size {size}: one of the bundles below {} \
         was changed; compare them with a backup",
        path.display()
    )]
    Root {
        /// The folder of the bundles.
        path: PathBuf,
        /// Size of the log.
        size: u64,
    },
}

/// Opens a ledger that nobody else has open, and makes again what can be: hash tiles, partial files,
/// the checkpoint, the indexes of packs.
///
/// # Errors
/// When it does not open for another reason, or entries are lost.
pub fn repair(config: Config) -> Result<(Opened, Repair), RepairError> {
    let public = Public::of(&config, &std::sync::Arc::new(Disk::new(&config)));
    let set_aside = set_checkpoint_aside(&config, &public)?;
    let opened = Ledger::open(config)?;
    let mut rewritten = opened.blobs().repair()?;
    // The tiles that recovery wrote are right already; these are those before them.
    let tiles = rebuild(&public, opened.size(), &mut rewritten)?;
    let signed = opened.root();
    if tiles.edge().map(|edge| edge.root()) != Some(signed) {
        return Err(RepairError::Root {
            path: public.root.join("tile/entries"),
            size: opened.size(),
        });
    }
    let repair = Repair {
        size: opened.size(),
        rewritten,
        set_aside,
    };
    Ok((opened, repair))
}

/// A checkpoint that cannot be read says nothing, and the newest frame holds a copy of it. One that can
/// be read is evidence and stays, whatever it says.
fn set_checkpoint_aside(config: &Config, public: &Public) -> Result<Option<PathBuf>, RepairError> {
    let path = public.checkpoint_path();
    let Some(bytes) = read_if_there(&path)? else {
        return Ok(None);
    };
    let readable = std::str::from_utf8(&bytes)
        .is_ok_and(|note| Checkpoint::open(note, config.key.verifier()).is_ok());
    if readable {
        return Ok(None);
    }
    let aside = config.dir.join("checkpoint.damaged");
    fs::rename(&path, &aside).map_err(FileError::at("set aside", &path))?;
    Ok(Some(aside))
}

fn rebuild(public: &Public, size: u64, rewritten: &mut Vec<PathBuf>) -> Result<Tiles, RepairError> {
    let mut folders = Folders::below(&public.root);
    let mut write = |file: TileFile| {
        let path = public.root.join(&file.path);
        if read_if_there(&path)?.as_deref() != Some(&file.bytes) {
            public.replace(&path, &file.bytes, &mut folders)?;
            rewritten.push(path);
        }
        Ok::<_, FileError>(())
    };
    let mut tiles = Tiles::default();
    while tiles.size() < size {
        let Some(id) = EntriesId::in_tree(tiles.size() / u64::from(TILE_WIDTH), size) else {
            break;
        };
        let path = public.root.join(id.path());
        let bundle = read_if_there(&path)?
            .and_then(|bytes| EntryBundle::parse(&bytes, id.width()).ok())
            .ok_or(RepairError::Entries { path })?;
        for entry in bundle.iter() {
            tiles.push(entry, &mut write)?;
        }
    }
    tiles.partials().into_iter().try_for_each(&mut write)?;
    folders.sync(&public.disk)?;
    Ok(tiles)
}
