//! A data directory in the making: claimed, filled, and taken away again when that fails half-way.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
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

/// A data directory in the making, beside the place where it will be: until [`Self::keep`] there is
/// none, so nobody starts a master on half of one, and what is in the place is never touched. What a
/// killed process leaves beside it does no harm.
#[derive(Debug)]
pub struct NewDir {
    dir: DataDir,
    target: PathBuf,
    is_kept: bool,
}

impl NewDir {
    /// Makes room beside a directory that is not there, or is empty.
    ///
    /// # Errors
    /// When something is in it, or nothing can be made beside it.
    pub fn claim(target: &Path) -> Result<Self, NewDirError> {
        match fs::read_dir(target) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(NewDirError::Exists(target.to_owned()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(NewDirError::io(target)(source)),
        }
        let aside = aside(target);
        // Of a process with our number that is long gone.
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(NewDirError::io(&aside))?;
        }
        make_dir(&aside)?;
        let new = Self {
            dir: DataDir::new(aside),
            target: target.to_owned(),
            is_kept: false,
        };
        for path in [new.dir.ca(), new.dir.ledger(), new.dir.blobs()] {
            make_dir(&path)?;
        }
        Ok(new)
    }

    /// Its paths while it is being made.
    #[must_use]
    pub const fn dir(&self) -> &DataDir {
        &self.dir
    }

    /// Its paths once it is kept.
    #[must_use]
    pub fn target(&self) -> DataDir {
        DataDir::new(&self.target)
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

    /// It is complete: puts it in its place, in one step.
    ///
    /// # Errors
    /// When something is there by now, or the disk refuses.
    pub fn keep(mut self) -> Result<(), NewDirError> {
        let path = self.dir.path();
        for folder in [self.dir.ca(), self.dir.ledger(), path.to_owned()] {
            sync(&folder)?;
        }
        fs::rename(path, &self.target).map_err(|source| match source.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                NewDirError::Exists(self.target.clone())
            }
            _ => NewDirError::io(&self.target)(source),
        })?;
        self.is_kept = true;
        match parent(&self.target) {
            Some(parent) => sync(parent),
            None => Ok(()),
        }
    }
}

impl NewDirError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

impl Drop for NewDir {
    fn drop(&mut self) {
        if !self.is_kept {
            // Best effort: the error that led here says what went wrong first.
            let _ = fs::remove_dir_all(self.dir.path());
        }
    }
}

/// A hidden neighbour, another one for each process.
fn aside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let aside = format!(".{name}.new-{}", std::process::id());
    match parent(target) {
        Some(parent) => parent.join(aside),
        None => aside.into(),
    }
}

fn parent(path: &Path) -> Option<&Path> {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
}

fn sync(folder: &Path) -> Result<(), NewDirError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(NewDirError::io(folder))
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
    fn what_was_not_completed_is_nowhere() {
        let parent = tempfile::tempdir().unwrap();
        let there = parent.path().join("there");
        fs::create_dir(&there).unwrap();
        for path in [there.clone(), parent.path().join("a/b")] {
            let existed = path.exists();
            let new = NewDir::claim(&path).unwrap();
            new.write(&new.dir().config(), b"x", Readers::Owner)
                .unwrap();
            assert_eq!(path.exists(), existed, "nothing is there before all is");
            drop(new);
            assert_eq!(path.exists(), existed);
        }
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2);
        assert_eq!(fs::read_dir(&there).unwrap().count(), 0);
    }

    #[test]
    fn what_was_completed_is_in_its_place_and_stays_there() {
        let parent = tempfile::tempdir().unwrap();
        let place = parent.path().join("data");
        let make = |text: &[u8]| {
            let new = NewDir::claim(&place).unwrap();
            let file = new.dir().config();
            new.write(&file, text, Readers::Owner).unwrap();
            new
        };
        let first = make(b"first");
        first.keep().unwrap();
        let text = || fs::read(place.join("dockmaster.yaml")).unwrap();
        assert_eq!(text(), b"first");
        let error = NewDir::claim(&place).unwrap_err();
        assert!(matches!(error, NewDirError::Exists(_)), "{error}");
        // One that began when nothing was there.
        fs::rename(&place, parent.path().join("away")).unwrap();
        let late = make(b"late");
        fs::rename(parent.path().join("away"), &place).unwrap();
        let error = late.keep().unwrap_err();
        assert!(matches!(error, NewDirError::Exists(_)), "{error}");
        assert_eq!(text(), b"first");
    }
}
