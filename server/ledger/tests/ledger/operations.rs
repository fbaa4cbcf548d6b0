//! Each single operation on the disk fails once; whatever the ledger makes of it, nothing that was
//! promised is lost and the whole log verifies afterwards.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dockmaster_ledger::{
    Act, Config, Digest, Ledger, Limits, Moment, OpenError, Operation, Status, Watch,
};
use tempfile::TempDir;

use crate::fixture::{Recorder, config, one, published_entries, reopen, several, texts};

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The system reports an error of the disk.
    Broken,
    /// The disk is full.
    Full,
    /// The disk is full after a part of what is written.
    Short,
}

const FAULTS: [Fault; 3] = [Fault::Broken, Fault::Full, Fault::Short];

/// Fails one operation of a kind: that of this number, as they come.
struct Saboteur {
    fault: Fault,
    act: Act,
    number: usize,
    seen: AtomicUsize,
    struck: Mutex<Option<PathBuf>>,
}

impl Saboteur {
    fn watch(self: &Arc<Self>) -> Watch {
        let saboteur = self.clone();
        Arc::new(move |operation| saboteur.meet(&operation))
    }

    fn meet(&self, operation: &Operation<'_>) -> std::io::Result<()> {
        if operation.moment == Moment::After || operation.act != self.act {
            return Ok(());
        }
        if self.seen.fetch_add(1, Ordering::SeqCst) != self.number {
            return Ok(());
        }
        *self.struck.lock().unwrap() = Some(operation.path.to_owned());
        match self.fault {
            Fault::Broken => Err(ErrorKind::Other.into()),
            Fault::Full => Err(ErrorKind::StorageFull.into()),
            Fault::Short => {
                if operation.act == Act::Write {
                    let mut file = std::fs::OpenOptions::new();
                    let file = file.append(true).create(true).open(operation.path);
                    file.unwrap().write_all(b"DMF1\0\0\x01").unwrap();
                }
                Err(ErrorKind::StorageFull.into())
            }
        }
    }
}

fn small(dir: &Path) -> Config {
    let mut config = config(dir);
    config.limits = Limits {
        segment_bytes: 1_000,
        // A few documents each.
        pack_bytes: 150,
        ..Limits::default()
    };
    config
}

/// What the ledger said is done.
#[derive(Default)]
struct Done {
    size: u64,
    documents: Vec<Vec<u8>>,
}

/// Opens, commits and stores, and goes on where something is refused, as a master does.
async fn work(config: Config, done: &mut Done) -> Result<(), OpenError> {
    let ledger = Ledger::open(config)?.start(Recorder::default())?;
    for n in 0..5_u8 {
        let document = vec![n, b'd'];
        let mut proposal = one();
        proposal.blobs.push(document.clone());
        if let Ok(receipt) = ledger.commit(proposal).await {
            done.size = receipt.head().size;
            done.documents.push(document);
        }
    }
    let stored = b"stored".to_vec();
    // A failed sync of a document ends the process, which here is this task.
    let blobs = ledger.blobs().clone();
    let storing = tokio::task::spawn_blocking(move || blobs.put(&stored));
    if let Ok(Ok(_)) = storing.await {
        done.documents.push(b"stored".to_vec());
    }
    if let Ok(receipt) = ledger.commit(several(254)).await {
        done.size = receipt.head().size;
    }
    ledger.shutdown().await;
    Ok(())
}

/// Runs the work with a fault; gives what was struck, if the work had so many operations of the kind.
fn struck(fault: Fault, act: Act, number: usize) -> Option<PathBuf> {
    let dir = TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap());
    Ledger::create(&small(dir.path())).unwrap();
    let saboteur = Arc::new(Saboteur {
        fault,
        act,
        number,
        seen: AtomicUsize::new(0),
        struck: Mutex::new(None),
    });
    let mut config = small(dir.path());
    config.watch = Some(saboteur.watch());
    let mut done = Done::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // An error or a panic here is an end of the process: it never serves.
    let working = std::panic::AssertUnwindSafe(|| runtime.block_on(work(config, &mut done)));
    let _ = std::panic::catch_unwind(working);
    let path = saboteur.struck.lock().unwrap().clone()?;
    let whole = std::panic::catch_unwind(|| verify(dir.path(), &done));
    assert!(
        whole.is_ok(),
        "{fault:?} at {act:?} {number}, of {}",
        path.display()
    );
    Some(path)
}

/// The next life finds all that was promised, and takes more.
fn verify(dir: &Path, done: &Done) {
    let opened = reopen(&small(dir));
    let size = opened.size();
    assert!(size >= done.size, "{size} entries of {}", done.size);
    let public = dir.join("ledger/public");
    assert_eq!(published_entries(&public).1, texts(size));
    for document in &done.documents {
        let kept = opened.blobs().get(&Digest::of(document)).unwrap();
        assert_eq!(kept.as_ref(), Some(document));
    }
    let ledger = opened.start(Recorder::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        ledger.commit(one()).await.unwrap();
        ledger.shutdown().await;
        assert_eq!(ledger.status(), Status::Closed);
    });
    assert_eq!(published_entries(&public).1, texts(size + 1));
}

/// There is nothing torn here, and so nothing to cut off, unless a write is cut short.
const ACTS: [Act; 7] = [
    Act::MakeFolder,
    Act::Create,
    Act::Write,
    Act::SyncFile,
    Act::SyncFolder,
    Act::Rename,
    Act::Remove,
];

#[test]
fn whichever_operation_fails_nothing_promised_is_lost_and_the_log_verifies() {
    // A publisher that failed waits before it tries again, so that many can wait at a time.
    std::thread::scope(|scope| {
        for fault in FAULTS {
            for act in ACTS {
                scope.spawn(move || {
                    let mut number = 0;
                    while struck(fault, act, number).is_some() {
                        number += 1;
                    }
                    assert!(number > 0, "{act:?} was never struck");
                });
            }
        }
    });
}
