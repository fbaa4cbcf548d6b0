//! What was lost below `public/` is made again from the entries, or named.

use std::fs;
use std::path::PathBuf;

use dockmaster_ledger::{OpenError, Repair, RepairError, repair};

use crate::fixture::{Fixture, several, texts};

const SIZE: u64 = 600;

/// A ledger whose first bundles are in no write-ahead segment any more.
async fn large() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.limits.segment_bytes = 1_000;
    let ledger = fixture.start();
    for _ in 0..SIZE / 100 {
        ledger.commit(several(100)).await.unwrap();
    }
    ledger.shutdown().await;
    fixture
}

fn repaired(fixture: &Fixture) -> Repair {
    let (opened, repair) = repair(fixture.config()).unwrap();
    drop(opened);
    assert_eq!(fixture.published_entries(), texts(SIZE));
    repair
}

#[tokio::test]
async fn a_whole_ledger_needs_no_repair() {
    let fixture = large().await;
    let expected = Repair {
        size: SIZE,
        rewritten: vec![],
        set_aside: None,
    };
    assert_eq!(repaired(&fixture), expected);
}

#[tokio::test]
async fn a_hash_tile_in_the_middle_that_is_gone_or_damaged_is_made_again() {
    let fixture = large().await;
    let tile = fixture.public().join("tile/0/000");
    let good = fs::read(&tile).unwrap();
    let mut flipped = good.clone();
    flipped[100] ^= 1;
    for bad in [None, Some(flipped.as_slice()), Some(&good[..64]), Some(b"")] {
        match bad {
            Some(bytes) => fs::write(&tile, bytes).unwrap(),
            None => fs::remove_file(&tile).unwrap(),
        }
        // An ordinary start goes on from the right edge and does not look there.
        drop(fixture.open().unwrap());
        assert_eq!(repaired(&fixture).rewritten, std::slice::from_ref(&tile));
        assert_eq!(fs::read(&tile).unwrap(), good);
    }
}

#[tokio::test]
async fn all_hash_tiles_at_once_are_made_again() {
    let fixture = large().await;
    for level in ["0", "1"] {
        fs::remove_dir_all(fixture.public().join("tile").join(level)).unwrap();
    }
    let _ = repaired(&fixture);
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_read_is_set_aside_and_written_from_the_frame() {
    let fixture = large().await;
    let checkpoint = fixture.public().join("checkpoint");
    let good = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &good[..good.len() - 9]).unwrap();
    assert!(matches!(fixture.refusal(), OpenError::Checkpoint { .. }));
    let aside: PathBuf = repaired(&fixture).set_aside.unwrap();
    assert_eq!(fs::read(aside).unwrap(), good[..good.len() - 9]);
    assert_eq!(fs::read(checkpoint).unwrap(), good);
}

#[tokio::test]
async fn entries_that_are_nowhere_else_are_named_and_nothing_is_made_up() {
    let fixture = large().await;
    let bundle = fixture.public().join("tile/entries/000");
    let good = fs::read(&bundle).unwrap();
    fs::remove_file(&bundle).unwrap();
    let error = repair(fixture.config()).unwrap_err();
    assert!(
        matches!(&error, RepairError::Entries { path } if *path == bundle),
        "{error}"
    );

    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&bundle, &changed).unwrap();
    let error = repair(fixture.config()).unwrap_err();
    assert!(
        matches!(error, RepairError::Root { size: SIZE, .. }),
        "{error}"
    );

    // With the right bundle back everything is right again, whatever the failed repair wrote.
    fs::write(&bundle, &good).unwrap();
    let _ = repaired(&fixture);
}

#[tokio::test]
async fn a_ledger_in_use_is_not_repaired() {
    let fixture = large().await;
    let ledger = fixture.start();
    let error = repair(fixture.config()).unwrap_err();
    assert!(
        matches!(error, RepairError::Open(OpenError::InUse { .. })),
        "{error}"
    );
    ledger.shutdown().await;
}
