//! The handle, and how a ledger is made, opened and started.

use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::hash::{Hash, empty_root};
use dockmaster_tlog::proof::TlogProof;
use tokio::sync::{Semaphore, oneshot};

use crate::blobs::Blobs;
use crate::commit::{CommitError, Proposal, Receipt, Sink};
use crate::config::Config;
use crate::disk::{Disk, FileError, Folders, fresh_folder};
use crate::error::OpenError;
use crate::frame::Frame;
use crate::lock::Lock;
use crate::publish::{Public, Publisher};
use crate::read::{ConsistencyProof, Entries, ReadError};
use crate::recover::{Recovered, Recovery, recover};
use crate::view::{Committed, Head, Status, View};
use crate::wal;
use crate::writer::{Message, Request, Writer};

/// The ledger of a running master. Clones are handles to the same one.
#[derive(Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Message>,
    places: Arc<Semaphore>,
    view: Arc<View>,
}

/// A recovered ledger that takes no commits yet: read from it what the index misses, then start it.
pub struct Opened {
    config: Config,
    disk: Arc<Disk>,
    view: Arc<View>,
    recovered: Recovered,
    lock: Lock,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("size", &self.head().size)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Makes an empty ledger: folders, and a first frame with the checkpoint of size 0.
    ///
    /// # Errors
    /// When there is one already, or the disk refuses.
    pub fn create(config: &Config) -> Result<(), OpenError> {
        let disk = Disk::new(config);
        fs::create_dir_all(&config.dir).map_err(FileError::at("make the folder", &config.dir))?;
        let _lock = Lock::take(&config.dir)?;
        for name in ["wal", "public"] {
            let path = config.dir.join(name);
            if path.exists() {
                return Err(OpenError::Exists { path });
            }
        }
        let origin = config.key.name().clone();
        let checkpoint = Checkpoint {
            origin,
            size: 0,
            root: empty_root(),
        }
        .sign(&config.key);
        let frame = Frame {
            old_size: 0,
            ts_ms: 0,
            entries: Vec::new(),
            blobs: Vec::new(),
            root: empty_root(),
            checkpoint: checkpoint.as_str().into(),
        };
        let tmp = config.dir.join("tmp");
        fresh_folder(&tmp)?;
        let mut folders = Folders::below(&config.dir);
        let checkpoint_path = config.dir.join("public/checkpoint");
        // The frame comes last: without it there is no ledger.
        for (path, bytes) in [
            (checkpoint_path, checkpoint.into_bytes()),
            (config.dir.join("wal").join(wal::name(0)), frame.encode()),
        ] {
            disk.replace(&tmp, &path, &bytes, &mut folders)?;
        }
        folders.sync(&disk)?;
        if let Some(parent) = config
            .dir
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            disk.sync_folder(parent)?;
        }
        Ok(())
    }

    /// Opens and recovers a ledger. Blocks on the disk.
    ///
    /// # Errors
    /// When another process has it, when it is damaged, or when the disk refuses; each says which
    /// file.
    pub fn open(config: Config) -> Result<Opened, OpenError> {
        let lock = Lock::take(&config.dir)?;
        let disk = Arc::new(Disk::new(&config));
        let public = Public::of(&config, &disk);
        fresh_folder(&public.tmp)?;
        let blobs = Blobs::open(&config.blobs, disk.clone(), config.limits.pack_bytes)?;
        let wal_dir = config.dir.join("wal");
        let segment_bytes = config.limits.segment_bytes;
        let key = config.key.verifier();
        let recovered = recover(&wal_dir, segment_bytes, &public, &blobs, key)?;
        let view = Arc::new(View::new(public.root, blobs, recovered.head.clone()));
        Ok(Opened {
            config,
            disk,
            view,
            recovered,
            lock,
        })
    }

    /// Commits entries and documents; returns when they are durable and the sink has applied them.
    /// If the future is dropped the proposal may be committed all the same.
    ///
    /// # Errors
    /// Nothing was committed, except that after [`CommitError::Closed`] it may have been.
    pub async fn commit(&self, proposal: Proposal) -> Result<Receipt, CommitError> {
        proposal.check()?;
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|_| CommitError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let request = Request {
            proposal,
            answer,
            _place: place,
        };
        let sent = self.queue.send(Message::Commit(request));
        sent.map_err(|_| CommitError::Closed)?;
        answered.await.unwrap_or(Err(CommitError::Closed))
    }

    /// The entries of a range, as far as the log goes. Each step may block on the disk.
    #[must_use]
    pub fn entries(&self, range: Range<u64>) -> Entries {
        Entries::new(self.view.clone(), range)
    }

    /// One entry, or `None` beyond the end. May block on the disk.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn entry(&self, index: u64) -> Result<Option<Committed>, ReadError> {
        self.view.entry(index)
    }

    /// The newest committed head. Its tiles may still be on their way; see [`Self::published`].
    #[must_use]
    pub fn head(&self) -> Head {
        self.view.committed()
    }

    /// The newest published head: the one in `public/checkpoint`, all of whose tiles are there.
    #[must_use]
    pub fn published(&self) -> Head {
        self.view.published()
    }

    /// Proves an entry in the newest committed head. May block on the disk.
    ///
    /// # Errors
    /// When there is no such entry, or a tile cannot be read.
    pub fn inclusion_proof(&self, index: u64) -> Result<TlogProof, ReadError> {
        self.view.inclusion_proof(index)
    }

    /// Proves that the log of an older size is the beginning of the newest committed head. May
    /// block on the disk.
    ///
    /// # Errors
    /// When the log was never that large, or a tile cannot be read.
    pub fn consistency_proof(&self, old_size: u64) -> Result<ConsistencyProof, ReadError> {
        self.view.consistency_proof(old_size)
    }

    /// Proves that the log of `old_size` entries is the beginning of that of `new_size`. May block on
    /// the disk.
    ///
    /// # Errors
    /// When the sizes are not in order, the log is smaller, or a tile cannot be read.
    pub fn consistency_between(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<Vec<Hash>, ReadError> {
        self.view.consistency_between(old_size, new_size)
    }

    /// How it does, for `/readyz`.
    #[must_use]
    pub fn status(&self) -> Status {
        self.view.status()
    }

    /// The documents.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.view.blobs
    }

    /// The folder with `checkpoint` and `tile/`, which any static file server may serve.
    #[must_use]
    pub fn public(&self) -> &Path {
        &self.view.public
    }

    /// Commits what is queued, publishes and persists it, and lets go of the ledger. Later commits
    /// are refused; reading goes on.
    pub async fn shutdown(&self) {
        let (done, finished) = oneshot::channel();
        if self.queue.send(Message::Stop(done)).is_ok() {
            // An error means that the writer is gone, which is what was asked for.
            let _ = finished.await;
        }
    }
}

impl Opened {
    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.recovered.head.size
    }

    /// The root that is signed for this size.
    pub(crate) fn root(&self) -> Hash {
        self.recovered.edge.root()
    }

    /// What recovery found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovered.report
    }

    /// The entries from an index on, to rebuild or catch up an index.
    #[must_use]
    pub fn entries(&self, from: u64) -> Entries {
        Entries::new(self.view.clone(), from..self.size())
    }

    /// The documents.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.view.blobs
    }

    /// Starts writer and publisher. The sink is told of new entries only: it knows all
    /// [`Self::size`] of the present ones, in memory and on disk, before this is called.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(self, sink: impl Sink) -> Result<Ledger, OpenError> {
        let Self {
            config,
            disk,
            view,
            recovered,
            lock,
        } = self;
        let wal_dir = config.dir.join("wal");
        let Recovered {
            edge,
            tiles,
            last_ts,
            wal,
            oldest,
            ..
        } = recovered;
        let sink: Arc<dyn Sink> = Arc::new(sink);
        let (queue, messages) = mpsc::channel();
        let (to_publish, batches) = mpsc::channel();
        let publisher = Publisher {
            queue: batches,
            public: Public::of(&config, &disk),
            tiles,
            view: view.clone(),
            sink: sink.clone(),
            wal_dir,
            oldest,
            publish_every: config.limits.publish_every,
            published_at: None,
        };
        let places = Arc::new(Semaphore::new(config.limits.queue));
        let writer = Writer {
            queue: messages,
            wal,
            disk,
            key: config.key,
            clock: config.clock,
            limits: config.limits,
            edge,
            last_ts,
            view: view.clone(),
            sink,
            publisher: to_publish,
            is_shared: false,
        };
        spawn(&config.dir, config.fatal, writer, publisher, lock)?;
        Ok(Ledger {
            queue,
            places,
            view,
        })
    }
}

/// The writer's thread outlives the publisher's, so that the lock goes last.
fn spawn(
    dir: &Path,
    fatal: fn(&str) -> !,
    writer: Writer,
    publisher: Publisher,
    lock: Lock,
) -> Result<(), FileError> {
    let view = writer.view.clone();
    let closing = view.clone();
    let publisher = thread::Builder::new()
        .name("ledger-publish".to_owned())
        .spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| publisher.run())).is_err() {
                closing.close();
                fatal("the ledger's publisher panicked");
            }
        });
    let publisher = publisher.map_err(FileError::at("start a thread for", dir))?;
    let writer = thread::Builder::new()
        .name("ledger-write".to_owned())
        .spawn(move || {
            let done = catch_unwind(AssertUnwindSafe(|| writer.run()));
            view.close();
            // It may be waiting for the time of its next publication.
            publisher.thread().unpark();
            // A publisher that panicked has said so.
            let _ = publisher.join();
            drop(lock);
            match done {
                Ok(Some(done)) => drop(done.send(())),
                Ok(None) => {}
                Err(_) => fatal("the ledger's writer panicked"),
            }
        });
    writer.map_err(FileError::at("start a thread for", dir))?;
    Ok(())
}
