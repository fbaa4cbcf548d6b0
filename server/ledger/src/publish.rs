//! From committed to published: files that anybody may serve, then the index.
//!
//! The publisher follows the writer and takes all that was committed since its last publication at
//! once. Publications keep a distance, [`crate::Limits::publish_every`]: nobody who waits for an
//! answer waits for them. Its steps, and what a crash before the next one means:
//!
//! 1. Entry bundles and hash tiles go to `public/tile/`: each written aside, synced, renamed, then
//!    their folders synced. *Crash: files beyond the checkpoint, which nobody asks for; recovery
//!    writes the same bytes again.*
//! 2. `public/checkpoint` is replaced the same way, by the newest frame's. *Crash before: recovery
//!    does it.*
//! 3. Partial files that a full one supersedes are removed. *Crash: some stay, harmlessly.*
//! 4. The sink persists. *Crash: the index lags, and its owner catches up from the entries.*
//! 5. Documents that rode in frames go to a pack, unsynced; until then they are read from memory.
//!    *Crash: the frames have them.*
//! 6. Segments before that of the newest frame that is through are dropped, after a sync of the packs
//!    that makes the documents of step 5 durable. The segment with the newest frame
//!    always stays: it says at which time and with which checkpoint to go on.
//!
//! Recovery runs steps 1 to 3 and 5 through the same code.

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use crate::commit::Sink;
use crate::config::{Config, Step};
use crate::disk::{Disk, FileError, Folders, read_if_there};
use crate::operation::Act;
use crate::tiles::{TileFile, Tiles};
use crate::view::{Batch, Committed, View};
use crate::wal;

/// How long the publisher waits after a failure.
const RETRY: Duration = Duration::from_millis(500);
/// How often it tries on when the ledger is being shut down.
const LAST_TRIES: u32 = 4;
/// How many entries the sink is given at once, about: together they cost it far less than one by one.
const PERSIST_ENTRIES: usize = 4096;
/// How much is settled at once, about.
const SETTLE_BYTES: usize = 1 << 20;

/// Writes the files of the log below `public/`.
pub(crate) struct Public {
    pub(crate) root: PathBuf,
    pub(crate) tmp: PathBuf,
    pub(crate) disk: Arc<Disk>,
}

/// Files that were written but whose folders are not yet synced.
pub(crate) struct Round<'a> {
    public: &'a Public,
    folders: Folders,
    superseded: Vec<PathBuf>,
}

impl Public {
    /// Those of a ledger.
    pub(crate) fn of(config: &Config, disk: &Arc<Disk>) -> Self {
        Self {
            root: config.dir.join("public"),
            tmp: config.dir.join("tmp"),
            disk: disk.clone(),
        }
    }

    pub(crate) fn checkpoint_path(&self) -> PathBuf {
        self.root.join("checkpoint")
    }

    pub(crate) fn begin(&self) -> Round<'_> {
        Round {
            public: self,
            folders: Folders::below(&self.root),
            superseded: Vec::new(),
        }
    }

    pub(crate) fn replace(
        &self,
        path: &Path,
        bytes: &[u8],
        folders: &mut Folders,
    ) -> Result<(), FileError> {
        if read_if_there(path)?.as_deref() == Some(bytes) {
            return folders.make_parents(path);
        }
        self.disk.replace(&self.tmp, path, bytes, folders)
    }
}

impl Round<'_> {
    /// Writes one bundle or tile.
    pub(crate) fn write(&mut self, file: &TileFile) -> Result<(), FileError> {
        let path = self.public.root.join(&file.path);
        if !file.path.contains(".p/") {
            let mut partials = path.clone().into_os_string();
            partials.push(".p");
            self.superseded.push(partials.into());
        }
        self.public.replace(&path, &file.bytes, &mut self.folders)
    }

    /// Writes the partial files, and then the checkpoint that makes all of them count.
    pub(crate) fn finish(
        mut self,
        tiles: &Tiles,
        checkpoint: &str,
    ) -> Result<Superseded, FileError> {
        for file in tiles.partials() {
            self.write(&file)?;
        }
        self.folders.sync(&self.public.disk)?;
        let path = self.public.checkpoint_path();
        let step = self.public.disk.step(Step::Checkpoint);
        step.map_err(FileError::at("replace", &path))?;
        let mut folders = Folders::below(&self.public.root);
        self.public
            .replace(&path, checkpoint.as_bytes(), &mut folders)?;
        folders.sync(&self.public.disk)?;
        Ok(Superseded(self.superseded))
    }
}

/// Folders of partial files whose full one is published. Removed once readers have been told the
/// new size, so that whoever misses one finds it has grown.
#[must_use]
pub(crate) struct Superseded(Vec<PathBuf>);

impl Superseded {
    pub(crate) fn remove(self, disk: &Disk) {
        for folder in self.0 {
            // What stays is only clutter.
            let remove = || fs::remove_dir_all(&folder);
            let _ = disk.run(Act::Remove, &folder, remove);
        }
    }
}

/// The thread that runs the steps above.
pub(crate) struct Publisher {
    pub(crate) queue: Receiver<Arc<Batch>>,
    pub(crate) public: Public,
    pub(crate) tiles: Tiles,
    pub(crate) view: Arc<View>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) wal_dir: PathBuf,
    /// First index of the oldest segment that is still there.
    pub(crate) oldest: u64,
    pub(crate) publish_every: Duration,
    /// When the last publication began.
    pub(crate) published_at: Option<Instant>,
}

/// Batches on their way.
#[derive(Default)]
struct Work {
    to_publish: VecDeque<Arc<Batch>>,
    to_persist: VecDeque<Arc<Batch>>,
    to_settle: VecDeque<Arc<Batch>>,
    newest_done: Option<u64>,
}

impl Work {
    fn is_empty(&self) -> bool {
        let queues = [&self.to_publish, &self.to_persist, &self.to_settle];
        queues.iter().all(|queue| queue.is_empty()) && self.newest_done.is_none()
    }

    /// How many batches are settled with one write.
    fn next_to_settle(&self) -> Option<usize> {
        let mut bytes = 0;
        let together = self.to_settle.iter().take_while(|batch| {
            let fits = bytes < SETTLE_BYTES;
            bytes += batch.weight;
            fits
        });
        Some(together.count()).filter(|batches| *batches > 0)
    }

    /// Whether there is nothing to do before the next publication.
    fn waits_for_publication(&self) -> bool {
        let later = [&self.to_persist, &self.to_settle];
        later.iter().all(|queue| queue.is_empty()) && self.newest_done.is_none()
    }
}

impl Publisher {
    /// Runs until the writer is gone and all is published, or cannot be.
    pub(crate) fn run(mut self) {
        let mut work = Work::default();
        let mut open = true;
        let mut failures: u32 = 0;
        while open || (!work.is_empty() && failures < LAST_TRIES) {
            open = self.receive(&mut work, failures > 0);
            if !open {
                // The last publication waits for nothing more.
                self.published_at = None;
            }
            match self.round(&mut work) {
                Ok(()) => {
                    if failures > 0 {
                        tracing::info!("the ledger is published again");
                    }
                    failures = 0;
                    self.view.clear_stalled();
                }
                Err(error) => {
                    failures += 1;
                    let why = chain(&*error);
                    // It is tried twice a second, which is too often to say.
                    if failures.is_power_of_two() {
                        tracing::warn!("publishing the ledger failed, trying again: {why}");
                    }
                    self.view.set_stalled(why);
                }
            }
        }
    }

    /// Waits for work and takes all there is; says whether more may come.
    fn receive(&self, work: &mut Work, failed: bool) -> bool {
        let first = if failed {
            self.queue.recv_timeout(RETRY).ok()
        } else if work.is_empty() {
            self.queue.recv().ok()
        } else {
            if work.waits_for_publication() {
                // Not at the queue, or each commit would wake it. Its end does: see `ledger::spawn`.
                std::thread::park_timeout(self.publishes_in());
            }
            None
        };
        work.to_publish.extend(first);
        let open = loop {
            match self.queue.try_recv() {
                Ok(batch) => work.to_publish.push_back(batch),
                Err(TryRecvError::Empty) => break true,
                Err(TryRecvError::Disconnected) => break false,
            }
        };
        if !open && failed {
            // A closed queue no longer waits, and a failure deserves a pause.
            std::thread::park_timeout(RETRY);
        }
        open
    }

    /// How long until the next publication may begin.
    fn publishes_in(&self) -> Duration {
        self.published_at.map_or(Duration::ZERO, |at| {
            self.publish_every.saturating_sub(at.elapsed())
        })
    }

    /// Publishes all there is if it is time to, persists it, and settles it.
    fn round(&mut self, work: &mut Work) -> Result<(), Box<dyn Error + Send + Sync>> {
        if let Some(newest) = work.to_publish.back().cloned()
            && self.publishes_in().is_zero()
        {
            let begin = Instant::now();
            self.publish(&work.to_publish, &newest)?;
            // Only now: after a failure the next try waits for nothing else.
            self.published_at = Some(begin);
            work.to_persist.append(&mut work.to_publish);
        }
        self.persist(work)?;
        let settled = self.settle(work);
        // Also when not all were settled: on a full disk it is these that make room.
        if let Some(segment) = work.newest_done {
            self.drop_segments(segment)?;
            work.newest_done = None;
        }
        Ok(settled?)
    }

    /// Step 5. What is settled is not settled again when the rest fails.
    fn settle(&self, work: &mut Work) -> Result<(), FileError> {
        while let Some(batches) = work.next_to_settle() {
            let of_these = work.to_settle.iter().take(batches);
            let documents: Vec<_> = of_these.flat_map(|batch| batch.blobs.clone()).collect();
            self.view.blobs.settle(&documents)?;
            for batch in work.to_settle.drain(..batches) {
                self.view.settle(batch.weight);
                work.newest_done = Some(batch.segment);
            }
        }
        Ok(())
    }

    /// Step 4.
    fn persist(&self, work: &mut Work) -> Result<(), Box<dyn Error + Send + Sync>> {
        while !work.to_persist.is_empty() {
            let mut entries: Vec<Committed> = Vec::new();
            let mut batches = 0;
            for batch in &work.to_persist {
                entries.extend_from_slice(&batch.entries);
                batches += 1;
                if entries.len() >= PERSIST_ENTRIES {
                    break;
                }
            }
            self.public.disk.step(Step::Persist)?;
            self.sink.persist(&entries)?;
            work.to_settle.extend(work.to_persist.drain(..batches));
        }
        Ok(())
    }

    /// Steps 1 to 3.
    fn publish(&mut self, batches: &VecDeque<Arc<Batch>>, newest: &Batch) -> Result<(), FileError> {
        let step = self.public.disk.step(Step::Tiles);
        step.map_err(FileError::at("write tiles below", &self.public.root))?;
        // A copy, so that a round that fails leaves nothing behind and can be run again.
        let mut tiles = self.tiles.clone();
        let mut round = self.public.begin();
        for committed in batches.iter().flat_map(|batch| &batch.entries) {
            tiles.push(&committed.entry, &mut |file| round.write(&file))?;
        }
        debug_assert_eq!(tiles.edge().map(|edge| edge.root()), Some(newest.root));
        let superseded = round.finish(&tiles, &newest.checkpoint)?;
        self.tiles = tiles;
        self.view.publish(newest.head());
        superseded.remove(&self.public.disk);
        Ok(())
    }

    /// Step 6.
    fn drop_segments(&mut self, keep: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        if keep > self.oldest {
            self.public.disk.step(Step::Drop)?;
            self.view.blobs.sync()?;
            wal::drop_before(&self.wal_dir, keep, &self.public.disk)?;
            self.oldest = keep;
        }
        Ok(())
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
