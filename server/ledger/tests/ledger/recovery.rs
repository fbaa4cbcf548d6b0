use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use dockmaster_ledger::{Digest, Limits, Proposal, Step};

use crate::fixture::{Fixture, commit_each, one, several, texts};

/// A ledger with this many frames of one entry in its only segment.
async fn with_frames(count: usize) -> Fixture {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    commit_each(&ledger, count).await;
    ledger.shutdown().await;
    fixture
}

/// A ledger whose write-ahead log begins at some later index.
async fn with_base() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.limits = Limits {
        segment_bytes: 20_000,
        ..Limits::default()
    };
    let ledger = fixture.start();
    for _ in 0..70 {
        ledger.commit(several(17)).await.unwrap();
    }
    ledger.shutdown().await;
    assert!(!fixture.segments()[0].ends_with("00000000000000000000.wal"));
    fixture
}

fn remove_published(fixture: &Fixture) {
    fs::remove_dir_all(fixture.public()).unwrap();
    fs::create_dir(fixture.public()).unwrap();
}

#[tokio::test]
async fn a_frame_torn_at_any_byte_is_discarded_and_the_log_goes_on() {
    let fixture = with_frames(3).await;
    let segment = &fixture.segments()[0];
    let before = fs::read(segment).unwrap().len();
    let ledger = fixture.start();
    ledger
        .commit(Proposal {
            blobs: vec![b"document".to_vec()],
            ..one()
        })
        .await
        .unwrap();
    ledger.shutdown().await;
    let whole = fs::read(segment).unwrap();
    for cut in before..whole.len() {
        // What is published goes too: a frame is only ever torn before it is.
        remove_published(&fixture);
        fs::write(segment, &whole[..cut]).unwrap();
        let opened = fixture.open().unwrap();
        assert_eq!(opened.size(), 3, "cut at {cut}");
        assert_eq!(opened.recovery().discarded, (cut - before) as u64);
        let entries: Vec<_> = opened
            .entries(0)
            .map(|e| e.unwrap().entry.to_vec())
            .collect();
        assert_eq!(entries, texts(3));
        assert_eq!(fixture.published_entries(), texts(3));
        drop(opened);
        assert_eq!(fs::read(segment).unwrap().len(), before);
    }
    let ledger = fixture.start();
    commit_each(&ledger, 2).await;
    ledger.shutdown().await;
    assert_eq!(fixture.published_entries(), texts(5));
}

#[tokio::test]
async fn a_frame_of_zeros_or_garbage_at_the_end_is_torn_too() {
    let fixture = with_frames(3).await;
    let segment = &fixture.segments()[0];
    let good = fs::read(segment).unwrap();
    for tail in [
        vec![0; 4096],
        vec![0xFF; 100],
        b"DMF1DMF1DMF1\0\0\0\0".to_vec(),
    ] {
        fs::write(segment, [&good[..], &tail[..]].concat()).unwrap();
        assert_eq!(fixture.open().unwrap().size(), 3);
        assert_eq!(fs::read(segment).unwrap(), good);
    }
}

#[tokio::test]
async fn an_entry_that_contains_a_frame_does_not_make_a_torn_end_look_like_damage() {
    let fixture = with_frames(2).await;
    let segment = fixture.segments()[0].clone();
    // A frame such as an attacker can make: right checksum, right place, wrong signature.
    let other = with_frames(3).await;
    let forged = fs::read(&other.segments()[0]).unwrap();
    let before = fs::read(&segment).unwrap().len();
    let last = forged
        .windows(4)
        .rposition(|bytes| bytes == b"DMF1")
        .unwrap();
    let mut forged = forged[last..].to_vec();
    let at = forged
        .windows(11)
        .position(|bytes| bytes == b"example.org")
        .unwrap();
    forged[at] = b'E';
    let crc_at = forged.len() - 4;
    let crc = crc32(&forged[..crc_at]);
    forged[crc_at..].copy_from_slice(&crc.to_be_bytes());

    let ledger = fixture.start();
    ledger.commit(Proposal::of(move |_| forged)).await.unwrap();
    ledger.shutdown().await;
    let whole = fs::read(&segment).unwrap();
    remove_published(&fixture);
    fs::write(&segment, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(fixture.open().unwrap().size(), 2);
    assert_eq!(fs::read(&segment).unwrap().len(), before);
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[tokio::test]
async fn a_frame_that_was_never_answered_is_taken_with_its_very_checkpoint() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    fixture.faults.fail(Step::Sync, ErrorKind::Other);
    ledger.commit(one()).await.unwrap_err();
    while fixture.open().is_err() {
        tokio::task::yield_now().await;
    }
    let frame = fs::read(&fixture.segments()[0]).unwrap();
    let checkpoint = fs::read(fixture.public().join("checkpoint")).unwrap();
    assert_eq!(fixture.published_entries(), texts(1));
    assert!(
        frame
            .windows(checkpoint.len())
            .any(|bytes| bytes == checkpoint)
    );
}

#[tokio::test]
async fn everything_published_is_written_again_from_the_write_ahead_log() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    for _ in 0..3 {
        ledger.commit(several(200)).await.unwrap();
    }
    ledger.shutdown().await;
    remove_published(&fixture);
    assert_eq!(fixture.open().unwrap().recovery().published, None);
    assert_eq!(fixture.published_entries(), texts(600));
    for path in ["tile/0/001", "tile/entries/000", "tile/1/000.p/2"] {
        fs::write(fixture.public().join(path), b"rotten").unwrap();
        fixture.open().unwrap();
        assert_eq!(fixture.published_entries(), texts(600));
    }
}

#[tokio::test]
async fn documents_are_written_again_from_the_write_ahead_log() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    let document = b"a document".to_vec();
    let digest = Digest::of(&document);
    ledger
        .commit(Proposal {
            blobs: vec![document.clone()],
            ..one()
        })
        .await
        .unwrap();
    ledger.shutdown().await;
    let path = fixture.public().join("../../blobs/packs/0000000000.pack");
    for spoil in [
        |path: &Path| fs::remove_file(path),
        |path: &Path| fs::write(path, b""),
        |path: &Path| {
            let mut bytes = fs::read(path)?;
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(path, bytes)
        },
        |path: &Path| fs::write(path, [0; 4096]),
    ] {
        spoil(&path).unwrap();
        let opened = fixture.open().unwrap();
        assert_eq!(opened.blobs().get(&digest).unwrap(), Some(document.clone()));
    }
}

#[tokio::test]
async fn a_ledger_goes_on_from_published_files_where_its_write_ahead_log_begins() {
    let fixture = with_base().await;
    let ledger = fixture.start();
    commit_each(&ledger, 10).await;
    ledger.shutdown().await;
    assert_eq!(fixture.published_entries(), texts(1_200));
    // From wider partial files too, when those of the first index are gone.
    let ledger = fixture.start();
    ledger.commit(several(256)).await.unwrap();
    ledger.shutdown().await;
    assert_eq!(fixture.open().unwrap().size(), 1_456);
    assert_eq!(fixture.published_entries(), texts(1_456));
}

#[tokio::test]
async fn lost_hash_tiles_are_written_again_from_the_entries() {
    let fixture = with_base().await;
    for level in ["tile/0", "tile/1"] {
        fs::remove_dir_all(fixture.public().join(level)).unwrap();
        fixture.open().unwrap();
        assert_eq!(fixture.published_entries(), texts(1_190));
    }
}

#[tokio::test]
async fn an_empty_last_segment_is_taken_up() {
    let fixture = with_frames(4).await;
    fs::write(fixture.wal().join("00000000000000000004.wal"), b"").unwrap();
    let ledger = fixture.start();
    commit_each(&ledger, 2).await;
    ledger.shutdown().await;
    assert_eq!(fixture.segments().len(), 1);
    assert_eq!(fixture.published_entries(), texts(6));
}

#[tokio::test]
async fn recovery_changes_nothing_when_nothing_is_wrong() {
    let fixture = with_base().await;
    let listing = || {
        let mut files = Vec::new();
        let mut folders = vec![fixture.public(), fixture.wal()];
        while let Some(folder) = folders.pop() {
            for file in fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let content = fs::read(&path).unwrap();
                    files.push((path, content));
                }
            }
        }
        files.sort();
        files
    };
    let before = listing();
    fixture.open().unwrap();
    assert!(listing() == before);
}
