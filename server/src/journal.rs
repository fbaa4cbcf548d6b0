//! The master's way to the ledger: events in, durable and taken up by the view when it returns.

use std::{
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use dockmaster_ledger::{CommitError, Committed, Draft, Ledger, Proposal, Receipt, Sink};
use dockmaster_proto::{
    event::{ENTRY_VERSION, Entry, Event},
    id::Name,
    time::UnixMs,
};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, watch};

use crate::{index::Index, state::State};

/// Who caused a change, and by which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// A SPIFFE path such as `/operator/ada`, or `anyone@IP`.
    pub actor: String,
    /// The request's ID.
    pub request_id: String,
}

/// The view, shared by everything that reads it.
#[derive(Debug, Clone)]
pub struct SharedState(Arc<RwLock<State>>);

impl SharedState {
    /// Shares a view.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self(Arc::new(RwLock::new(state)))
    }

    /// The view; do not hold it across an `await`.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        // A panic while the view was being changed would have aborted the writer thread's process.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The only writer of durable state that the rest of the master knows.
#[derive(Debug, Clone)]
pub struct Journal {
    ledger: Ledger,
    master: Name,
    state: SharedState,
    progress: Progress,
    /// See [`Journal::share_leases`].
    leases: Arc<tokio::sync::RwLock<()>>,
}

/// How far the projections are.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The entries that the view has taken up.
    pub applied: watch::Receiver<u64>,
    /// The view's [`State::generation`].
    pub generation: watch::Receiver<u64>,
    /// The view's [`State::request_generation`].
    pub requests: watch::Receiver<u64>,
    /// The entries that the index has taken up.
    pub indexed: watch::Receiver<u64>,
}

/// How long a question waits for the index to catch up with what was committed before it.
const SETTLE: Duration = Duration::from_secs(5);
/// How long a change of leases waits for its turn. A full disk may keep another in its turn.
const TURN: Duration = Duration::from_secs(5);

impl Journal {
    /// A journal over a running ledger whose sink is the other half, [`Projector`].
    #[must_use]
    pub fn new(ledger: Ledger, master: Name, state: SharedState, progress: Progress) -> Self {
        Self {
            ledger,
            master,
            state,
            progress,
            leases: Arc::default(),
        }
    }

    /// The turn of those who change leases from decision to commit and never touch the same ones:
    /// the keepers of hosts.
    pub(crate) async fn share_leases(&self) -> OwnedRwLockReadGuard<()> {
        self.leases.clone().read_owned().await
    }

    /// The turn of one who may change any lease, from decision to commit. None when it does not come.
    pub(crate) async fn claim_leases(&self) -> Option<OwnedRwLockWriteGuard<()>> {
        let turn = self.leases.clone().write_owned();
        tokio::time::timeout(TURN, turn).await.ok()
    }

    /// The view.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    /// Suspends containers whose change is about to be committed, or ends that: see
    /// [`State::is_suspended`].
    pub(crate) fn change_suspension(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.0.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// The ledger, for reading.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Tells of each change of the view: the number of entries that it has taken up.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.progress.applied.clone()
    }

    /// Tells of each change of the view that a catalog may depend on: [`State::generation`].
    #[must_use]
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.progress.generation.clone()
    }

    /// Tells of each change of the requests that wait for an operator.
    #[must_use]
    pub fn request_generations(&self) -> watch::Receiver<u64> {
        self.progress.requests.clone()
    }

    /// Waits until the index has everything that was committed before the call, so that whoever
    /// changed something finds it in a listing. On a slow disk the wait ends and the listing lags.
    pub async fn settle(&self) {
        let size = self.ledger.head().size;
        let mut indexed = self.progress.indexed.clone();
        if tokio::time::timeout(SETTLE, indexed.wait_for(|indexed| *indexed >= size))
            .await
            .is_err()
        {
            tracing::warn!(
                size,
                "the index lags behind the ledger; listings may lack the newest entries"
            );
        }
    }

    /// Commits events, and returns when they are durable and in the view. Small documents that the
    /// events name by digest ride along as blobs.
    ///
    /// # Errors
    /// When the ledger cannot write; nothing then happened.
    pub async fn commit(
        &self,
        cause: &Cause,
        events: Vec<Event>,
        blobs: Vec<Vec<u8>>,
    ) -> Result<Receipt, CommitError> {
        let drafts = events
            .into_iter()
            .map(|event| self.draft(cause, event))
            .collect();
        self.ledger.commit(Proposal { drafts, blobs }).await
    }

    fn draft(&self, cause: &Cause, event: Event) -> Draft {
        let (cause, master) = (cause.clone(), self.master.clone());
        Box::new(move |stamp| encode(UnixMs(stamp.ts_ms), event, cause, master))
    }
}

/// An entry's bytes.
#[expect(
    clippy::expect_used,
    reason = "every field is a string, a number, a list or a map with string keys"
)]
pub fn encode(ts_ms: UnixMs, event: Event, cause: Cause, master: Name) -> Vec<u8> {
    let Cause { actor, request_id } = cause;
    let entry = Entry {
        v: ENTRY_VERSION,
        ts_ms,
        event,
        request_id,
        actor,
        master,
    };
    serde_json::to_vec(&entry).expect("an entry serialises")
}

/// Takes committed entries up into the view and the index. Called by the ledger's threads.
#[derive(Debug)]
pub struct Projector {
    state: SharedState,
    index: Index,
    applied: watch::Sender<u64>,
    generation: watch::Sender<u64>,
    requests: watch::Sender<u64>,
    indexed: watch::Sender<u64>,
    /// Entries that the view has and the index does not have yet: parsed once for both.
    unindexed: Mutex<Vec<(u64, Entry)>>,
}

impl Projector {
    /// A projector, and the end that tells how far it is.
    #[must_use]
    pub fn new(state: SharedState, index: Index) -> (Self, Progress) {
        let (size, generation) = {
            let state = state.read();
            (state.size(), state.generation())
        };
        let (applied, applied_receiver) = watch::channel(size);
        let (generation, generation_receiver) = watch::channel(generation);
        let (requests, requests_receiver) = watch::channel(0);
        let (indexed, indexed_receiver) = watch::channel(size);
        let projector = Self {
            state,
            index,
            applied,
            generation,
            requests,
            indexed,
            unindexed: Mutex::default(),
        };
        (
            projector,
            Progress {
                applied: applied_receiver,
                generation: generation_receiver,
                requests: requests_receiver,
                indexed: indexed_receiver,
            },
        )
    }
}

impl Projector {
    fn unindexed(&self) -> MutexGuard<'_, Vec<(u64, Entry)>> {
        self.unindexed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Projector {
    fn apply(&self, batch: &[Committed]) {
        let mut entries = Vec::with_capacity(batch.len());
        for committed in batch {
            match serde_json::from_slice::<Entry>(&committed.entry) {
                Ok(entry) => entries.push((committed.index, entry)),
                // The entry was made by `encode` a moment ago; it is in the log whatever we do now.
                Err(error) => {
                    tracing::error!(index = committed.index, %error, "an entry of our own does not parse");
                }
            }
        }
        let (size, generation, requests) = {
            let mut state = self.state.0.write().unwrap_or_else(PoisonError::into_inner);
            for (index, entry) in &entries {
                state.apply(*index, entry);
            }
            (state.size(), state.generation(), state.request_generation())
        };
        self.unindexed().append(&mut entries);
        tell_if_new(&self.generation, generation);
        tell_if_new(&self.requests, requests);
        self.applied.send_replace(size);
    }

    fn persist(&self, committed: &[Committed]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Some(last) = committed.last() else {
            return Ok(());
        };
        let entries: Vec<(u64, Entry)> = {
            let mut unindexed = self.unindexed();
            let count = unindexed.partition_point(|(index, _)| *index <= last.index);
            unindexed.drain(..count).collect()
        };
        let applied = self
            .index
            .apply(entries.iter().map(|(index, entry)| (*index, entry)));
        if let Err(error) = applied {
            // The same entries come again.
            self.unindexed().splice(..0, entries);
            return Err(error.into());
        }
        self.indexed.send_replace(last.index + 1);
        Ok(())
    }
}

fn tell_if_new(whoever_waits: &watch::Sender<u64>, generation: u64) {
    whoever_waits.send_if_modified(|known| {
        let is_new = *known != generation;
        *known = generation;
        is_new
    });
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        event::{CertDenied, LeaseCause, NodeGone},
        id::ContainerId,
    };

    use super::*;
    use crate::testing::{entry, host};

    fn committed(index: u64, event: Event) -> Committed {
        let entry = serde_json::to_vec(&entry(index, event)).unwrap();
        Committed {
            index,
            entry: entry.into(),
        }
    }

    #[test]
    fn only_what_a_catalog_may_depend_on_wakes_the_compiler() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&dir.path().join("index"), 0).unwrap();
        let (projector, progress) = Projector::new(SharedState::new(State::default()), index);
        let denied = Event::CertDenied(CertDenied {
            source: [10, 0, 0, 1].into(),
            container: None,
            reason: String::new(),
            detail: String::new(),
            count: 1,
            rule: String::new(),
            hint: String::new(),
        });
        projector.apply(&[committed(0, denied)]);
        assert!(progress.applied.has_changed().unwrap());
        assert!(!progress.generation.has_changed().unwrap());
        let gone = Event::NodeGone(NodeGone {
            container: ContainerId::from_bytes([1; 32]),
            cause: LeaseCause::Died,
        });
        projector.apply(&[committed(1, gone)]);
        assert!(progress.generation.has_changed().unwrap());
    }

    #[test]
    fn the_index_is_given_what_the_view_took_up_also_several_batches_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&dir.path().join("index"), 0).unwrap();
        let (projector, progress) =
            Projector::new(SharedState::new(State::default()), index.clone());
        let batch = |indices: std::ops::Range<u64>| -> Vec<Committed> {
            let watched = |_| {
                Event::HostLost(dockmaster_proto::event::HostLost {
                    host: host(),
                    reason: String::new(),
                })
            };
            indices
                .map(|index| committed(index, watched(index)))
                .collect()
        };
        projector.apply(&batch(0..2));
        projector.apply(&batch(2..3));
        projector.apply(&batch(3..5));
        projector.persist(&batch(0..3)).unwrap();
        assert_eq!(
            (index.applied().unwrap(), *progress.indexed.borrow()),
            (3, 3)
        );
        projector.persist(&batch(3..5)).unwrap();
        assert_eq!(index.applied().unwrap(), 5);
        assert!(projector.unindexed().is_empty());
    }
}
