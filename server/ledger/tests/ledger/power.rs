//! The power fails before each single operation, and what was not synced is lost.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};

use dockmaster_ledger::{Config, Digest, Ledger, Limits, Moment, Operation, Proposal, Step, Watch};
use tempfile::TempDir;

use crate::fixture::{Recorder, config, one, published_entries, reopen, several, texts};
use crate::shadow::{Image, LOSSES, Loss, Shadow, restore};

/// What somebody was promised before the power went.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Promised {
    size: u64,
    documents: Vec<Vec<u8>>,
}

/// A moment at which the power could go.
type Moments = BTreeSet<(Image, Promised)>;

/// Small, so that segments are begun and dropped all the time.
fn small(dir: &Path) -> Config {
    let mut config = config(dir);
    config.limits = Limits {
        segment_bytes: 1_500,
        // A few documents each.
        pack_bytes: 150,
        ..Limits::default()
    };
    config
}

/// A folder in memory where there is one: a sync there costs nothing, and nothing here depends on it.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

/// Keeps an image of each moment before an operation.
fn watch(dir: &Path, loss: Loss, promised: &Arc<Mutex<Promised>>) -> (Watch, Arc<Mutex<Moments>>) {
    let moments = Arc::new(Mutex::new(Moments::new()));
    let (kept, promised) = (moments.clone(), promised.clone());
    let shadow = Mutex::new(Shadow::of(dir));
    let watch = move |operation: Operation<'_>| {
        let mut shadow = shadow.lock().unwrap();
        // Promised so far is certainly no more than what is on the disk so far.
        let promised = promised.lock().unwrap().clone();
        if operation.moment == Moment::Before {
            kept.lock().unwrap().insert((shadow.image(loss), promised));
        }
        shadow.follow(&operation);
        Ok(())
    };
    (Arc::new(watch), moments)
}

/// Commits entries with documents and without, one by one and many together, and stores documents.
async fn work(ledger: &Ledger, promised: &Mutex<Promised>, round: u8) {
    for n in 0..6_u8 {
        let document = vec![round, n, b'd'];
        let mut proposal = one();
        proposal.blobs.push(document.clone());
        let receipt = ledger.commit(proposal).await.unwrap();
        let mut promised = promised.lock().unwrap();
        promised.size = receipt.head().size;
        promised.documents.push(document);
    }
    let stored = vec![round, b's'];
    ledger.blobs().put(&stored).unwrap();
    promised.lock().unwrap().documents.push(stored);
    let receipt = ledger.commit(several(140)).await.unwrap();
    promised.lock().unwrap().size = receipt.head().size;
}

fn start(config: &Config) -> Ledger {
    reopen(config).start(Recorder::default()).unwrap()
}

/// All moments of a ledger's work over several lives.
fn moments(loss: Loss) -> Moments {
    let dir = folder();
    let promised = Arc::new(Mutex::new(Promised::default()));
    let (watch, moments) = watch(dir.path(), loss, &promised);
    let config = || Config {
        watch: Some(watch.clone()),
        ..small(dir.path())
    };
    Ledger::create(&config()).unwrap();
    moments.lock().unwrap().clear();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for round in 0..3 {
        let ledger = start(&config());
        runtime.block_on(async {
            work(&ledger, &promised, round).await;
            ledger.shutdown().await;
        });
        // A life that ends between a frame and its sync: the next one finds the frame, and has to
        // make it durable before anybody hears of it.
        let ledger = start(&Config {
            probe: Some(Arc::new(|step| match step {
                Step::Sync => Err(ErrorKind::Other.into()),
                _ => Ok(()),
            })),
            ..config()
        });
        let refusal = runtime.block_on(ledger.commit(one()));
        assert!(refusal.is_err());
    }
    // The last of these lives leaves a frame as well.
    drop(start(&config()));
    std::mem::take(&mut *moments.lock().unwrap())
}

/// The ledger opens on what was left, has all that was promised, and goes on.
fn check(image: &Image, promised: &Promised) {
    let dir = folder();
    restore(image, dir.path());
    let public = dir.path().join("ledger/public");
    // A static file server may be quicker than the master: no checkpoint without its tiles.
    published_entries(&public);
    let opened = Ledger::open(small(dir.path())).unwrap();
    let size = opened.size();
    assert!(size >= promised.size, "{size} entries of {}", promised.size);
    assert_eq!(published_entries(&public).1, texts(size));
    for document in &promised.documents {
        let kept = opened.blobs().get(&Digest::of(document)).unwrap();
        assert_eq!(kept.as_ref(), Some(document), "at {size} entries");
    }
    let ledger = opened.start(Recorder::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let proposal: Proposal = one();
        ledger.commit(proposal).await.unwrap();
        ledger.shutdown().await;
    });
    assert_eq!(published_entries(&public).1, texts(size + 1));
}

#[test]
fn a_loss_of_power_before_any_operation_loses_nothing_that_was_promised() {
    for loss in LOSSES {
        let moments = moments(loss);
        assert!(moments.len() > 30, "only {} moments", moments.len());
        for (number, (image, promised)) in moments.iter().enumerate() {
            let whole = std::panic::catch_unwind(|| check(image, promised));
            let files: Vec<_> = image.keys().collect();
            assert!(whole.is_ok(), "{loss:?}, moment {number}: {files:#?}");
        }
    }
}
