//! Reading the log: entries and proofs, from memory where they are fresh, from tiles otherwise.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use dockmaster_tlog::hash::Hash;
use dockmaster_tlog::proof::TlogProof;
use dockmaster_tlog::tile::{
    BundleError, EntriesId, EntryBundle, HashTile, TILE_WIDTH, TileError, TileId, node_location,
};
use dockmaster_tlog::tree::{HashSource, ProveError, consistency_proof, inclusion_proof};

use crate::disk::{FileError, read_if_there};
use crate::view::{Committed, Head, View};

/// Shows that the log at `old_size` is the beginning of the log the checkpoint names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The size that was asked about.
    pub old_size: u64,
    /// RFC 6962 section 2.1.2.
    pub hashes: Vec<Hash>,
    /// The newer head.
    pub head: Head,
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The index or size lies beyond the end.
    #[error("the log has no {asked} yet; it has {size} entries")]
    BeyondTheEnd {
        /// What was asked for.
        asked: u64,
        /// Entries in the log.
        size: u64,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of the log is gone.
    #[error("{} is missing; restore it, or run an audit of the whole log", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A hash tile has not the length its name gives it.
    #[error("{} is damaged; restore it, or run an audit of the whole log", path.display())]
    Tile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TileError,
    },
    /// An entry bundle cannot be taken apart.
    #[error("{} is damaged; restore it, or run an audit of the whole log", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BundleError,
    },
}

impl View {
    /// The entry, or `None` beyond the end of the log.
    pub(crate) fn entry(&self, index: u64) -> Result<Option<Committed>, ReadError> {
        match self.place(index) {
            Place::Beyond => Ok(None),
            Place::Memory(committed) => Ok(Some(committed)),
            Place::Bundle => {
                let bundle = self.bundle(index / u64::from(TILE_WIDTH))?;
                Ok(nth(&bundle, index))
            }
        }
    }

    /// Proves an entry in the newest committed head.
    pub(crate) fn inclusion_proof(&self, index: u64) -> Result<TlogProof, ReadError> {
        let Head { size, checkpoint } = self.committed();
        let nodes = Nodes {
            view: self,
            tiles: RefCell::default(),
        };
        let hashes = inclusion_proof(index, size, &nodes).map_err(flatten)?;
        Ok(TlogProof {
            index,
            hashes,
            checkpoint: checkpoint.to_string(),
        })
    }

    /// Proves an older size to be the beginning of the newest committed head.
    pub(crate) fn consistency_proof(&self, old_size: u64) -> Result<ConsistencyProof, ReadError> {
        let head = self.committed();
        let hashes = self.consistency_between(old_size, head.size)?;
        Ok(ConsistencyProof {
            old_size,
            hashes,
            head,
        })
    }

    /// Proves an older size to be the beginning of a newer one.
    pub(crate) fn consistency_between(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<Vec<Hash>, ReadError> {
        let size = self.committed().size;
        if new_size > size {
            let asked = new_size;
            return Err(ReadError::BeyondTheEnd { asked, size });
        }
        let nodes = Nodes {
            view: self,
            tiles: RefCell::default(),
        };
        consistency_proof(old_size, new_size, &nodes).map_err(flatten)
    }

    fn place(&self, index: u64) -> Place {
        let state = self.lock();
        if index >= state.committed.size {
            return Place::Beyond;
        }
        let Some(batch) = state.batch_of(index) else {
            return Place::Bundle;
        };
        let offset = (index - batch.growth.old_size()) as usize;
        batch
            .entries
            .get(offset)
            .cloned()
            .map_or(Place::Bundle, Place::Memory)
    }

    fn bundle(&self, index: u64) -> Result<EntryBundle, ReadError> {
        let (path, width, bytes) = self.published_file(|size| {
            EntriesId::in_tree(index, size).map(|id| (id.path(), id.width()))
        })?;
        EntryBundle::parse(&bytes, width).map_err(|source| ReadError::Bundle { path, source })
    }

    fn tile(&self, level: u8, index: u64) -> Result<HashTile, ReadError> {
        let (path, width, bytes) = self.published_file(|size| {
            TileId::in_tree(level, index, size).map(|id| (id.path(), id.width()))
        })?;
        HashTile::parse(&bytes, width).map_err(|source| ReadError::Tile { path, source })
    }

    /// Reads a file as it is named at the published size. A partial file may be superseded between
    /// the look at the size and the read; then the size has grown, and it is read anew.
    fn published_file(
        &self,
        name: impl Fn(u64) -> Option<(String, u16)>,
    ) -> Result<(PathBuf, u16, Vec<u8>), ReadError> {
        let mut size = self.lock().published.size;
        loop {
            let beyond = ReadError::BeyondTheEnd { asked: size, size };
            let (name, width) = name(size).ok_or(beyond)?;
            let path = self.public.join(name);
            if let Some(bytes) = read_if_there(&path)? {
                return Ok((path, width, bytes));
            }
            let grown = self.lock().published.size;
            if grown == size {
                return Err(ReadError::Missing { path });
            }
            size = grown;
        }
    }
}

/// Where an entry is.
enum Place {
    Memory(Committed),
    Bundle,
    Beyond,
}

fn nth(bundle: &EntryBundle, index: u64) -> Option<Committed> {
    let entry = bundle.get((index % u64::from(TILE_WIDTH)) as usize)?;
    Some(Committed {
        index,
        entry: entry.into(),
    })
}

/// The tree's nodes for one proof; reads each tile once.
struct Nodes<'a> {
    view: &'a View,
    tiles: RefCell<HashMap<(u8, u64), HashTile>>,
}

impl HashSource for Nodes<'_> {
    type Error = ReadError;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, ReadError> {
        // The leaf that completes the node tells which batch did, and whether it is in memory.
        let last = ((index + 1) << level) - 1;
        let fresh = {
            let mut state = self.view.lock();
            let pending = state
                .batch_of(last)
                .and_then(|batch| batch.growth.completed(level, index));
            pending.or_else(|| state.nodes.get(level, index))
        };
        if let Some(hash) = fresh {
            return Ok(hash);
        }
        let beyond = || ReadError::BeyondTheEnd {
            asked: last,
            size: self.view.committed().size,
        };
        let at = node_location(level, index).ok_or_else(beyond)?;
        let key = (at.tile_level, at.tile_index);
        if let Some(hash) = self
            .tiles
            .borrow()
            .get(&key)
            .and_then(|t| t.subtree(at.offset, at.height))
        {
            self.view.lock().nodes.keep(level, index, hash);
            return Ok(hash);
        }
        let tile = self.view.tile(at.tile_level, at.tile_index)?;
        let hash = tile.subtree(at.offset, at.height).ok_or_else(beyond)?;
        self.tiles.borrow_mut().insert(key, tile);
        self.view.lock().nodes.keep(level, index, hash);
        Ok(hash)
    }
}

fn flatten(error: ProveError<ReadError>) -> ReadError {
    match error {
        ProveError::Source(error) => error,
        ProveError::NoSuchLeaf { index, size } => ReadError::BeyondTheEnd { asked: index, size },
        ProveError::Shrinks { old, new } => ReadError::BeyondTheEnd {
            asked: old,
            size: new,
        },
        ProveError::TooLarge { size } => ReadError::BeyondTheEnd { asked: size, size },
    }
}

/// Entries in order; reads one bundle at a time. Ends at the range's end or at the log's.
pub struct Entries {
    view: Arc<View>,
    range: Range<u64>,
    bundle: Option<(u64, EntryBundle)>,
}

impl Entries {
    pub(crate) fn new(view: Arc<View>, range: Range<u64>) -> Self {
        Self {
            view,
            range,
            bundle: None,
        }
    }

    fn read(&mut self, index: u64) -> Result<Option<Committed>, ReadError> {
        let number = index / u64::from(TILE_WIDTH);
        if let Some((held, bundle)) = &self.bundle
            && *held == number
            && let Some(entry) = nth(bundle, index)
        {
            return Ok(Some(entry));
        }
        match self.view.place(index) {
            Place::Beyond => Ok(None),
            Place::Memory(committed) => Ok(Some(committed)),
            Place::Bundle => {
                let bundle = self.view.bundle(number)?;
                let entry = nth(&bundle, index);
                self.bundle = Some((number, bundle));
                Ok(entry)
            }
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Committed, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.range.next()?;
        let read = self.read(index).transpose();
        if !matches!(read, Some(Ok(_))) {
            // Nothing after a gap: whoever folds the log must not skip an entry.
            self.range.start = self.range.end;
        }
        read
    }
}
