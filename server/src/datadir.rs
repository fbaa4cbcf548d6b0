//! The data directory: where everything lies.

use std::path::{Path, PathBuf};

/// The paths of an installation.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The data directory at a path; nothing is looked at yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `dockmaster.yaml`: the configuration, for people.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join("dockmaster.yaml")
    }

    /// `ca/`: the authorities and their keys.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.0.join("ca")
    }

    /// `ca/bundle.pem`: the trust bundle.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.ca().join("bundle.pem")
    }

    /// `ledger/`.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }

    /// `ledger/log.key`: the seed of the checkpoint signing key.
    #[must_use]
    pub fn log_key(&self) -> PathBuf {
        self.ledger().join("log.key")
    }

    /// `ledger/forked`: there once a container has seen more of the log than there is.
    #[must_use]
    pub fn forked(&self) -> PathBuf {
        self.ledger().join("forked")
    }

    /// `index.sled/`: projections; may be deleted.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.0.join("index.sled")
    }

    /// `blobs/`: content-addressed documents, files and certificates.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    /// `reports/`: the last report of each live node.
    #[must_use]
    pub fn reports(&self) -> PathBuf {
        self.0.join("reports")
    }

    /// `operator.yaml`: the first operator's context.
    #[must_use]
    pub fn operator(&self) -> PathBuf {
        self.0.join("operator.yaml")
    }
}
