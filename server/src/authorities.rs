//! Certificates and keys of an installation: what a master signs with, and what its agents trust.

use std::sync::{Arc, PoisonError, RwLock};

use dockmaster_certs::{authority::Authority, bundle::TrustBundle};
use dockmaster_proto::id::TrustPin;
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;

use crate::{
    datadir::DataDir,
    store::{self, StoreError},
};

/// The authorities that a master signs with, and what its agents trust.
#[derive(Debug)]
pub struct Signing {
    /// Signs certificates of containers.
    pub containers: Authority,
    /// Signs certificates of masters.
    pub infrastructure: Authority,
    /// Signs certificates of operators: the same, but for the second half of a rotation.
    pub operators: Authority,
    /// The authority for masters, signed by the root that a rotation brings in.
    pub cross: Option<CertificateDer<'static>>,
    /// The trust bundle.
    pub bundle: Arc<TrustBundle>,
    /// All bundles that a new agent may have pinned.
    pub bundles: Vec<TrustBundle>,
    /// Container authorities that sign no more certificates, but lists of those that they signed.
    pub retired: Vec<Authority>,
    /// The roots' own lists in PEM, as far as there are any.
    pub root_lists: String,
}

impl Signing {
    /// Reads them from a data directory.
    ///
    /// # Errors
    /// When a file is missing or damaged, or a key is not that of its certificate.
    pub fn load(dir: &DataDir) -> Result<Self, StoreError> {
        let bundle_path = dir.bundle();
        let bundle = TrustBundle::parse(&store::read(&bundle_path)?).map_err(|error| {
            StoreError::Damaged {
                path: bundle_path,
                why: error.to_string(),
            }
        })?;
        Ok(Self {
            containers: authority(dir, "intermediate")?,
            infrastructure: authority(dir, "infra")?,
            operators: authority(dir, "infra")?,
            cross: None,
            bundles: vec![bundle.clone()],
            bundle: Arc::new(bundle),
            retired: Vec::new(),
            root_lists: std::fs::read_to_string(dir.root_list()).unwrap_or_default(),
        })
    }

    /// The bundle of this pin, or else the one in force.
    #[must_use]
    pub fn bundle_of(&self, pin: Option<TrustPin>) -> &TrustBundle {
        let pinned = pin.and_then(|pin| self.bundles.iter().find(|bundle| bundle.pin() == pin));
        pinned.unwrap_or(&self.bundle)
    }

    /// The container authorities, the one that signs certificates first.
    pub fn container_authorities(&self) -> impl Iterator<Item = &Authority> {
        std::iter::once(&self.containers).chain(&self.retired)
    }
}

/// What is signed with now. Cheap to clone; all clones see a change.
#[derive(Debug, Clone)]
pub struct Authorities {
    signing: Arc<RwLock<Arc<Signing>>>,
    changed: watch::Sender<u64>,
}

impl Authorities {
    /// These, until there are others.
    #[must_use]
    pub fn new(signing: Signing) -> Self {
        Self {
            signing: Arc::new(RwLock::new(Arc::new(signing))),
            changed: watch::Sender::new(0),
        }
    }

    /// Those in use now. Whoever does several things with them asks once.
    #[must_use]
    pub fn now(&self) -> Arc<Signing> {
        self.signing
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts others into use.
    pub fn replace(&self, signing: Signing) {
        let mut now = self.signing.write().unwrap_or_else(PoisonError::into_inner);
        *now = Arc::new(signing);
        drop(now);
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// How often others were put into use.
    #[must_use]
    pub fn generation(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Tells of each change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

fn authority(dir: &DataDir, name: &str) -> Result<Authority, StoreError> {
    let (certificate, key) = (
        dir.ca().join(format!("{name}.pem")),
        dir.ca().join(format!("{name}.key")),
    );
    Authority::from_pem(&store::read(&certificate)?, &store::read(&key)?).map_err(|error| {
        StoreError::Damaged {
            path: certificate,
            why: error.to_string(),
        }
    })
}
