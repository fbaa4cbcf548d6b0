//! Certificates and keys of an installation, as its data directory has them.

use dockmaster_certs::{authority::Authority, bundle::TrustBundle};

use crate::{
    datadir::DataDir,
    store::{self, StoreError},
};

/// The authorities that a master signs with, and what its agents trust.
#[derive(Debug)]
pub struct Authorities {
    /// Signs certificates of containers.
    pub containers: Authority,
    /// Signs certificates of masters and operators.
    pub infrastructure: Authority,
    /// The trust bundle.
    pub bundle: TrustBundle,
}

impl Authorities {
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
            bundle,
        })
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
