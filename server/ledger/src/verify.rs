//! The whole published log, verified from its files alone, as anybody could.

use std::path::{Path, PathBuf};

use dockmaster_tlog::checkpoint::{Checkpoint, CheckpointError};
use dockmaster_tlog::note::VerifierKey;
use dockmaster_tlog::tile::{EntriesId, EntryBundle, TILE_WIDTH};

use crate::disk::{FileError, read_if_there};
use crate::tiles::{TileFile, Tiles};

/// Why the published log does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that the checkpoint needs is not there.
    #[error("{} is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The checkpoint is not signed by the key.
    #[error("{} cannot be trusted", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// A file does not hold what the entries give.
    #[error("{} does not match the entries", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
    },
    /// The entries do not give the signed root.
    #[error("the entries do not give the root that is signed for size {size}")]
    Root {
        /// Size of the log.
        size: u64,
    },
}

/// Reads every bundle, recomputes every tile and the root, and compares. Gives each entry to
/// `visit` before the root is known to match.
///
/// # Errors
/// On the first file that is missing or wrong.
pub fn public(
    root: &Path,
    key: &VerifierKey,
    mut visit: impl FnMut(u64, &[u8]),
) -> Result<Checkpoint, VerifyError> {
    let path = root.join("checkpoint");
    let note = read(&path)?;
    let opened = Checkpoint::open(&String::from_utf8_lossy(&note), key);
    let checkpoint = opened.map_err(|source| VerifyError::Checkpoint { path, source })?;
    let size = checkpoint.size;
    let mut same = |file: TileFile| {
        let path = root.join(file.path);
        if read(&path)? == file.bytes {
            Ok(())
        } else {
            Err(VerifyError::Differs { path })
        }
    };
    let mut tiles = Tiles::default();
    while let Some(id) = EntriesId::in_tree(tiles.size() / u64::from(TILE_WIDTH), size) {
        let path = root.join(id.path());
        let bundle = EntryBundle::parse(&read(&path)?, id.width());
        let bundle = bundle.map_err(|_| VerifyError::Differs { path })?;
        for entry in bundle.iter() {
            visit(tiles.size(), entry);
            tiles.push(entry, &mut same)?;
        }
        if tiles.size() == size {
            break;
        }
    }
    tiles.partials().into_iter().try_for_each(&mut same)?;
    match tiles.edge() {
        Some(edge) if edge.root() == checkpoint.root => Ok(checkpoint),
        _ => Err(VerifyError::Root { size }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, VerifyError> {
    read_if_there(path)?.ok_or_else(|| VerifyError::Missing {
        path: path.to_owned(),
    })
}
