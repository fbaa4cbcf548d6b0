//! Opening an index, or making room for a new one.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use dockmaster_proto::error::chain;

use super::{Index, keys, overlay::Overlay};

/// The version of the keys and values; another version in the file means: make it again.
const FORMAT: u64 = 12;

/// sled takes up to three times of this.
const CACHE_BYTES: u64 = 32 << 20;

/// Why the index cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A file operation failed.
    #[error("the index at {path} cannot be used", path = .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk is full. No reason to think ill of the index, and least of all to delete it.
    #[error("there is no room for the index at {path}; make some on that disk, and it goes on", path = .path.display())]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// What sled said.
        source: sled::Error,
    },
    /// sled failed.
    #[error("the index cannot be used")]
    Sled(#[from] sled::Error),
    /// A value is not what this version writes.
    #[error(
        "the index has an unreadable value under {key:?}; stop the master, delete index.sled and start it again"
    )]
    Value {
        /// The key.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl IndexError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl Index {
    /// Opens the index, or makes an empty one where there is none, where it is unreadable or of
    /// another format, or where it has taken up more than the `log_size` entries that exist.
    ///
    /// # Errors
    /// When no index can be made at the path.
    pub fn open(path: &Path, log_size: u64) -> Result<Self, IndexError> {
        if path.exists() {
            match usable(path, log_size) {
                Ok(index) => return Ok(index),
                Err(Unusable::Now(error)) => return Err(error),
                Err(Unusable::Damaged(reason)) => {
                    tracing::warn!(path = %path.display(), %reason, "the index cannot be used; it is made again from the ledger");
                    std::fs::remove_dir_all(path).map_err(|e| IndexError::io(path, e))?;
                }
            }
        }
        let index = Self::open_sled(path)?;
        let mut overlay = Overlay::new(&index.db);
        overlay.put(keys::FORMAT, &FORMAT);
        overlay.put(keys::APPLIED, &0u64);
        overlay.commit()?;
        Ok(index)
    }

    fn open_sled(path: &Path) -> Result<Self, IndexError> {
        let db = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(1000))
            .open()
            .map_err(|error| opening(path, error))?;
        Ok(Self {
            db,
            path: path.to_owned(),
        })
    }
}

fn opening(path: &Path, source: sled::Error) -> IndexError {
    let is_full = matches!(&source, sled::Error::Io(error)
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded));
    if is_full {
        let path = path.to_owned();
        return IndexError::NoSpace { path, source };
    }
    IndexError::Sled(source)
}

/// Why an index that is there does not serve.
enum Unusable {
    /// It is not what it should be, and is made again.
    Damaged(String),
    /// It may be good; something else is wrong.
    Now(IndexError),
}

fn usable(path: &Path, log_size: u64) -> Result<Index, Unusable> {
    // sled 0.34 panics on some damaged files instead of returning an error.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let index = Index::open_sled(path)?;
        let format: Option<u64> = Overlay::new(&index.db).get(keys::FORMAT)?;
        let applied: Option<u64> = Overlay::new(&index.db).get(keys::APPLIED)?;
        Ok::<_, IndexError>((index, format, applied))
    }));
    let damaged = |why: String| Err(Unusable::Damaged(why));
    match opened {
        Err(_) => damaged("sled panicked while it opened it".to_owned()),
        Ok(Err(error @ IndexError::NoSpace { .. })) => Err(Unusable::Now(error)),
        Ok(Err(error)) => damaged(chain(&error)),
        Ok(Ok((_, Some(format), _))) if format != FORMAT => damaged(format!(
            "it has format {format}, this version writes {FORMAT}"
        )),
        Ok(Ok((index, Some(_), Some(applied)))) if applied <= log_size => Ok(index),
        Ok(Ok((_, Some(_), Some(applied)))) => damaged(format!(
            "it has taken up {applied} entries and the ledger has {log_size}"
        )),
        Ok(Ok(_)) => damaged("it is empty".to_owned()),
    }
}
