//! A ledger made again from its entries.

use std::fs;

use dockmaster_ledger::{Import, ImportError, Ledger, OpenError, SignedBy};
use dockmaster_tlog::note::{KeyName, SigningKey};

use crate::fixture::{Fixture, commit_each, several, texts};

/// The signed head of a ledger with this many entries.
async fn signed(size: usize) -> String {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    for start in (0..size).step_by(200) {
        ledger.commit(several(200.min(size - start))).await.unwrap();
    }
    let head = ledger.head();
    ledger.shutdown().await;
    head.checkpoint.to_string()
}

fn import(fixture: &Fixture, entries: &[Vec<u8>]) -> Import {
    let mut import = Import::begin(fixture.config()).unwrap();
    for entry in entries {
        import.entry(entry).unwrap();
    }
    import
}

#[tokio::test]
async fn an_imported_ledger_is_the_same_log_and_goes_on() {
    for size in [1, 2, 255, 256, 257, 600] {
        let head = signed(size).await;
        let fixture = Fixture::empty();
        let import = import(&fixture, &texts(size as u64));
        let document = import.blob(b"a document").unwrap();
        import.finish(SignedBy::Itself(&head), 5_000).unwrap();
        let checkpoint = fixture.public().join("checkpoint");
        assert_eq!(fs::read_to_string(checkpoint).unwrap(), head);
        assert_eq!(fixture.published_entries(), texts(size as u64));

        let ledger = fixture.start();
        assert_eq!(&*ledger.head().checkpoint, head.as_str());
        assert!(ledger.blobs().get(&document).unwrap().is_some());
        // The clock of the fixture is far behind: time goes on from the last entry.
        let receipt = ledger.commit(several(1)).await.unwrap();
        assert!(receipt.stamps()[0].ts_ms > 5_000);
        commit_each(&ledger, 300).await;
        ledger.shutdown().await;
        assert_eq!(fixture.published_entries(), texts(size as u64 + 301));
        drop(fixture.open().unwrap());
    }
}

#[tokio::test]
async fn entries_that_were_not_signed_make_no_ledger() {
    let head = signed(300).await;
    let mut changed = texts(300);
    changed[7] = b"{\"entry\":\"never\"}".to_vec();
    for entries in [changed, texts(299), texts(301)] {
        let fixture = Fixture::empty();
        let import = import(&fixture, &entries);
        let error = import.finish(SignedBy::Itself(&head), 1).unwrap_err();
        assert!(
            matches!(error, ImportError::Root { signed: 300, .. }),
            "{error}"
        );
        assert!(matches!(fixture.refusal(), OpenError::NotThere { .. }));
    }
    let fixture = Fixture::empty();
    let error = import(&fixture, &[]).finish(SignedBy::Itself(&head), 1);
    assert!(matches!(error, Err(ImportError::Empty)));
}

#[tokio::test]
async fn a_head_of_another_key_is_not_taken_and_a_new_key_makes_a_new_log() {
    let head = signed(3).await;
    let fixture = Fixture::empty();
    let mut config = fixture.config();
    let name = KeyName::new("example.org/dockmaster-log").unwrap();
    config.key = SigningKey::from_seed(name, &[8; 32]).into();
    let begin = || {
        let mut import = Import::begin(config.clone()).unwrap();
        for entry in texts(3) {
            import.entry(&entry).unwrap();
        }
        import
    };
    let error = begin().finish(SignedBy::Itself(&head), 1).unwrap_err();
    assert!(matches!(error, ImportError::Checkpoint(_)), "{error}");
    fs::remove_dir_all(fixture.public()).unwrap_or_default();
    begin().finish(SignedBy::NewKey, 1).unwrap();
    let opened = Ledger::open(config).unwrap();
    assert_eq!(opened.size(), 3);
}

#[tokio::test]
async fn nothing_is_imported_over_a_ledger() {
    let fixture = Fixture::new();
    let error = Import::begin(fixture.config()).unwrap_err();
    assert!(
        matches!(error, ImportError::Open(OpenError::Exists { .. })),
        "{error}"
    );
}
