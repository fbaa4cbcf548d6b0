//! What a ledger needs to be told.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dockmaster_tlog::note::SigningKey;

use crate::operation::Watch;

/// The time in Unix milliseconds. The ledger makes it strictly increasing.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Called before each [`Step`]; an error fails the step. For tests of what a crash, a full disk
/// or a failed sync means at each of them.
pub type Probe = Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>;

/// Where the ledger lies, who signs it, and how large its parts may grow.
#[derive(Clone)]
pub struct Config {
    /// The ledger's own folder; `wal/` and `public/` are made in it.
    pub dir: PathBuf,
    /// Folder of the content-addressed documents.
    pub blobs: PathBuf,
    /// Signs the checkpoints; its name is the log's origin.
    pub key: Arc<SigningKey>,
    /// Where the entries' times come from.
    pub clock: Clock,
    /// Sizes; the default suits a master.
    pub limits: Limits,
    /// Nothing, outside tests.
    pub probe: Option<Probe>,
    /// Nothing, outside tests.
    pub watch: Option<Watch>,
    /// Ends the process after a failed sync; the default logs and aborts.
    pub fatal: fn(&str) -> !,
}

impl Config {
    /// The usual limits, no probe, abort on a failed sync.
    #[must_use]
    pub fn new(dir: PathBuf, blobs: PathBuf, key: SigningKey, clock: Clock) -> Self {
        let key = Arc::new(key);
        Self {
            dir,
            blobs,
            key,
            clock,
            limits: Limits::default(),
            probe: None,
            watch: None,
            fatal: abort,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            dir,
            blobs,
            key,
            clock: _,
            limits,
            probe: _,
            watch: _,
            fatal: _,
        } = self;
        f.debug_struct("Config")
            .field("dir", dir)
            .field("blobs", blobs)
            .field("key", key)
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}

/// How large the parts may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of one batch, at most 256.
    pub batch_entries: usize,
    /// Bytes of entries and blobs after which a batch takes no further proposal.
    pub batch_bytes: usize,
    /// Bytes after which a write-ahead segment is followed by the next.
    pub segment_bytes: u64,
    /// Bytes after which a pack of small documents is followed by the next.
    pub pack_bytes: u64,
    /// Bytes that may be committed and not yet published before commits wait for the publisher.
    pub backlog_bytes: usize,
    /// Proposals that may wait at once; further callers wait before they queue.
    pub queue: usize,
    /// How far apart publications begin at least: what is committed meanwhile goes together, so that
    /// under load the files are not written for each commit. After a quiet time one begins at once.
    pub publish_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_entries: crate::frame::MAX_ENTRIES,
            batch_bytes: 1 << 20,
            segment_bytes: 64 << 20,
            pack_bytes: 32 << 20,
            backlog_bytes: 64 << 20,
            queue: 4096,
            publish_every: Duration::from_millis(50),
        }
    }
}

/// The steps of a commit, in their order, each named as it is about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The frame goes to the write-ahead segment.
    Append,
    /// The segment is synced: the commit point.
    Sync,
    /// The sink applies the entries and the answers are released.
    Answer,
    /// Blobs, entry bundles and hash tiles go to their files.
    Tiles,
    /// The checkpoint is replaced.
    Checkpoint,
    /// The sink persists the entries.
    Persist,
    /// Segments that are no longer needed are removed.
    Drop,
}

fn abort(why: &str) -> ! {
    tracing::error!("{why}");
    std::process::abort()
}
