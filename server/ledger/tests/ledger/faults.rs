use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use dockmaster_ledger::{CommitError, Ledger, Limits, Proposal, Status, Step};
use tempfile::TempDir;

use crate::fixture::{
    Fixture, Recorder, commit_each, config, one, published_entries, several, texts,
};

async fn until(ledger: &Ledger, wanted: impl Fn(&Status) -> bool) {
    for _ in 0..500 {
        if wanted(&ledger.status()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the status stays {:?}", ledger.status());
}

#[tokio::test]
async fn a_full_disk_refuses_commits_and_recovers_by_itself() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    commit_each(&ledger, 3).await;
    fixture.faults.fail(Step::Append, ErrorKind::StorageFull);
    let refusal = ledger.commit(one()).await.unwrap_err();
    assert!(matches!(refusal, CommitError::NoSpace(_)), "{refusal}");
    assert!(matches!(ledger.status(), Status::Full { .. }));
    assert!(ledger.entry(2).unwrap().is_some());
    fixture.faults.heal(Step::Append);
    until(&ledger, |status| *status == Status::Healthy).await;
    commit_each(&ledger, 3).await;
    ledger.shutdown().await;
    assert_eq!(fixture.published_entries(), texts(6));
}

#[tokio::test]
async fn the_next_commit_on_a_full_disk_tries_again() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    fixture.faults.fail(Step::Append, ErrorKind::StorageFull);
    ledger.commit(one()).await.unwrap_err();
    fixture.faults.heal(Step::Append);
    assert_eq!(ledger.commit(one()).await.unwrap().entries()[0].index, 0);
    assert_eq!(ledger.status(), Status::Healthy);
}

#[tokio::test]
async fn a_failed_sync_ends_the_writer_and_acknowledges_nothing() {
    let fixture = Fixture::new();
    let ledger = fixture.start();
    commit_each(&ledger, 2).await;
    fixture.faults.fail(Step::Sync, ErrorKind::Other);
    // The test's hook panics where a master aborts.
    assert!(matches!(
        ledger.commit(one()).await,
        Err(CommitError::Closed)
    ));
    fixture.faults.heal(Step::Sync);
    until(&ledger, |status| *status == Status::Closed).await;
    assert!(matches!(
        ledger.commit(one()).await,
        Err(CommitError::Closed)
    ));
    assert_eq!(fixture.sink.applied.lock().unwrap().len(), 2);
    assert_eq!(
        fixture.faults.count(Step::Sync),
        3,
        "the sync was tried again"
    );
}

#[tokio::test]
async fn a_stalled_publisher_is_reported_and_catches_up() {
    for step in [Step::Tiles, Step::Checkpoint, Step::Persist] {
        let fixture = Fixture::new();
        let ledger = fixture.start();
        fixture.faults.fail(step, ErrorKind::StorageFull);
        commit_each(&ledger, 5).await;
        until(&ledger, |status| matches!(status, Status::Stalled { .. })).await;
        commit_each(&ledger, 5).await;
        fixture.faults.heal(step);
        until(&ledger, |status| *status == Status::Healthy).await;
        ledger.shutdown().await;
        assert_eq!(fixture.published_entries(), texts(10), "{step:?}");
        assert_eq!(fixture.sink.persisted.lock().unwrap().len(), 10, "{step:?}");
    }
}

#[tokio::test]
async fn a_stalled_publisher_bounds_what_is_kept_in_memory() {
    let mut fixture = Fixture::new();
    fixture.limits = Limits {
        backlog_bytes: 1_000,
        ..Limits::default()
    };
    let ledger = fixture.start();
    fixture.faults.fail(Step::Tiles, ErrorKind::StorageFull);
    let refusal = loop {
        if let Err(refusal) = ledger.commit(several(10)).await {
            break refusal;
        }
        assert!(ledger.head().size < 1_000, "commits go on for ever");
    };
    assert!(matches!(refusal, CommitError::Stalled { .. }), "{refusal}");
    fixture.faults.heal(Step::Tiles);
    until(&ledger, |status| *status == Status::Healthy).await;
    commit_each(&ledger, 1).await;
}

#[tokio::test]
async fn a_segment_stays_until_the_sink_has_persisted_it() {
    let mut fixture = Fixture::new();
    fixture.limits = Limits {
        segment_bytes: 1_000,
        ..Limits::default()
    };
    let ledger = fixture.start();
    fixture.faults.fail(Step::Persist, ErrorKind::Other);
    commit_each(&ledger, 50).await;
    ledger.shutdown().await;
    assert!(fixture.segments().len() > 3);
    assert!(fixture.segments()[0].ends_with("00000000000000000000.wal"));
    fixture.faults.heal(Step::Persist);
    let ledger = fixture.start();
    commit_each(&ledger, 20).await;
    ledger.shutdown().await;
    assert_eq!(fixture.segments().len(), 1);
    assert_eq!(fixture.published_entries(), texts(70));
}

/// A small file system that is unmounted in the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where nothing can be mounted, with a word on it.
    fn mount(size: &str) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path());
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        let required = std::env::var("DOCKMASTER_TEST_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|need| need == "mount"),
            "cannot mount a tmpfs"
        );
        eprintln!("skipped: needs mount");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn a_disk_that_is_really_full_keeps_what_was_acknowledged_and_takes_more_once_there_is_room()
{
    let Some(disk) = SmallDisk::mount("16m") else {
        return;
    };
    let ballast = disk.0.path().join("ballast");
    let config = || config(disk.0.path());
    Ledger::create(&config()).unwrap();
    std::fs::write(&ballast, vec![1; 13_000_000]).unwrap();
    let ledger = Ledger::open(config())
        .unwrap()
        .start(Recorder::default())
        .unwrap();
    let entry = || Proposal::of(|stamp| vec![stamp.index as u8; 20_000]);
    let mut acknowledged = 0;
    let refusal = loop {
        match ledger.commit(entry()).await {
            Ok(_) => acknowledged += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, CommitError::NoSpace(_)), "{refusal}");
    assert!(acknowledged > 10);
    assert!(matches!(ledger.status(), Status::Full { .. }));
    for index in 0..acknowledged {
        assert_eq!(ledger.entry(index).unwrap().unwrap().entry[0], index as u8);
    }
    std::fs::remove_file(&ballast).unwrap();
    until(&ledger, |status| *status == Status::Healthy).await;
    // Shorter than what the failed append may have left behind.
    ledger.commit(one()).await.unwrap();
    ledger.shutdown().await;

    let opened = Ledger::open(config()).unwrap();
    assert_eq!(
        opened.recovery().discarded,
        0,
        "half a frame was left behind"
    );
    assert_eq!(opened.size(), acknowledged + 1);
    let (_, entries) = published_entries(&disk.0.path().join("ledger/public"));
    assert_eq!(entries.len() as u64, acknowledged + 1);
}
