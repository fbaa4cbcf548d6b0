//! Documents named by the SHA-256 of their content: sites, classifications, policies, each a file; and
//! DER certificates, many to a pack.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::{Digest, MAX_BLOB_BYTES};
use crate::disk::{Disk, FileError, Folders, fresh_folder, read_if_there};
use crate::operation::Act;
use crate::packs::{Found, Packs};

/// The documents. Clones share one store.
///
/// A file under its final name is synced. A document in a pack is either synced or also held by a
/// retained write-ahead frame: that is what lets small documents ride in the commit's frame and reach
/// their pack without a sync each. A segment is dropped only after the packs were synced.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    root: PathBuf,
    tmp: PathBuf,
    disk: Arc<Disk>,
    packs: Packs,
    /// Committed in a frame, not yet in a pack.
    riding: Mutex<HashMap<Digest, Arc<[u8]>>>,
}

/// Why a document could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The document is longer than [`MAX_BLOB_BYTES`].
    #[error("a document of {0} bytes is too long; at most {MAX_BLOB_BYTES} are taken")]
    TooLong(usize),
    /// The content of the file does not match its name.
    #[error(
        "{} is damaged: document {digest} in it is not whole; put that document, as a backup has it, at {}",
        path.display(), mend.display()
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// The document's name.
        digest: Digest,
        /// Where the document is looked for first.
        mend: PathBuf,
    },
}

impl Blobs {
    pub(crate) fn open(root: &Path, disk: Arc<Disk>, pack_bytes: u64) -> Result<Self, FileError> {
        let tmp = root.join("tmp");
        fresh_folder(&tmp)?;
        // It may have been made just now, or by a life that died before this.
        let parent = root.parent().filter(|it| !it.as_os_str().is_empty());
        parent.map_or(Ok(()), |parent| disk.sync_folder(parent))?;
        let root = root.to_owned();
        let packs = Packs::open(root.join("packs"), tmp.clone(), disk.clone(), pack_bytes)?;
        Ok(Self(Arc::new(Inner {
            root,
            packs,
            tmp,
            disk,
            riding: Mutex::default(),
        })))
    }

    /// Stores a document; when this returns it survives a crash. Blocks on the disk.
    ///
    /// A document that an entry names is put before that entry is committed: a crash between the
    /// two leaves a document that nobody names.
    ///
    /// # Errors
    /// When the document is too long or the disk refuses.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        if bytes.len() > MAX_BLOB_BYTES {
            return Err(BlobError::TooLong(bytes.len()));
        }
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        let mut folders = Folders::below(&self.0.root);
        if read_if_there(&path)?.as_deref() == Some(bytes) {
            folders.make_parents(&path)?;
        } else {
            let Inner { disk, tmp, .. } = &*self.0;
            disk.replace(tmp, &path, bytes, &mut folders)?;
        }
        folders.sync(&self.0.disk)?;
        Ok(digest)
    }

    /// The document of this name, checked against it. Blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, BlobError> {
        if let Some(bytes) = self.riding(digest) {
            return Ok(Some(bytes.to_vec()));
        }
        let path = self.path(digest);
        let damaged = match read_if_there(&path)? {
            Some(bytes) if Digest::of(&bytes) == *digest => return Ok(Some(bytes)),
            Some(_) => Some(path),
            None => None,
        };
        match (self.0.packs.get(digest)?, damaged) {
            (Found::Whole(bytes), _) => Ok(Some(bytes)),
            (Found::Damaged(path), _) | (Found::Nowhere, Some(path)) => Err(BlobError::Damaged {
                path,
                digest: *digest,
                mend: self.path(digest),
            }),
            (Found::Nowhere, None) => Ok(None),
        }
    }

    /// Whether there is a document of this name; its content is not looked at.
    ///
    /// # Errors
    /// When the file system cannot tell.
    pub fn contains(&self, digest: &Digest) -> Result<bool, BlobError> {
        if self.riding(digest).is_some() {
            return Ok(true);
        }
        let path = self.path(digest);
        let is_file = path
            .try_exists()
            .map_err(FileError::at("look for", &path))?;
        Ok(is_file || self.0.packs.contains(digest)?)
    }

    /// Answers for a document that a committed frame holds until [`Self::settle`] packed it.
    pub(crate) fn ride(&self, digest: Digest, bytes: Arc<[u8]>) {
        self.lock().insert(digest, bytes);
    }

    /// Packs documents that retained frames hold. What a crash leaves of them is for
    /// [`Self::settle_again`]; until they are whole, memory answers for them.
    pub(crate) fn settle(&self, documents: &[(Digest, Arc<[u8]>)]) -> Result<(), FileError> {
        let packed = documents.iter().map(|(digest, bytes)| (digest, &**bytes));
        self.0.packs.append(packed)?;
        let mut riding = self.lock();
        for (digest, _) in documents {
            riding.remove(digest);
        }
        Ok(())
    }

    /// Packs a retained frame's documents: an earlier life may have come as far as that, or not, and what
    /// it left may be whole in the system's memory alone.
    pub(crate) fn settle_again(&self, documents: &[Arc<[u8]>]) -> Result<(), FileError> {
        let mut missing = Vec::new();
        for document in documents {
            let digest = Digest::of(document);
            // What cannot be read is written anew.
            if !self.0.packs.rewrite(&digest, document).unwrap_or(false) {
                missing.push((digest, document.clone()));
            }
        }
        match self.settle(&missing) {
            // A pack that cannot be written to is followed by the next.
            Err(error) if !error.is_no_space() => self.settle(&missing),
            settled => settled,
        }
    }

    /// Writes the file of a document, unsynced.
    pub(crate) fn put_unsynced(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        if read_if_there(&path)?.as_deref() != Some(bytes) {
            let mut folders = Folders::below(&self.0.root);
            folders.make_parents(&path)?;
            let write = || fs::write(&path, bytes);
            let written = self.0.disk.run(Act::Write, &path, write);
            written.map_err(FileError::at("write", &path))?;
        }
        Ok(digest)
    }

    /// Makes again what can be: the indexes of packs. Gives those that were not what they should be.
    pub(crate) fn repair(&self) -> Result<Vec<PathBuf>, FileError> {
        self.0.packs.repair()
    }

    /// Makes every settled document durable, so that frames may go.
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        self.0.packs.sync()
    }

    /// The same, and with it what [`Self::put_unsynced`] wrote.
    pub(crate) fn sync_all(&self) -> Result<(), FileError> {
        self.0.packs.sync()?;
        self.0.disk.sync_file_system(&self.0.root)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        let (folder, file) = name.split_at(2);
        self.0.root.join(folder).join(file)
    }

    fn riding(&self, digest: &Digest) -> Option<Arc<[u8]>> {
        self.lock().get(digest).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<[u8]>>> {
        self.0.riding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blobs").field(&self.0.root).finish()
    }
}
