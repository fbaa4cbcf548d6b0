//! The log as readers see it: what is committed, what is published, and what lies between.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use dockmaster_tlog::hash::Hash;

use crate::blobs::Blobs;
use crate::digest::Digest;
use crate::growth::Growth;
use crate::nodes::RecentNodes;

/// One committed entry.
///
/// Its time is inside it, where its author put the [`crate::Stamp`]; the ledger reads no entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Place in the log, from 0.
    pub index: u64,
    /// The very bytes that were hashed.
    pub entry: Arc<[u8]>,
}

/// A head of the log: how many entries, and the signed checkpoint that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub size: u64,
    /// The signed note.
    pub checkpoint: Arc<str>,
}

/// How the ledger does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Commits are taken and published.
    Healthy,
    /// There is no room for the write-ahead log; commits fail until there is. Reads go on.
    Full {
        /// What the system said about which file.
        why: String,
    },
    /// Commits are taken, but tiles, checkpoint or index are not written; it is tried again.
    Stalled {
        /// What the system said about which file.
        why: String,
    },
    /// The ledger was shut down.
    Closed,
}

/// The entries of one frame after its sync, in memory until they are published and persisted.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) growth: Growth,
    pub(crate) root: Hash,
    pub(crate) entries: Vec<Committed>,
    pub(crate) blobs: Vec<(Digest, Arc<[u8]>)>,
    pub(crate) checkpoint: Arc<str>,
    /// Name of the write-ahead segment: its first index.
    pub(crate) segment: u64,
    /// Bytes it keeps in memory, about.
    pub(crate) weight: usize,
}

impl Batch {
    pub(crate) fn head(&self) -> Head {
        Head {
            size: self.growth.new_size(),
            checkpoint: self.checkpoint.clone(),
        }
    }
}

/// What writer, publisher and readers share.
pub(crate) struct View {
    /// The folder anybody may serve.
    pub(crate) public: PathBuf,
    pub(crate) blobs: Blobs,
    state: Mutex<State>,
    room: Condvar,
}

/// Behind the lock; every critical section is short and touches no disk.
pub(crate) struct State {
    /// Committed and not yet published, oldest first; from `published` to `committed` without gap.
    pub(crate) pending: VecDeque<Arc<Batch>>,
    pub(crate) committed: Head,
    pub(crate) published: Head,
    /// Nodes of what is published, to be had without reading a tile.
    pub(crate) nodes: RecentNodes,
    /// Weight of what the publisher has not finished with.
    backlog: usize,
    full: Option<String>,
    stalled: Option<String>,
    closed: bool,
}

impl View {
    /// All that is committed is published: so it is after recovery.
    pub(crate) fn new(public: PathBuf, blobs: Blobs, head: Head) -> Self {
        let state = State {
            pending: VecDeque::new(),
            committed: head.clone(),
            published: head,
            nodes: RecentNodes::default(),
            backlog: 0,
            full: None,
            stalled: None,
            closed: false,
        };
        Self {
            public,
            blobs,
            state: Mutex::new(state),
            room: Condvar::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panicking holder leaves the state whole: no section stops half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn committed(&self) -> Head {
        self.lock().committed.clone()
    }

    pub(crate) fn published(&self) -> Head {
        self.lock().published.clone()
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.lock();
        match (&state.full, &state.stalled) {
            _ if state.closed => Status::Closed,
            (Some(why), _) => Status::Full { why: why.clone() },
            (None, Some(why)) => Status::Stalled { why: why.clone() },
            (None, None) => Status::Healthy,
        }
    }

    /// The writer has synced a frame.
    pub(crate) fn commit(&self, batch: &Arc<Batch>) {
        for (digest, bytes) in &batch.blobs {
            self.blobs.ride(*digest, bytes.clone());
        }
        let mut state = self.lock();
        state.committed = batch.head();
        state.backlog += batch.weight;
        state.full = None;
        state.pending.push_back(batch.clone());
    }

    /// Tiles and checkpoint up to `head` are on disk.
    pub(crate) fn publish(&self, head: Head) {
        let mut state = self.lock();
        let done = |batch: &Arc<Batch>| batch.growth.new_size() <= head.size;
        let done = state.pending.partition_point(done);
        let State { pending, nodes, .. } = &mut *state;
        for batch in pending.drain(..done) {
            for (level, index, hash) in batch.growth.all_completed() {
                nodes.keep(level, index, hash);
            }
        }
        state.published = head;
    }

    /// The publisher is through with batches of this weight.
    pub(crate) fn settle(&self, weight: usize) {
        let mut state = self.lock();
        state.backlog = state.backlog.saturating_sub(weight);
        self.room.notify_all();
    }

    pub(crate) fn set_full(&self, why: Option<String>) {
        self.lock().full = why;
    }

    pub(crate) fn set_stalled(&self, why: String) {
        self.lock().stalled = Some(why);
        self.room.notify_all();
    }

    pub(crate) fn clear_stalled(&self) {
        self.lock().stalled = None;
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_all();
    }

    /// Waits while more than `limit` bytes are to be published.
    ///
    /// # Errors
    /// With the reason, when the publisher gets nowhere.
    pub(crate) fn wait_for_room(&self, limit: usize) -> Result<(), String> {
        let mut state = self.lock();
        while state.backlog > limit {
            if let Some(why) = &state.stalled {
                return Err(why.clone());
            }
            if state.closed {
                return Err("the publisher is gone".to_owned());
            }
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

impl State {
    /// The pending batch that brought leaf `index`.
    pub(crate) fn batch_of(&self, index: u64) -> Option<&Arc<Batch>> {
        let after = self
            .pending
            .partition_point(|batch| batch.growth.new_size() <= index);
        self.pending
            .get(after)
            .filter(|batch| batch.growth.old_size() <= index)
    }
}
