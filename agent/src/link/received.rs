//! Catalogs as they come from the master, from the run dir or from a file.

use dockmaster_proto::{
    catalog::{CATALOG_VERSION, Catalog},
    id::Digest,
};

use super::LinkError;

/// A catalog as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The catalog.
    pub catalog: Catalog,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its name for the next question.
    pub etag: Option<String>,
}

impl Received {
    /// Reads a catalog.
    ///
    /// # Errors
    /// When it is none that this agent understands.
    pub fn parse(bytes: &[u8], etag: Option<String>) -> Result<Self, LinkError> {
        let catalog: Catalog =
            serde_json::from_slice(bytes).map_err(|error| LinkError::Catalog(error.to_string()))?;
        if catalog.version != CATALOG_VERSION {
            return Err(LinkError::Catalog(format!(
                "it is of version {}, and this agent knows version {CATALOG_VERSION}; use an agent of the master's release",
                catalog.version
            )));
        }
        Ok(Self {
            catalog,
            bytes: bytes.to_vec(),
            etag,
        })
    }

    /// The digest by which the catalog is known.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}
