//! Why a ledger does not start.

use std::path::PathBuf;

use dockmaster_tlog::checkpoint::CheckpointError;

use crate::disk::FileError;

/// Why a ledger does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process has it.
    #[error("the ledger in {} is in use by another process{holder}; stop that one first", dir.display())]
    InUse {
        /// The ledger's folder.
        dir: PathBuf,
        /// Which one, if it said so.
        holder: String,
    },
    /// There is one already.
    #[error("{} exists already; a ledger is never made over another", path.display())]
    Exists {
        /// What is in the way.
        path: PathBuf,
    },
    /// There is none.
    #[error("{} holds no write-ahead segment; make a new ledger or restore a backup", dir.display())]
    NotThere {
        /// The folder of the segments.
        dir: PathBuf,
    },
    /// A frame that others follow cannot be read.
    #[error("{} is damaged at byte {offset}; restore it from a backup", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the frame begins.
        offset: u64,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A frame does not continue the one before it.
    #[error(
        "{} has a gap at byte {offset}: entry {expected} should follow, not {found}; \
         restore the missing segment from a backup",
        path.display()
    )]
    Gap {
        /// The segment.
        path: PathBuf,
        /// Where the frame begins.
        offset: u64,
        /// The index that should come.
        expected: u64,
        /// The index that comes.
        found: u64,
    },
    /// The entries do not give the root that was signed for them.
    #[error(
        "the root at size {size} does not match {}; restore the ledger from a backup",
        path.display()
    )]
    Root {
        /// The file that holds the signed root.
        path: PathBuf,
        /// The size of the log there.
        size: u64,
    },
    /// A checkpoint is not signed by this ledger's key, or is none.
    #[error("the checkpoint in {} is not this ledger's; is log.key the right key?", path.display())]
    Checkpoint {
        /// The file that holds it.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// Published entries are missing from the write-ahead log.
    #[error(
        "{} is at size {published}, but the write-ahead log ends at {size}: its end is lost; \
         restore the ledger from a backup",
        path.display()
    )]
    LostEnd {
        /// The published checkpoint.
        path: PathBuf,
        /// Its size.
        published: u64,
        /// The size the frames end at.
        size: u64,
    },
    /// The files the write-ahead log continues are gone.
    #[error("{} is missing or damaged, and the log goes on from it; restore it", path.display())]
    Base {
        /// The file.
        path: PathBuf,
    },
}
