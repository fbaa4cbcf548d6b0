use std::io::ErrorKind;

use dockmaster_ledger::{Ledger, ReadError, Step};
use dockmaster_tlog::checkpoint::Checkpoint;
use dockmaster_tlog::tree::verify_consistency;

use crate::fixture::{Fixture, commit_each, one, several, text, texts, verifier};

fn head(ledger: &Ledger) -> Checkpoint {
    Checkpoint::open(&ledger.head().checkpoint, &verifier()).unwrap()
}

/// Every entry reads and proves, and every size is consistent with the head.
fn check_all(ledger: &Ledger, heads: &[Checkpoint]) {
    let size = ledger.head().size;
    let entries: Vec<_> = ledger
        .entries(0..u64::MAX)
        .map(|e| e.unwrap().entry.to_vec())
        .collect();
    assert_eq!(entries, texts(size));
    for index in 0..size {
        let entry = ledger.entry(index).unwrap().unwrap();
        assert_eq!((entry.index, &entry.entry[..]), (index, &text(index)[..]));
        let proof = ledger.inclusion_proof(index).unwrap();
        assert_eq!(proof.verify(&entry.entry, &verifier()).unwrap().size, size);
    }
    let new = head(ledger);
    for old in heads {
        let proof = ledger.consistency_proof(old.size).unwrap();
        verify_consistency(old.size, &old.root, new.size, &new.root, &proof.hashes).unwrap();
    }
    assert!(ledger.entry(size).unwrap().is_none());
    let beyond = ledger.inclusion_proof(size).unwrap_err();
    assert!(matches!(beyond, ReadError::BeyondTheEnd { .. }), "{beyond}");
    assert!(matches!(
        ledger.consistency_proof(size + 1),
        Err(ReadError::BeyondTheEnd { .. })
    ));
}

#[tokio::test]
async fn entries_and_proofs_are_served_from_memory_while_nothing_is_published() {
    let fixture = Fixture::new();
    fixture.faults.fail(Step::Tiles, ErrorKind::StorageFull);
    let ledger = fixture.start();
    let mut heads = vec![head(&ledger)];
    for count in [1, 2, 100, 250, 7] {
        ledger.commit(several(count)).await.unwrap();
        heads.push(head(&ledger));
        check_all(&ledger, &heads);
    }
    assert_eq!(ledger.published().size, 0);
    fixture.faults.heal(Step::Tiles);
    ledger.shutdown().await;
    assert_eq!(ledger.published(), ledger.head());
    check_all(&ledger, &heads);
}

#[tokio::test]
async fn entries_and_proofs_are_served_from_tiles_and_memory_together() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    ledger.commit(several(200)).await.unwrap();
    ledger.commit(several(199)).await.unwrap();
    let heads = [head(&ledger)];
    ledger.shutdown().await;
    let ledger = fixture.start();
    fixture.faults.fail(Step::Tiles, ErrorKind::StorageFull);
    commit_each(&ledger, 200).await;
    assert_eq!((ledger.published().size, ledger.head().size), (399, 599));
    check_all(&ledger, &heads);
    fixture.faults.heal(Step::Tiles);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_never_misses_while_partial_files_are_superseded() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    ledger.commit(one()).await.unwrap();
    let reader = {
        let ledger = ledger.clone();
        tokio::task::spawn_blocking(move || {
            while ledger.head().size < 2_000 {
                let size = ledger.head().size;
                for index in [0, size / 2, size - 1] {
                    let entry = ledger.entry(index).unwrap().unwrap();
                    let proof = ledger.inclusion_proof(index).unwrap();
                    proof.verify(&entry.entry, &verifier()).unwrap();
                }
            }
        })
    };
    while ledger.head().size < 2_000 {
        ledger.commit(several(13)).await.unwrap();
    }
    reader.await.unwrap();
}

#[tokio::test]
async fn a_missing_bundle_is_named_and_ends_the_entries() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    for _ in 0..3 {
        ledger.commit(several(256)).await.unwrap();
    }
    ledger.shutdown().await;
    std::fs::remove_file(fixture.public().join("tile/entries/001")).unwrap();
    let mut entries = ledger.entries(0..768);
    assert_eq!(
        entries.by_ref().take_while(|entry| entry.is_ok()).count(),
        256
    );
    assert!(entries.next().is_none());
    let error = ledger.entry(300).unwrap_err().to_string();
    assert!(error.contains("tile/entries/001 is missing"), "{error}");
}
