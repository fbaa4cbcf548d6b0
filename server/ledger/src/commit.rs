//! What goes into a commit and what comes out.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use dockmaster_tlog::hash::Hash;
use dockmaster_tlog::proof::TlogProof;
use dockmaster_tlog::tree::inclusion_proof;

use crate::disk::FileError;
use crate::frame::{MAX_BLOBS, MAX_ENTRIES, MAX_ENTRY_BYTES};
use crate::view::{Batch, Committed, Head};

/// The most bytes of documents that ride with one proposal; larger ones go by
/// [`crate::Blobs::put`] first.
pub const MAX_RIDING_BYTES: usize = 1 << 20;

/// Place and time of an entry that is about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Place in the log.
    pub index: u64,
    /// Unix milliseconds; larger than that of every entry before.
    pub ts_ms: u64,
}

/// Writes an entry once its place and time are known; at most 65 535 bytes. Runs on the writer's
/// thread, so it only formats.
pub type Draft = Box<dyn FnOnce(Stamp) -> Vec<u8> + Send>;

/// Entries that are committed together or not at all.
#[derive(Default)]
pub struct Proposal {
    /// The entries, in order; 1 to 256.
    pub drafts: Vec<Draft>,
    /// Small documents that the entries name by digest. They are as durable as the entries.
    pub blobs: Vec<Vec<u8>>,
}

impl Proposal {
    /// One entry, no documents.
    #[must_use]
    pub fn of(draft: impl FnOnce(Stamp) -> Vec<u8> + Send + 'static) -> Self {
        Self {
            drafts: vec![Box::new(draft)],
            blobs: Vec::new(),
        }
    }

    /// Refuses what no batch could take.
    pub(crate) fn check(&self) -> Result<(), CommitError> {
        let blobs: usize = self.blobs.iter().map(Vec::len).sum();
        match self.drafts.len() {
            0 => Err(CommitError::Empty),
            count if count > MAX_ENTRIES => Err(CommitError::TooManyEntries { count }),
            _ if blobs > MAX_RIDING_BYTES || self.blobs.len() > MAX_BLOBS => {
                Err(CommitError::TooManyBlobs {
                    count: self.blobs.len(),
                    bytes: blobs,
                })
            }
            _ => Ok(()),
        }
    }
}

/// Follows the log.
///
/// Both methods get every entry once and in order: `apply` batch by batch, `persist` several batches
/// at a time. `persist` lags behind and may run at the same time, on another thread.
pub trait Sink: Send + Sync + 'static {
    /// Brings memory up to date. Runs after the sync and before any answer leaves: touch no disk.
    fn apply(&self, batch: &[Committed]);

    /// Brings the index on disk up to date. Runs once tiles and checkpoint are published; entries
    /// may be given again after an error or a crash, so it must be harmless to repeat.
    ///
    /// # Errors
    /// Whatever keeps the index from being written; it is tried again after a while.
    fn persist(&self, entries: &[Committed]) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Proof that a proposal is durable.
#[derive(Debug, Clone)]
pub struct Receipt {
    batch: Arc<Batch>,
    range: Range<usize>,
    stamps: Vec<Stamp>,
}

impl Receipt {
    pub(crate) fn new(batch: Arc<Batch>, range: Range<usize>, stamps: Vec<Stamp>) -> Self {
        Self {
            batch,
            range,
            stamps,
        }
    }

    /// The committed entries, in the order of the drafts.
    #[must_use]
    pub fn entries(&self) -> &[Committed] {
        &self.batch.entries[self.range.clone()]
    }

    /// Places and times, in the order of the drafts.
    #[must_use]
    pub fn stamps(&self) -> &[Stamp] {
        &self.stamps
    }

    /// The head that the entries were committed with.
    #[must_use]
    pub fn head(&self) -> Head {
        self.batch.head()
    }

    /// The root that [`Self::head`] signs.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.batch.root
    }

    /// Proves draft `i` to be in [`Self::head`]; `None` if there was no such draft. Reads nothing
    /// from disk.
    #[must_use]
    pub fn proof(&self, i: usize) -> Option<TlogProof> {
        let index = self.entries().get(i)?.index;
        let growth = &self.batch.growth;
        let hashes = inclusion_proof(index, growth.new_size(), growth).ok()?;
        Some(TlogProof {
            index,
            hashes,
            checkpoint: self.batch.checkpoint.to_string(),
        })
    }
}

/// Why nothing was committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// No draft.
    #[error("a proposal needs at least one entry")]
    Empty,
    /// More drafts than one frame holds.
    #[error("a proposal of {count} entries is too large; at most {MAX_ENTRIES} go together")]
    TooManyEntries {
        /// How many there were.
        count: usize,
    },
    /// More documents than ride in a frame.
    #[error("{count} documents of {bytes} bytes are too many to ride along; put them first")]
    TooManyBlobs {
        /// How many there were.
        count: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// A draft wrote too much.
    #[error("an entry of {bytes} bytes is too long; at most {MAX_ENTRY_BYTES} are taken")]
    EntryTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The disk is full; the next commit tries again.
    #[error("the ledger has no room; free some on its file system")]
    NoSpace(#[source] Arc<FileError>),
    /// The disk refused for another reason.
    #[error("the ledger cannot be written")]
    File(#[source] Arc<FileError>),
    /// So much is unpublished that no more is taken.
    #[error("the ledger is behind with publishing and takes no more: {why}")]
    Stalled {
        /// What keeps the publisher.
        why: String,
    },
    /// The ledger was shut down. If it stopped while the proposal waited, the entries may be there.
    #[error("the ledger is closed")]
    Closed,
}
