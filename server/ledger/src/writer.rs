//! The one thread that makes entries durable.
//!
//! A commit takes these steps; what a crash between two of them means stands beside each.
//!
//! 1. Everything that queued during the last sync becomes one batch: drafts get their index and
//!    time and are written out, the right edge is extended, the checkpoint is signed. *Crash:
//!    nothing is on disk, nobody saw anything.*
//! 2. The frame is appended. *Crash: a torn frame is discarded at the next start. A complete one is
//!    taken although its sync never returned: its entries are logged and nobody holds what they
//!    announce, which is harmless. The checkpoint of its size is the one in the frame, so the next
//!    life never signs another root of that size.*
//! 3. The segment is synced: the commit point. *Crash: the entries are there for good; nobody was
//!    told.*
//! 4. Readers see the entries, the sink applies them, the answers leave with their proofs.
//! 5. The publisher takes over, see [`crate::publish`].
//!
//! If the append fails, the segment is cut back to its last good end and the whole batch fails;
//! index and edge are as before. If the sync fails, the process ends: the kernel does not say what
//! became of the pages.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;

use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::hash::leaf_hash;
use dockmaster_tlog::note::SigningKey;
use dockmaster_tlog::tree::RightEdge;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::commit::{CommitError, Proposal, Receipt, Sink, Stamp};
use crate::config::{Clock, Limits, Step};
use crate::digest::Digest;
use crate::disk::{Disk, FileError};
use crate::frame::{Frame, MAX_ENTRY_BYTES};
use crate::growth::Growth;
use crate::view::{Batch, Committed, View};
use crate::wal::Wal;

/// How often a full disk is looked at again while nobody commits.
const ROOM_CHECK: Duration = Duration::from_secs(1);

/// What the handle asks of the writer.
pub(crate) enum Message {
    Commit(Request),
    Stop(oneshot::Sender<()>),
}

/// A proposal that waits for its answer, and its place in the queue.
pub(crate) struct Request {
    pub(crate) proposal: Proposal,
    pub(crate) answer: Answer,
    pub(crate) _place: OwnedSemaphorePermit,
}

type Answer = oneshot::Sender<Result<Receipt, CommitError>>;

pub(crate) struct Writer {
    pub(crate) queue: Receiver<Message>,
    pub(crate) wal: Wal,
    pub(crate) disk: Arc<Disk>,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) edge: RightEdge,
    pub(crate) last_ts: u64,
    pub(crate) view: Arc<View>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) publisher: Sender<Arc<Batch>>,
    /// Whether more than one proposal shared the last batch.
    pub(crate) is_shared: bool,
}

/// A batch in the making.
struct Draughts {
    entries: Vec<Arc<[u8]>>,
    stamps: Vec<Stamp>,
    blobs: Vec<Arc<[u8]>>,
    bytes: usize,
    last_ts: u64,
    waiting: Vec<(Range<usize>, Answer)>,
}

impl Writer {
    /// Runs until it is told to stop or every handle is gone; gives back whom to tell.
    pub(crate) fn run(mut self) -> Option<oneshot::Sender<()>> {
        let mut held_over = None;
        let mut full = false;
        loop {
            let message = match held_over.take() {
                Some(request) => Message::Commit(request),
                None => match self.next(full) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Timeout) => {
                        full = !self.wal.has_room();
                        if !full {
                            self.view.set_full(None);
                        }
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return None,
                },
            };
            let first = match message {
                Message::Commit(request) => request,
                Message::Stop(done) => return Some(done),
            };
            let (draughts, stop);
            (draughts, held_over, stop) = self.gather(first);
            self.is_shared = draughts.waiting.len() > 1;
            full = self.commit(draughts, full);
            if let Some(done) = stop {
                return Some(done);
            }
        }
    }

    fn next(&self, full: bool) -> Result<Message, RecvTimeoutError> {
        if full {
            return self.queue.recv_timeout(ROOM_CHECK);
        }
        self.queue
            .recv()
            .map_err(|_| RecvTimeoutError::Disconnected)
    }

    /// Takes what is queued, up to the limits; a proposal that no longer fits is held over. Where
    /// proposals come together, others are about to: whoever makes them goes first, if anybody waits
    /// for a processor. Nobody waits for a timer.
    fn gather(&self, first: Request) -> (Draughts, Option<Request>, Option<oneshot::Sender<()>>) {
        let mut draughts = Draughts::after(self.last_ts);
        let mut next = Some(first);
        let mut gives_way = self.is_shared;
        loop {
            let request = match next.take() {
                Some(request) => request,
                None => match self.queue.try_recv() {
                    Ok(Message::Commit(request)) => request,
                    Ok(Message::Stop(done)) => return (draughts, None, Some(done)),
                    Err(TryRecvError::Empty) if gives_way => {
                        gives_way = false;
                        std::thread::yield_now();
                        continue;
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                        return (draughts, None, None);
                    }
                },
            };
            if !draughts.has_room_for(&request.proposal, &self.limits) {
                return (draughts, Some(request), None);
            }
            draughts.take(request, self.edge.size(), &self.clock);
        }
    }

    /// Steps 1 to 5; gives back whether the disk is full now.
    fn commit(&mut self, draughts: Draughts, full: bool) -> bool {
        if draughts.entries.is_empty() {
            return full;
        }
        if let Err(why) = self.view.wait_for_room(self.limits.backlog_bytes) {
            draughts.fail(&CommitError::Stalled { why });
            return full;
        }
        let Draughts {
            entries,
            stamps,
            blobs,
            bytes,
            last_ts,
            waiting,
        } = draughts;
        let leaves = entries.iter().map(|entry| leaf_hash(entry));
        let (growth, edge) = Growth::of(self.edge.clone(), leaves);
        let root = edge.root();
        let checkpoint = Checkpoint {
            origin: self.key.name().clone(),
            size: edge.size(),
            root,
        };
        let frame = Frame {
            old_size: self.edge.size(),
            ts_ms: last_ts,
            entries,
            blobs,
            root,
            checkpoint: checkpoint.sign(&self.key).into(),
        };
        if let Err(error) = self.wal.append(&frame.encode(), frame.old_size) {
            return self.refuse(waiting, error);
        }
        self.wal.sync();
        (self.edge, self.last_ts) = (edge, last_ts);

        let entries = (frame.old_size..).zip(frame.entries);
        let batch = Arc::new(Batch {
            growth,
            root,
            entries: entries
                .map(|(index, entry)| Committed { index, entry })
                .collect(),
            blobs: frame
                .blobs
                .into_iter()
                .map(|blob| (Digest::of(&blob), blob))
                .collect(),
            checkpoint: frame.checkpoint,
            segment: self.wal.segment(),
            weight: bytes,
        });
        self.view.commit(&batch);
        if let Err(error) = self.disk.step(Step::Answer) {
            self.disk
                .fatal(&format!("told to stop before the answers: {error}"));
        }
        self.sink.apply(&batch.entries);
        for (range, answer) in waiting {
            let stamps = stamps[range.clone()].to_vec();
            // Whoever no longer waits has left; the entry stays.
            let _ = answer.send(Ok(Receipt::new(batch.clone(), range, stamps)));
        }
        // Gone only if it panicked, which `wait_for_room` reports to the next batch.
        let _ = self.publisher.send(batch);
        false
    }

    fn refuse(&self, waiting: Vec<(Range<usize>, Answer)>, error: FileError) -> bool {
        let full = error.is_no_space();
        let why = format!("{error}: {}", error.source);
        tracing::error!("commit refused: {why}");
        let error = Arc::new(error);
        let refusal = if full {
            self.view.set_full(Some(why));
            CommitError::NoSpace(error)
        } else {
            CommitError::File(error)
        };
        for (_, answer) in waiting {
            let _ = answer.send(Err(refusal.clone()));
        }
        full
    }
}

impl Draughts {
    fn after(last_ts: u64) -> Self {
        let (entries, stamps, blobs, waiting) = Default::default();
        Self {
            entries,
            stamps,
            blobs,
            bytes: 0,
            last_ts,
            waiting,
        }
    }

    /// The first proposal always fits: the handle refuses larger ones.
    fn has_room_for(&self, proposal: &Proposal, limits: &Limits) -> bool {
        self.entries.is_empty()
            || (self.bytes < limits.batch_bytes
                && self.entries.len() + proposal.drafts.len() <= limits.batch_entries
                && self.blobs.len() + proposal.blobs.len() <= crate::frame::MAX_BLOBS)
    }

    /// Writes the drafts out. One that is too long fails its whole proposal, and no other.
    fn take(&mut self, request: Request, size: u64, clock: &Clock) {
        let Request {
            proposal,
            answer,
            _place,
        } = request;
        let (start, last_ts) = (self.entries.len(), self.last_ts);
        for draft in proposal.drafts {
            let ts_ms = clock().max(self.last_ts.saturating_add(1));
            let stamp = Stamp {
                index: size + self.entries.len() as u64,
                ts_ms,
            };
            let entry = draft(stamp);
            if entry.len() > MAX_ENTRY_BYTES {
                self.entries.truncate(start);
                self.stamps.truncate(start);
                self.last_ts = last_ts;
                let _ = answer.send(Err(CommitError::EntryTooLong { bytes: entry.len() }));
                return;
            }
            self.last_ts = ts_ms;
            self.stamps.push(stamp);
            self.entries.push(entry.into());
        }
        let entries: usize = self.entries[start..].iter().map(|entry| entry.len()).sum();
        let blobs: usize = proposal.blobs.iter().map(Vec::len).sum();
        self.bytes += entries + blobs;
        self.blobs.extend(proposal.blobs.into_iter().map(Arc::from));
        self.waiting.push((start..self.entries.len(), answer));
    }

    fn fail(self, error: &CommitError) {
        for (_, answer) in self.waiting {
            let _ = answer.send(Err(error.clone()));
        }
    }
}
