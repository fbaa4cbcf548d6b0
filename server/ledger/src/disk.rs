//! The few ways in which this crate touches the disk: one file replaced whole, one folder synced,
//! and what happens when a sync fails.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::{Config, Probe, Step};
use crate::operation::{Act, Moment, Operation, Watch};

/// A file operation that failed: what, on which file, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// On which file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// Turns an I/O error into one that names the file.
    pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            action,
            path,
            source,
        }
    }

    /// Whether room is what is missing, so that freeing some is the remedy.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(
            self.source.kind(),
            StorageFull | QuotaExceeded | FileTooLarge
        )
    }
}

/// Writes files, and is the one place where a failed sync is handled.
pub(crate) struct Disk {
    probe: Option<Probe>,
    watch: Option<Watch>,
    fatal: fn(&str) -> !,
    serial: AtomicU64,
}

impl Disk {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            probe: config.probe.clone(),
            watch: config.watch.clone(),
            fatal: config.fatal,
            serial: AtomicU64::new(0),
        }
    }

    /// Tells a test where we are; the test may fail the step or end the process.
    pub(crate) fn step(&self, step: Step) -> io::Result<()> {
        self.probe.as_ref().map_or(Ok(()), |probe| probe(step))
    }

    /// Asks the system for one operation, and tells a test before and after.
    pub(crate) fn run<T>(
        &self,
        act: Act,
        path: &Path,
        operation: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(watch) = &self.watch else {
            return operation();
        };
        let told = |moment| watch(Operation { act, path, moment });
        told(Moment::Before)?;
        let done = operation()?;
        // It is done, whatever is said now.
        let _ = told(Moment::After);
        Ok(done)
    }

    /// Stops the process: what is on disk is no longer what memory believes.
    pub(crate) fn fatal(&self, why: &str) -> ! {
        (self.fatal)(why)
    }

    /// The sync that commits.
    ///
    /// A failed sync is never retried: the kernel may have dropped the pages it could not write
    /// and would report the second sync as a success.
    pub(crate) fn commit_sync(&self, file: &File, path: &Path) {
        let sync = || self.run(Act::SyncFile, path, || file.sync_data());
        let synced = self.step(Step::Sync).and_then(|()| sync());
        self.must(synced, path);
    }

    pub(crate) fn sync_file(&self, file: &File, path: &Path) {
        self.must(self.run(Act::SyncFile, path, || file.sync_all()), path);
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), FileError> {
        let folder = File::open(path).map_err(FileError::at("open", path))?;
        let synced = self.run(Act::SyncFolder, path, || folder.sync_all());
        self.must(synced, path);
        Ok(())
    }

    /// Makes everything on the file system of `folder` durable.
    pub(crate) fn sync_file_system(&self, folder: &Path) -> Result<(), FileError> {
        let file = File::open(folder).map_err(FileError::at("open", folder))?;
        let sync = || rustix::fs::syncfs(&file).map_err(io::Error::from);
        self.must(self.run(Act::SyncFileSystem, folder, sync), folder);
        Ok(())
    }

    fn must(&self, synced: io::Result<()>, path: &Path) {
        if let Err(error) = synced {
            let path = path.display();
            self.fatal(&format!(
                "sync of {path} failed: {error}; stopping before it does harm"
            ));
        }
    }

    /// Gives `target` the content `bytes`, durably, wholly or not at all. The folder is noted in `folders`
    /// for the caller to sync.
    pub(crate) fn replace(
        &self,
        tmp: &Path,
        target: &Path,
        bytes: &[u8],
        folders: &mut Folders,
    ) -> Result<(), FileError> {
        self.make_parents(target, folders)?;
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let temporary = tmp.join(format!("{serial}.tmp"));
        let written = self.write_then_rename(&temporary, target, bytes);
        if written.is_err() {
            // A full disk should not also fill with halves; a leftover goes at the next start.
            let remove = || fs::remove_file(&temporary);
            let _ = self.run(Act::Remove, &temporary, remove);
        }
        written
    }

    fn write_then_rename(
        &self,
        temporary: &Path,
        target: &Path,
        bytes: &[u8],
    ) -> Result<(), FileError> {
        let file = self.run(Act::Create, temporary, || File::create(temporary));
        let mut file = file.map_err(FileError::at("create", temporary))?;
        self.run(Act::Write, temporary, || file.write_all(bytes))
            .map_err(FileError::at("write", temporary))?;
        self.sync_file(&file, temporary);
        self.run(Act::Rename, target, || fs::rename(temporary, target))
            .map_err(FileError::at("rename a new file to", target))
    }

    fn make_parents(&self, target: &Path, folders: &mut Folders) -> Result<(), FileError> {
        let Some(parent) = target.parent().filter(|parent| !parent.is_dir()) else {
            return folders.make_parents(target);
        };
        let made = self.run(Act::MakeFolder, parent, || fs::create_dir_all(parent));
        made.map_err(FileError::at("make the folder", parent))?;
        folders.make_parents(target)
    }
}

/// The folders below one root that must be synced before a step is done.
pub(crate) struct Folders {
    root: PathBuf,
    touched: BTreeSet<PathBuf>,
}

impl Folders {
    pub(crate) fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            touched: BTreeSet::new(),
        }
    }

    /// Makes the folders that lead to `target` and notes all of them. Those that exist are noted
    /// too: an earlier life of the process may have died between making and syncing them.
    pub(crate) fn make_parents(&mut self, target: &Path) -> Result<(), FileError> {
        let Some(parent) = target.parent() else {
            return Ok(());
        };
        if self.touched.contains(parent) {
            return Ok(());
        }
        fs::create_dir_all(parent).map_err(FileError::at("make the folder", parent))?;
        let chain = parent.ancestors().take_while(|f| f.starts_with(&self.root));
        self.touched.extend(chain.map(Path::to_owned));
        Ok(())
    }

    /// Syncs all of them.
    pub(crate) fn sync(self, disk: &Disk) -> Result<(), FileError> {
        self.touched
            .iter()
            .try_for_each(|folder| disk.sync_folder(folder))
    }
}

/// Makes an empty folder for temporary files, or empties the one that is there.
pub(crate) fn fresh_folder(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::at("empty", path)(error));
        }
        _ => {}
    }
    fs::create_dir_all(path).map_err(FileError::at("make the folder", path))
}

/// The file's content, or `None` if there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::at("read", path)(error)),
    }
}
