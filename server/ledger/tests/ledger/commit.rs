use std::sync::atomic::Ordering;
use std::time::Duration;

use dockmaster_ledger::{CommitError, Digest, Limits, OpenError, Proposal, Status, Step};

use crate::fixture::{Fixture, commit_each, one, several, text, texts, verify_receipt};

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    commit_each(&ledger, 300).await;
    verify_receipt(&ledger.commit(several(256)).await.unwrap());
    ledger.shutdown().await;
    assert_eq!(fixture.published_entries(), texts(556));

    let opened = fixture.open().unwrap();
    assert_eq!(opened.size(), 556);
    let entries: Vec<_> = opened
        .entries(0)
        .map(|entry| entry.unwrap().entry.to_vec())
        .collect();
    assert_eq!(entries, texts(556));
    let ledger = opened.start(fixture.sink.clone()).unwrap();
    commit_each(&ledger, 1).await;
    ledger.shutdown().await;
    assert_eq!(fixture.published_entries(), texts(557));
}

#[tokio::test]
async fn the_sink_gets_every_entry_once_in_order_and_before_the_answer() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    for size in 1..=50 {
        ledger.commit(one()).await.unwrap();
        assert_eq!(fixture.sink.applied.lock().unwrap().len(), size);
    }
    ledger.shutdown().await;
    let applied = fixture.sink.applied.lock().unwrap().clone();
    let entries: Vec<_> = applied
        .iter()
        .map(|committed| committed.entry.to_vec())
        .collect();
    assert_eq!(entries, texts(50));
    assert_eq!(*fixture.sink.persisted.lock().unwrap(), applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_commits_share_syncs() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    let commits: Vec<_> = (0..2_000)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.commit(one()).await.unwrap() })
        })
        .collect();
    for commit in commits {
        verify_receipt(&commit.await.unwrap());
    }
    let syncs = fixture.faults.count(Step::Sync);
    assert!(syncs < 1_000, "{syncs} syncs for 2000 commits");
    ledger.shutdown().await;
    assert_eq!(fixture.published_entries(), texts(2_000));
}

#[tokio::test]
async fn what_is_committed_soon_after_a_publication_is_published_together() {
    let mut fixture = Fixture::new();
    fixture.limits.publish_every = Duration::from_secs(3600);
    let ledger = fixture.start();
    commit_each(&ledger, 50).await;
    // The end waits for no distance.
    ledger.shutdown().await;
    let publications = fixture.faults.count(Step::Tiles);
    assert!(publications <= 2, "{publications} publications");
    assert_eq!(fixture.published_entries(), texts(50));
    assert_eq!(fixture.sink.persisted.lock().unwrap().len(), 50);
}

#[tokio::test]
async fn a_proposal_lies_together_in_one_frame() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    let (a, b) = tokio::join!(ledger.commit(several(200)), ledger.commit(several(200)));
    let (a, b) = (a.unwrap(), b.unwrap());
    verify_receipt(&a);
    verify_receipt(&b);
    assert_eq!((a.head().size, b.head().size), (200, 400));
}

#[tokio::test]
async fn time_increases_strictly_even_when_the_clock_steps_back() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    let first = ledger.commit(several(3)).await.unwrap();
    assert_eq!(
        first.stamps().iter().map(|s| s.ts_ms).collect::<Vec<_>>(),
        [1_000, 1_001, 1_002]
    );
    fixture.clock.store(5_000, Ordering::SeqCst);
    assert_eq!(ledger.commit(one()).await.unwrap().stamps()[0].ts_ms, 5_000);
    fixture.clock.store(10, Ordering::SeqCst);
    assert_eq!(ledger.commit(one()).await.unwrap().stamps()[0].ts_ms, 5_001);
    ledger.shutdown().await;

    let ledger = fixture.start();
    assert_eq!(ledger.commit(one()).await.unwrap().stamps()[0].ts_ms, 5_002);
}

#[tokio::test]
async fn a_proposal_that_cannot_fit_is_refused_and_takes_no_index() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    let refusal = ledger.commit(Proposal::default()).await.unwrap_err();
    assert!(matches!(refusal, CommitError::Empty));
    let refusal = ledger.commit(several(257)).await.unwrap_err();
    assert!(matches!(
        refusal,
        CommitError::TooManyEntries { count: 257 }
    ));
    let blobs = vec![vec![0; 1 << 20], vec![0]];
    let refusal = ledger
        .commit(Proposal { blobs, ..one() })
        .await
        .unwrap_err();
    assert!(matches!(
        refusal,
        CommitError::TooManyBlobs { count: 2, .. }
    ));
    let mut long = several(2);
    long.drafts.push(Box::new(|_| vec![b'x'; 65_536]));
    let refusal = ledger.commit(long).await.unwrap_err();
    assert!(matches!(
        refusal,
        CommitError::EntryTooLong { bytes: 65_536 }
    ));

    let longest = Proposal::of(|_| vec![b'x'; 65_535]);
    assert_eq!(ledger.commit(longest).await.unwrap().entries()[0].index, 0);
    assert_eq!(
        ledger.commit(one()).await.unwrap().entries()[0].entry[..],
        text(1)
    );
}

#[tokio::test]
async fn an_overlong_entry_fails_its_own_proposal_only() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    let long = Proposal::of(|_| vec![b'x'; 65_536]);
    let (a, long, b) = tokio::join!(
        ledger.commit(one()),
        ledger.commit(long),
        ledger.commit(one())
    );
    assert!(long.is_err());
    verify_receipt(&a.unwrap());
    verify_receipt(&b.unwrap());
    ledger.shutdown().await;
    assert_eq!(fixture.published_entries(), texts(2));
}

#[tokio::test]
async fn documents_that_ride_along_are_there_at_once_and_for_good() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    let documents: Vec<Vec<u8>> = (0..20_u8).map(|i| vec![i; 300]).collect();
    let digests: Vec<_> = documents
        .iter()
        .map(|document| Digest::of(document))
        .collect();
    ledger
        .commit(Proposal {
            blobs: documents.clone(),
            ..one()
        })
        .await
        .unwrap();
    for (digest, document) in digests.iter().zip(&documents) {
        assert_eq!(ledger.blobs().get(digest).unwrap().as_ref(), Some(document));
    }
    ledger.shutdown().await;
    let opened = fixture.open().unwrap();
    for (digest, document) in digests.iter().zip(&documents) {
        assert!(opened.blobs().contains(digest).unwrap());
        assert_eq!(opened.blobs().get(digest).unwrap().as_ref(), Some(document));
    }
    assert_eq!(opened.blobs().get(&Digest::of(b"other")).unwrap(), None);
}

#[tokio::test]
async fn segments_rotate_and_go_once_they_are_published_and_persisted() {
    let mut fixture = Fixture::new();
    fixture.limits = Limits {
        segment_bytes: 2_000,
        ..Limits::default()
    };
    let ledger = fixture.start();
    commit_each(&ledger, 100).await;
    ledger.shutdown().await;
    let segments = fixture.segments();
    assert_eq!(segments.len(), 1, "{segments:?}");
    assert!(!segments[0].ends_with("00000000000000000000.wal"));
    assert_eq!(fixture.published_entries(), texts(100));

    let ledger = fixture.start();
    commit_each(&ledger, 200).await;
    ledger.shutdown().await;
    assert_eq!(fixture.published_entries(), texts(300));
}

#[tokio::test]
async fn a_ledger_is_opened_by_one_process_at_a_time() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    let refusal = fixture.refusal();
    assert!(matches!(refusal, OpenError::InUse { .. }));
    assert!(
        refusal
            .to_string()
            .contains(&std::process::id().to_string()),
        "{refusal}"
    );
    ledger.shutdown().await;
    fixture.open().unwrap();
}

#[tokio::test]
async fn a_ledger_is_never_made_over_another() {
    let fixture = Fixture::new();
    let refusal = dockmaster_ledger::Ledger::create(&fixture.config()).unwrap_err();
    assert!(matches!(refusal, OpenError::Exists { .. }));
    let empty = Fixture::empty();
    std::fs::create_dir_all(empty.wal()).unwrap();
    assert!(matches!(empty.refusal(), OpenError::NotThere { .. }));
}

#[tokio::test]
async fn after_shutdown_commits_are_refused_and_reading_goes_on() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    commit_each(&ledger, 3).await;
    ledger.shutdown().await;
    assert!(matches!(
        ledger.commit(one()).await,
        Err(CommitError::Closed)
    ));
    assert_eq!(ledger.status(), Status::Closed);
    assert_eq!(ledger.entry(2).unwrap().unwrap().entry[..], text(2));
    ledger.shutdown().await;
}
