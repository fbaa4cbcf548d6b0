//! A real log, made by a master whose containers exist on paper.

use std::{fs, path::PathBuf};

use dockmaster_certs::bundle::TrustBundle;
use dockmaster_tests::{Inventory, Master, Setup, StandIn, eventually};
use dockmaster_tlog::{checkpoint::Checkpoint, note::VerifierKey};

use crate::go::Verifier;

/// So many containers come and go at a time: enough entries for full tiles and partial ones.
const CROWD: u16 = 150;

/// A master with its log.
pub(crate) struct Stage {
    pub(crate) master: Master,
    pub(crate) log_key: VerifierKey,
    inventory: Inventory,
    first: u16,
    kept: tempfile::TempDir,
}

impl Stage {
    /// Tests run side by side: each takes a thousand numbers of its own, from this one on.
    pub(crate) fn new(first: u16) -> Self {
        let inventory = Inventory::new(&[]);
        let master = Setup::inventory(&inventory).start();
        let bundle = fs::read_to_string(master.data().join("ca/bundle.pem")).unwrap();
        let bundle = TrustBundle::parse(&bundle).unwrap();
        Self {
            master,
            log_key: VerifierKey::parse(bundle.log_key()).unwrap(),
            inventory,
            first,
            kept: tempfile::tempdir().unwrap(),
        }
    }

    /// A stage whose log has tiles of two levels, full ones and partial ones.
    pub(crate) fn grown(first: u16) -> Self {
        let stage = Self::new(first);
        stage.arrive();
        stage.leave();
        stage
    }

    /// A crowd starts; when this returns the log has all of it: that each was seen, and its lease.
    pub(crate) fn arrive(&self) {
        self.changes(|stage| {
            let crowd: Vec<_> = (stage.first..stage.first + CROWD).collect();
            let crowd: Vec<_> = crowd.into_iter().map(StandIn::numbered).collect();
            stage.inventory.set(&crowd);
        });
    }

    /// The crowd goes; when this returns the log has all of it: the end of each, and of its lease.
    pub(crate) fn leave(&self) {
        self.changes(|stage| stage.inventory.set(&[]));
    }

    fn changes(&self, change: impl FnOnce(&Self)) {
        let grown = self.head().size + 2 * u64::from(CROWD);
        change(self);
        eventually("the published log of what changed", || {
            (self.head().size >= grown).then_some(())
        });
    }

    /// The log's newest checkpoint.
    pub(crate) fn head(&self) -> Checkpoint {
        let note = fs::read_to_string(self.public().join("checkpoint")).unwrap();
        Checkpoint::open(&note, &self.log_key).unwrap()
    }

    /// The folder that anybody may serve.
    pub(crate) fn public(&self) -> PathBuf {
        self.master.data().join("ledger/public")
    }

    /// Keeps the present checkpoint, as somebody would who watches the log.
    pub(crate) fn keep(&self) -> PathBuf {
        let note = fs::read(self.public().join("checkpoint")).unwrap();
        let kept = self.kept.path().join(format!("at-{}", self.head().size));
        fs::write(&kept, note).unwrap();
        kept
    }

    /// A verifier that trusts this log's key.
    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(&self.log_key.to_string())
    }
}
