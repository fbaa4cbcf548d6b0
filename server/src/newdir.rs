//! A data directory in the making: claimed, filled, and taken away again when that fails half-way.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::datadir::{DataDir, Readers};

/// Why a data directory cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NewDirError {
    /// Something is there already.
    #[error("{path} exists and is not empty; choose another directory: an installation is never overwritten", path = .0.display())]
    Exists(PathBuf),
    /// A file operation failed.
    #[error("{path} cannot be made", path = .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A directory that is ours to fill. Dropped before [`Self::keep`], it is as it was before.
#[derive(Debug)]
pub struct NewDir {
    dir: DataDir,
    was_there: bool,
    is_kept: bool,
}

impl NewDir {
    /// Claims a directory that is not there, or is empty.
    ///
    /// # Errors
    /// When something is in it, or it cannot be made.
    pub fn claim(path: &Path) -> Result<Self, NewDirError> {
        let was_there = match fs::read_dir(path) {
            Ok(mut entries) => match entries.next() {
                Some(_) => return Err(NewDirError::Exists(path.to_owned())),
                None => true,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dir(path)?;
                false
            }
            Err(source) => {
                let path = path.to_owned();
                return Err(NewDirError::Io { path, source });
            }
        };
        let new = Self {
            dir: DataDir::new(path),
            was_there,
            is_kept: false,
        };
        for path in [new.dir.ca(), new.dir.ledger(), new.dir.blobs()] {
            make_dir(&path)?;
        }
        Ok(new)
    }

    /// Its paths.
    #[must_use]
    pub const fn dir(&self) -> &DataDir {
        &self.dir
    }

    /// Writes a file that is not there yet; durable when it returns.
    ///
    /// # Errors
    /// When it is there, or the disk refuses.
    pub fn write(&self, path: &Path, bytes: &[u8], readers: Readers) -> Result<(), NewDirError> {
        let mode = match readers {
            Readers::Everybody => 0o644,
            Readers::Owner => 0o600,
        };
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            });
        written.map_err(|source| NewDirError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// It is complete.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for NewDir {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // Best effort: the error that led here says what went wrong first.
        let _ = fs::remove_dir_all(self.dir.path());
        if self.was_there {
            let _ = make_dir(self.dir.path());
        }
    }
}

fn make_dir(path: &Path) -> Result<(), NewDirError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| NewDirError::Io {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_completed_is_taken_away_again() {
        let parent = tempfile::tempdir().unwrap();
        let there = parent.path().join("there");
        fs::create_dir(&there).unwrap();
        for path in [there.clone(), parent.path().join("a/b")] {
            let existed = path.exists();
            let new = NewDir::claim(&path).unwrap();
            new.write(&new.dir().config(), b"x", Readers::Owner)
                .unwrap();
            drop(new);
            assert_eq!(path.exists(), existed);
        }
        assert_eq!(fs::read_dir(&there).unwrap().count(), 0);
    }

    #[test]
    fn what_is_in_use_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine"), b"x").unwrap();
        let error = NewDir::claim(dir.path()).unwrap_err();
        assert!(matches!(error, NewDirError::Exists(_)), "{error}");
        assert!(dir.path().join("mine").exists());
    }
}
