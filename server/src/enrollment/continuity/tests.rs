use std::sync::Arc;

use dockmaster_ledger::{Committed, Config, Proposal, Sink};
use dockmaster_tlog::{hash::empty_root, note::SigningKey};

use super::*;
use crate::testing::id;

struct Nothing;

impl Sink for Nothing {
    fn apply(&self, _: &[Committed]) {}

    fn persist(&self, _: &[Committed]) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("example.org/log".parse().unwrap(), &[seed; 32])
}

struct Stage {
    dir: tempfile::TempDir,
    ledger: Ledger,
    continuity: Continuity,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = || {
            let (ledger, blobs) = (dir.path().join("ledger"), dir.path().join("blobs"));
            Config::new(ledger, blobs, key(1), Arc::new(|| 1))
        };
        Ledger::create(&config()).unwrap();
        let ledger = Ledger::open(config()).unwrap().start(Nothing).unwrap();
        let evidence = dir.path().join("forked");
        let continuity = Continuity::new(key(1).verifier().clone(), evidence);
        Self {
            dir,
            ledger,
            continuity,
        }
    }

    async fn commit(&self) -> Receipt {
        let proposal = Proposal::of(|stamp| format!("entry {}", stamp.index).into_bytes());
        self.ledger.commit(proposal).await.unwrap()
    }

    /// As a container that has seen this asks, with the commit in between.
    async fn ask(&self, note: &str) -> Result<Vec<Hash>, ContinuityError> {
        let seen = self.continuity.read(&self.ledger, id(1), note)?;
        let receipt = self.commit().await;
        self.continuity.prove(&self.ledger, id(1), &seen, &receipt)
    }

    fn is_calm(&self) -> bool {
        self.continuity.trouble().is_none() && !self.dir.path().join("forked").exists()
    }
}

fn head(size: u64, signer: &SigningKey) -> String {
    let origin = signer.name().clone();
    let root = empty_root();
    Checkpoint { origin, size, root }.sign(signer)
}

#[tokio::test]
async fn a_container_that_saw_this_log_gets_its_proof() {
    let stage = Stage::new();
    for _ in 0..300 {
        let seen = stage.commit().await.head().checkpoint;
        stage.ask(&seen).await.unwrap();
    }
    assert!(stage.is_calm());
}

#[tokio::test]
async fn a_head_that_the_log_did_not_sign_raises_no_alarm() {
    let stage = Stage::new();
    stage.commit().await;
    for size in [1, 1_000_000] {
        let refused = stage.ask(&head(size, &key(2))).await;
        assert!(
            matches!(refused, Err(ContinuityError::NotOurs(_))),
            "{size}: {refused:?}"
        );
    }
    let refused = stage.ask("no note\n").await;
    assert!(matches!(refused, Err(ContinuityError::NotOurs(_))));
    assert!(stage.is_calm());
}

#[tokio::test]
async fn a_head_that_the_log_signed_and_does_not_go_on_from_raises_it() {
    for size in [1, 1_000_000] {
        let stage = Stage::new();
        stage.commit().await;
        let broken = stage.ask(&head(size, &key(1))).await;
        assert!(
            matches!(broken, Err(ContinuityError::Broken(_))),
            "{size}: {broken:?}"
        );
        assert!(!stage.is_calm());
    }
}
