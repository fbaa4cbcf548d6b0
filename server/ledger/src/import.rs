//! A ledger made again from its entries, as a backup holds them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use dockmaster_tlog::checkpoint::{Checkpoint, CheckpointError};
use dockmaster_tlog::hash::Hash;

use crate::blobs::{BlobError, Blobs};
use crate::config::Config;
use crate::digest::{Digest, MAX_BLOB_BYTES};
use crate::disk::{Disk, FileError, Folders, fresh_folder};
use crate::error::OpenError;
use crate::frame::{Frame, MAX_ENTRY_BYTES};
use crate::lock::Lock;
use crate::publish::Public;
use crate::tiles::{TileFile, Tiles};
use crate::wal;

/// A ledger in the making. Until [`Self::finish`] returns there is none: it has no write-ahead log.
pub struct Import {
    config: Config,
    public: Public,
    blobs: Blobs,
    folders: Folders,
    tiles: Tiles,
    last: Vec<u8>,
    _lock: Lock,
}

/// Who signs the head of the imported log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedBy<'a> {
    /// The log's own key did: this is the checkpoint, and the log goes on.
    Itself(&'a str),
    /// The key in the configuration does, as a new log with the same entries.
    NewKey,
}

/// Why entries make no ledger.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No ledger can be made there.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A document cannot be stored.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// There is nothing to import.
    #[error("there are no entries")]
    Empty,
    /// An entry is longer than a log takes.
    #[error("entry {index} has {length} bytes; at most {MAX_ENTRY_BYTES} are taken")]
    TooLong {
        /// Its index.
        index: u64,
        /// Its length.
        length: usize,
    },
    /// The checkpoint is not this log's.
    #[error("the signed head is not one of this log's key")]
    Checkpoint(#[source] CheckpointError),
    /// The entries are not those that the head was signed for.
    #[error("the {size} entries do not give the root that is signed for {signed}")]
    Root {
        /// How many there are.
        size: u64,
        /// How many were signed.
        signed: u64,
    },
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import")
            .field("size", &self.tiles.size())
            .finish_non_exhaustive()
    }
}

impl Import {
    /// Begins to make a ledger where there is none.
    ///
    /// # Errors
    /// When there is one, or the disk refuses.
    pub fn begin(config: Config) -> Result<Self, ImportError> {
        let disk = Arc::new(Disk::new(&config));
        fs::create_dir_all(&config.dir).map_err(FileError::at("make the folder", &config.dir))?;
        let lock = Lock::take(&config.dir)?;
        for name in ["wal", "public"] {
            let path = config.dir.join(name);
            if path.exists() {
                return Err(OpenError::Exists { path }.into());
            }
        }
        let public = Public::of(&config, &disk);
        fresh_folder(&public.tmp)?;
        let blobs = Blobs::open(&config.blobs, disk, config.limits.pack_bytes)?;
        Ok(Self {
            folders: Folders::below(&public.root),
            config,
            public,
            blobs,
            tiles: Tiles::default(),
            last: Vec::new(),
            _lock: lock,
        })
    }

    /// Takes a document. Durable when [`Self::finish`] returns.
    ///
    /// # Errors
    /// When it is too long or the disk refuses.
    pub fn blob(&self, bytes: &[u8]) -> Result<Digest, ImportError> {
        check(bytes)?;
        Ok(self.blobs.put_unsynced(bytes)?)
    }

    /// Takes a small document that belongs into a pack, such as a certificate. Durable when
    /// [`Self::finish`] returns.
    ///
    /// # Errors
    /// When it is too long or the disk refuses.
    pub fn packed(&self, bytes: &[u8]) -> Result<Digest, ImportError> {
        check(bytes)?;
        let digest = Digest::of(bytes);
        self.blobs.settle(&[(digest, bytes.into())])?;
        Ok(digest)
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// When it is too long or the disk refuses.
    pub fn entry(&mut self, entry: &[u8]) -> Result<(), ImportError> {
        if entry.len() > MAX_ENTRY_BYTES {
            return Err(ImportError::TooLong {
                index: self.tiles.size(),
                length: entry.len(),
            });
        }
        let (public, folders) = (&self.public, &mut self.folders);
        self.tiles
            .push(entry, &mut |file| write(public, folders, &file))?;
        self.last.clear();
        self.last.extend_from_slice(entry);
        Ok(())
    }

    /// How many entries it has so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tiles.size()
    }

    /// The size and root of the entries so far.
    #[must_use]
    pub fn head(&self) -> (u64, Option<Hash>) {
        let edge = self.tiles.edge();
        (self.tiles.size(), edge.map(|edge| edge.root()))
    }

    /// Makes the ledger, when the entries are those that were signed. `ts_ms` is the time of the last
    /// entry: it goes on from there.
    ///
    /// # Errors
    /// When they are not, or the disk refuses.
    pub fn finish(mut self, signed: SignedBy<'_>, ts_ms: u64) -> Result<(), ImportError> {
        let (size, Some(root)) = self.head() else {
            return Err(ImportError::Empty);
        };
        let Some(old_size) = size.checked_sub(1) else {
            return Err(ImportError::Empty);
        };
        let checkpoint = self.checkpoint(signed, size, root)?;
        for file in self.tiles.partials() {
            write(&self.public, &mut self.folders, &file)?;
        }
        let (disk, tmp) = (self.public.disk.clone(), self.public.tmp.clone());
        self.folders.sync(&disk)?;
        // The documents were written without a sync each.
        self.blobs.sync_all()?;
        // The frame says with which checkpoint and time to go on; the entries before its own lie in
        // bundles. It comes last: without it there is no ledger.
        let frame = Frame {
            old_size,
            ts_ms,
            entries: vec![self.last.as_slice().into()],
            blobs: Vec::new(),
            root,
            checkpoint: checkpoint.as_str().into(),
        };
        let mut folders = Folders::below(&self.config.dir);
        let segment: PathBuf = self.config.dir.join("wal").join(wal::name(old_size));
        for (path, bytes) in [
            (self.public.checkpoint_path(), checkpoint.into_bytes()),
            (segment, frame.encode()),
        ] {
            disk.replace(&tmp, &path, &bytes, &mut folders)?;
        }
        folders.sync(&disk)?;
        Ok(())
    }

    fn checkpoint(
        &self,
        signed: SignedBy<'_>,
        size: u64,
        root: Hash,
    ) -> Result<String, ImportError> {
        let key = &self.config.key;
        let note = match signed {
            SignedBy::NewKey => {
                let origin = key.name().clone();
                return Ok(Checkpoint { origin, size, root }.sign(key));
            }
            SignedBy::Itself(note) => note,
        };
        let checkpoint = Checkpoint::open(note, key.verifier()).map_err(ImportError::Checkpoint)?;
        if (checkpoint.size, checkpoint.root) != (size, root) {
            let signed = checkpoint.size;
            return Err(ImportError::Root { size, signed });
        }
        Ok(note.to_owned())
    }
}

fn check(bytes: &[u8]) -> Result<(), BlobError> {
    if bytes.len() > MAX_BLOB_BYTES {
        return Err(BlobError::TooLong(bytes.len()));
    }
    Ok(())
}

fn write(public: &Public, folders: &mut Folders, file: &TileFile) -> Result<(), FileError> {
    public.replace(&public.root.join(&file.path), &file.bytes, folders)
}
