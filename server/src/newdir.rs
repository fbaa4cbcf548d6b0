//! A data directory in the making: filled beside its place, and put there in one piece.
//!
//! Until [`NewDir::keep`] nothing that a master would start on lies at the place itself. What a
//! killed process leaves is a directory named `.new-…` or `.NAME.new-…` that nobody reads and that
//! stands in nobody's way; it may be deleted.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
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

/// A directory that is ours to fill. Dropped before [`Self::keep`], nothing of it is left.
#[derive(Debug)]
pub struct NewDir {
    /// Where it is filled.
    dir: DataDir,
    /// Where it goes.
    target: DataDir,
    place: Place,
}

/// Where a directory is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Beside a target that is not there yet: one rename makes it appear.
    Beside,
    /// In a target that is there and empty. It may be a mount point, or the parent may belong to
    /// another user, so that no rename can replace it.
    Inside,
}

/// What a name begins with that a process makes for itself, before its ID.
const NEW: &str = ".new-";
/// How many names are tried: processes in containers that share a disk may have the same ID.
const NAMES: usize = 1000;

impl NewDir {
    /// Claims a directory that is not there, or is empty.
    ///
    /// # Errors
    /// When something is in it, or nothing can be made there.
    pub fn claim(path: &Path) -> Result<Self, NewDirError> {
        let place = match fs::read_dir(path) {
            Ok(mut entries) => {
                // A listing that breaks off is no proof that nothing is there.
                let is_free = entries.all(|entry| entry.is_ok_and(|entry| is_left_over(&entry)));
                if !is_free {
                    return Err(NewDirError::Exists(path.to_owned()));
                }
                Place::Inside
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dirs(parent(path))?;
                Place::Beside
            }
            Err(source) => return Err(failed(path)(source)),
        };
        let new = Self {
            dir: DataDir::new(make_own(path, place)?),
            target: DataDir::new(path),
            place,
        };
        for path in [new.dir.ca(), new.dir.ledger(), new.dir.blobs()] {
            make_dirs(&path)?;
        }
        Ok(new)
    }

    /// Where it is filled.
    #[must_use]
    pub const fn dir(&self) -> &DataDir {
        &self.dir
    }

    /// Where it is when it is kept.
    #[must_use]
    pub const fn target(&self) -> &DataDir {
        &self.target
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

    /// It is complete: it goes where it belongs, and stays there over a power loss. Nobody may have
    /// a file of it open any more.
    ///
    /// # Errors
    /// When another process was faster, or the disk refuses.
    pub fn keep(self) -> Result<(), NewDirError> {
        let (from, to) = (self.dir.path(), self.target.path());
        sync_dirs(from).map_err(failed(from))?;
        match self.place {
            // Takes the place of nothing, or of an empty directory, and of nothing else.
            Place::Beside => fs::rename(from, to).map_err(taken(to))?,
            Place::Inside => self.move_up()?,
        }
        for path in [to, parent(to)] {
            File::open(path)
                .and_then(|dir| dir.sync_all())
                .map_err(failed(path))?;
        }
        Ok(())
    }

    /// Moves what is in it into the target. The first part is a directory with files in it, which no
    /// rename replaces: it decides between two processes. The last is the configuration, without
    /// which no master starts: a crash in between leaves nothing that one would serve.
    fn move_up(&self) -> Result<(), NewDirError> {
        let (from, to) = (self.dir.path(), self.target.path());
        let rank = |name: &OsString| match name.to_str() {
            Some("ca") => 0,
            Some("dockmaster.yaml") => 2,
            _ => 1,
        };
        let mut names: Vec<OsString> = fs::read_dir(from)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
            .map_err(failed(from))?;
        names.sort_by_key(rank);
        for (index, name) in names.iter().enumerate() {
            if let Err(source) = fs::rename(from.join(name), to.join(name)) {
                for moved in &names[..index] {
                    // Best effort: the error that led here says what went wrong first.
                    let _ = fs::rename(to.join(moved), from.join(moved));
                }
                return Err(taken(to)(source));
            }
        }
        Ok(())
    }
}

impl Drop for NewDir {
    fn drop(&mut self) {
        // Best effort: the error that led here says what went wrong first. Where it was kept, this
        // finds nothing, or the empty directory that its parts were in.
        let _ = fs::remove_dir_all(self.dir.path());
    }
}

/// Makes a directory that no other process has.
fn make_own(target: &Path, place: Place) -> Result<PathBuf, NewDirError> {
    let mut name = OsString::new();
    let parent = match place {
        Place::Inside => target,
        Place::Beside => {
            let Some(last) = target.file_name() else {
                return Err(failed(target)(io::ErrorKind::InvalidInput.into()));
            };
            name.push(".");
            name.push(last);
            parent(target)
        }
    };
    name.push(format!("{NEW}{}", process::id()));
    for attempt in 0..NAMES {
        let mut name = name.clone();
        if attempt > 0 {
            name.push(format!(".{attempt}"));
        }
        let path = parent.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed(&path)(source)),
        }
    }
    Err(failed(&parent.join(name))(
        io::ErrorKind::AlreadyExists.into(),
    ))
}

/// Whether it is what a process makes for itself, and may have left when it was killed.
fn is_left_over(entry: &fs::DirEntry) -> bool {
    entry
        .file_name()
        .as_encoded_bytes()
        .starts_with(NEW.as_bytes())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> NewDirError {
    let path = path.to_owned();
    move |source| NewDirError::Io {
        path: path.clone(),
        source,
    }
}

/// The error of a rename to a place where something may have come to be.
fn taken(path: &Path) -> impl Fn(io::Error) -> NewDirError {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty};
    let path = path.to_owned();
    move |source| match source.kind() {
        AlreadyExists | DirectoryNotEmpty => NewDirError::Exists(path.clone()),
        _ => failed(&path)(source),
    }
}

/// Makes the names in a directory and below it survive a power loss; files are synced when written.
fn sync_dirs(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_dirs(&entry.path())?;
        }
    }
    File::open(dir)?.sync_all()
}

fn make_dirs(path: &Path) -> Result<(), NewDirError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target that is not there and one that is there and empty.
    fn targets(parent: &Path) -> [PathBuf; 2] {
        let there = parent.join("there");
        fs::create_dir(&there).unwrap();
        [parent.join("absent"), there]
    }

    fn filled(target: &Path, text: &str) -> NewDir {
        let new = NewDir::claim(target).unwrap();
        for path in [new.dir().config(), new.dir().bundle()] {
            new.write(&path, text.as_bytes(), Readers::Owner).unwrap();
        }
        new
    }

    fn count(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn nothing_is_at_its_place_before_it_is_complete_and_nothing_is_left_where_it_never_is() {
        let parent = tempfile::tempdir().unwrap();
        for target in targets(parent.path()) {
            let existed = target.exists();
            let new = filled(&target, "x");
            assert!(!new.target().config().exists());
            drop(new);
            assert_eq!(target.exists(), existed);
        }
        assert_eq!(count(&parent.path().join("there")), 0);
        assert_eq!(count(parent.path()), 1);
    }

    #[test]
    fn what_is_complete_is_at_its_place_and_nowhere_else() {
        let parent = tempfile::tempdir().unwrap();
        for target in targets(parent.path()) {
            let new = filled(&target, "x");
            let kept = new.target().clone();
            new.keep().unwrap();
            assert_eq!(fs::read(kept.config()).unwrap(), b"x");
            // ca, ledger, blobs and the configuration.
            assert_eq!(count(&target), 4);
        }
        assert_eq!(count(parent.path()), 2);
    }

    #[test]
    fn of_two_at_once_one_is_kept_whole_and_the_other_is_told_so() {
        let parent = tempfile::tempdir().unwrap();
        for target in targets(parent.path()) {
            let (first, second) = (filled(&target, "first"), filled(&target, "second"));
            second.keep().unwrap();
            let error = first.keep().unwrap_err();
            assert!(matches!(error, NewDirError::Exists(_)), "{error}");
            let dir = DataDir::new(&target);
            for path in [dir.config(), dir.bundle()] {
                assert_eq!(fs::read(path).unwrap(), b"second");
            }
            assert_eq!(count(&target), 4);
        }
        assert_eq!(count(parent.path()), 2);
    }

    #[test]
    fn what_a_killed_process_left_is_in_nobodys_way() {
        let parent = tempfile::tempdir().unwrap();
        for target in targets(parent.path()) {
            // Never dropped, as when the process is killed.
            std::mem::forget(filled(&target, "killed"));
            filled(&target, "next").keep().unwrap();
            let kept = DataDir::new(&target);
            assert_eq!(fs::read(kept.config()).unwrap(), b"next");
        }
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
