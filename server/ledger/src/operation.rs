//! Single operations on the disk, for tests that fail them, or lose what they did not make durable.
//!
//! A [`crate::Step`] is what a commit is made of; an operation is what the system is asked for.

use std::io;
use std::path::Path;
use std::sync::Arc;

/// What is asked of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    /// Folders are made, as far as they are not there.
    MakeFolder,
    /// A file is made, empty.
    Create,
    /// Bytes are written into a file.
    Write,
    /// A file is cut off.
    Cut,
    /// What was written to a file is made durable.
    SyncFile,
    /// The names in a folder are made durable.
    SyncFolder,
    /// Everything on the file system is made durable.
    SyncFileSystem,
    /// A file gets its final name, over whatever had it.
    Rename,
    /// A file or a folder is removed.
    Remove,
}

/// When a [`Watch`] is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// It is about to be done; an error is taken for the system's.
    Before,
    /// It is done; an error changes nothing any more.
    After,
}

/// One operation.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// What is asked for.
    pub act: Act,
    /// Of which file or folder; for a rename, its new name.
    pub path: &'a Path,
    /// Before or after it.
    pub moment: Moment,
}

/// Called before and after each operation that changes the disk.
pub type Watch = Arc<dyn Fn(Operation<'_>) -> io::Result<()> + Send + Sync>;
