//! A ledger in a folder of its own, a clock that is set, and faults on demand.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dockmaster_ledger::{
    Committed, Config, Ledger, Limits, OpenError, Opened, Proposal, Receipt, Sink, Step, verify,
};
use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::note::{KeyName, SigningKey, VerifierKey};
use tempfile::TempDir;

/// A ledger's folder and what tests steer and watch.
pub(crate) struct Fixture {
    dir: TempDir,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<AtomicU64>,
    pub(crate) faults: Faults,
    pub(crate) sink: Recorder,
}

/// How often each step was reached, and which fail.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<FaultState>>);

#[derive(Default)]
struct FaultState {
    counts: HashMap<Step, u64>,
    failing: HashMap<Step, io::ErrorKind>,
}

impl Faults {
    pub(crate) fn count(&self, step: Step) -> u64 {
        self.0
            .lock()
            .unwrap()
            .counts
            .get(&step)
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn fail(&self, step: Step, kind: io::ErrorKind) {
        self.0.lock().unwrap().failing.insert(step, kind);
    }

    pub(crate) fn heal(&self, step: Step) {
        self.0.lock().unwrap().failing.remove(&step);
    }

    fn reach(&self, step: Step) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        *state.counts.entry(step).or_default() += 1;
        state
            .failing
            .get(&step)
            .map_or(Ok(()), |kind| Err((*kind).into()))
    }
}

/// A sink that keeps what it is given.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    pub(crate) applied: Arc<Mutex<Vec<Committed>>>,
    pub(crate) persisted: Arc<Mutex<Vec<Committed>>>,
}

impl Sink for Recorder {
    fn apply(&self, batch: &[Committed]) {
        self.applied.lock().unwrap().extend_from_slice(batch);
    }

    fn persist(&self, batch: &[Committed]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.persisted.lock().unwrap().extend_from_slice(batch);
        Ok(())
    }
}

impl Fixture {
    /// A ledger that was just made.
    pub(crate) fn new() -> Self {
        let fixture = Self::empty();
        Ledger::create(&fixture.config()).unwrap();
        fixture
    }

    pub(crate) fn empty() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            limits: Limits::default(),
            clock: Arc::new(AtomicU64::new(1_000)),
            faults: Faults::default(),
            sink: Recorder::default(),
        }
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = config(self.dir.path());
        let (clock, faults) = (self.clock.clone(), self.faults.clone());
        config.clock = Arc::new(move || clock.load(Ordering::SeqCst));
        config.probe = Some(Arc::new(move |step| faults.reach(step)));
        config.limits = self.limits;
        config
    }

    pub(crate) fn open(&self) -> Result<Opened, OpenError> {
        Ledger::open(self.config())
    }

    /// The error that keeps the ledger from opening.
    pub(crate) fn refusal(&self) -> OpenError {
        self.open().expect_err("the ledger opened")
    }

    pub(crate) fn start(&self) -> Ledger {
        self.open().unwrap().start(self.sink.clone()).unwrap()
    }

    pub(crate) fn public(&self) -> PathBuf {
        self.dir.path().join("ledger/public")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.dir.path().join("ledger/wal")
    }

    /// Write-ahead segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.wal()).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Verifies the whole published log and gives its entries.
    pub(crate) fn published_entries(&self) -> Vec<Vec<u8>> {
        let (_, entries) = published_entries(&self.public());
        entries
    }
}

pub(crate) fn config(dir: &Path) -> Config {
    let ledger = dir.join("ledger");
    let mut config = Config::new(ledger, dir.join("blobs"), key(), Arc::new(|| 1_000));
    config.fatal = |why| panic!("{why}");
    config
}

/// Opens a ledger as soon as its last life has let go of it.
pub(crate) fn reopen(config: &Config) -> Opened {
    let begin = Instant::now();
    loop {
        match Ledger::open(config.clone()) {
            Ok(opened) => return opened,
            Err(OpenError::InUse { .. }) if begin.elapsed() < Duration::from_secs(30) => {
                std::thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn published_entries(public: &Path) -> (Checkpoint, Vec<Vec<u8>>) {
    let mut entries = Vec::new();
    let checkpoint = verify::public(public, &verifier(), |index, entry| {
        assert_eq!(index, entries.len() as u64);
        entries.push(entry.to_vec());
    });
    (checkpoint.unwrap(), entries)
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed(
        KeyName::new("example.org/dockmaster-log").unwrap(),
        &[7; 32],
    )
}

pub(crate) fn verifier() -> VerifierKey {
    key().verifier().clone()
}

/// A proposal of one entry that says where it is.
pub(crate) fn one() -> Proposal {
    Proposal::of(|stamp| text(stamp.index))
}

/// A proposal of several such entries.
pub(crate) fn several(count: usize) -> Proposal {
    let drafts = (0..count).flat_map(|_| one().drafts).collect();
    Proposal {
        drafts,
        blobs: Vec::new(),
    }
}

/// What [`one`] writes at an index.
pub(crate) fn text(index: u64) -> Vec<u8> {
    format!("{{\"entry\":{index}}}").into_bytes()
}

pub(crate) fn texts(size: u64) -> Vec<Vec<u8>> {
    (0..size).map(text).collect()
}

/// Commits entry after entry, so that each has its own frame.
pub(crate) async fn commit_each(ledger: &Ledger, count: usize) {
    for _ in 0..count {
        verify_receipt(&ledger.commit(one()).await.unwrap());
    }
}

/// Checks that every entry of a receipt is proved by it.
pub(crate) fn verify_receipt(receipt: &Receipt) {
    for (i, committed) in receipt.entries().iter().enumerate() {
        let proof = receipt.proof(i).unwrap();
        let checkpoint = proof.verify(&committed.entry, &verifier()).unwrap();
        assert_eq!(checkpoint.size, receipt.head().size);
        assert_eq!(receipt.stamps()[i].index, committed.index);
    }
    assert!(receipt.proof(receipt.entries().len()).is_none());
}
