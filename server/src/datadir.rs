//! The data directory: where everything lies.

use std::path::{Path, PathBuf};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Everybody.
    Everybody,
    /// Its owner alone.
    Owner,
}

/// A file of an installation that is neither log nor blob nor made again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmallFile {
    /// Its path below the data directory.
    pub path: &'static str,
    /// Who may read it.
    pub readers: Readers,
    /// Whether an installation may be without it.
    pub need: Need,
}

/// Whether a file has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No master runs without it.
    Must,
    /// It may have been taken away.
    May,
}

/// The paths of an installation.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

const fn small(path: &'static str, readers: Readers, need: Need) -> SmallFile {
    SmallFile {
        path,
        readers,
        need,
    }
}

impl DataDir {
    /// All small files: what a backup has besides the log and its blobs.
    pub const SMALL_FILES: [SmallFile; 13] = {
        use Need::{May, Must};
        use Readers::{Everybody, Owner};
        [
            small("dockmaster.yaml", Everybody, Must),
            small("ca/bundle.pem", Everybody, Must),
            small("ca/root.pem", Everybody, Must),
            small("ca/root.key", Owner, May),
            small("ca/root.crl", Everybody, May),
            small("ca/root-next.key", Owner, May),
            small("ca/authorities.pem", Owner, May),
            small("ca/intermediate.pem", Everybody, Must),
            small("ca/intermediate.key", Owner, Must),
            small("ca/infra.pem", Everybody, Must),
            small("ca/infra.key", Owner, Must),
            small("ledger/log.key", Owner, Must),
            small("operator.yaml", Owner, May),
        ]
    };

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

    /// `ca/root.crl`: the root's own, empty revocation list; it lasts as long as the root.
    #[must_use]
    pub fn root_list(&self) -> PathBuf {
        self.ca().join("root.crl")
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

    /// `ledger/cosigned`: the newest head that witnesses cosigned.
    #[must_use]
    pub fn cosigned(&self) -> PathBuf {
        self.ledger().join("cosigned")
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

    /// `host-addresses.json`: where enrolled hosts spoke from the last time; may be deleted.
    #[must_use]
    pub fn host_addresses(&self) -> PathBuf {
        self.0.join("host-addresses.json")
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
