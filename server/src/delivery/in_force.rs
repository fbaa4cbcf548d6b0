//! The documents in force, parsed, with what was compiled from them.

use std::sync::{Arc, Mutex, PoisonError};

use dockmaster_compiler::{Cache, Classification, Compiled, Fleet, Site};
use dockmaster_proto::{
    api::documents::{RevisionInfo, SiteManifest},
    catalog::Revisions,
    id::Digest,
    node::NodeView,
};

use crate::{
    blobs::Blobs,
    documents::{DocumentError, read_site},
    state::Documents,
};

/// A classification and a site, and the catalogs made of them so far.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) revisions: Revisions,
    pub(super) classification: Arc<Classification>,
    pub(super) site: Arc<Site>,
    cache: Mutex<Cache>,
}

impl InForce {
    /// Before anything was applied or deployed: every node has the empty catalog.
    pub(super) fn nothing() -> Self {
        Self::new(
            Revisions::default(),
            Arc::new(Classification::default()),
            Arc::new(Site::default()),
        )
    }

    pub(super) fn new(
        revisions: Revisions,
        classification: Arc<Classification>,
        site: Arc<Site>,
    ) -> Self {
        Self {
            revisions,
            classification,
            site,
            cache: Mutex::default(),
        }
    }

    /// Reads the documents that the view says are in force.
    pub(super) fn load(documents: &Documents, blobs: &Blobs) -> Result<Self, DocumentError> {
        let classification = match digest(documents.classification.as_ref()) {
            None => Classification::default(),
            Some(digest) => {
                let text = read(blobs, &digest)?;
                Classification::parse("classification.yaml", &String::from_utf8_lossy(&text))
                    .map_err(|errors| DocumentError::Invalid(errors.to_string()))?
            }
        };
        let site = match digest(documents.site.as_ref()) {
            None => Site::default(),
            Some(digest) => {
                let manifest: SiteManifest = serde_json::from_slice(&read(blobs, &digest)?)
                    .map_err(|error| DocumentError::Invalid(error.to_string()))?;
                Site::parse(&read_site(blobs, &manifest)?)
                    .map_err(|errors| DocumentError::Invalid(errors.to_string()))?
            }
        };
        Ok(Self::new(
            revisions(documents),
            Arc::new(classification),
            Arc::new(site),
        ))
    }

    /// Whether these are the documents that the view says are in force.
    pub(super) fn is_of(&self, documents: &Documents) -> bool {
        self.revisions == revisions(documents)
    }

    /// Every node's catalog, or why it has none, in the order of the nodes.
    pub(super) fn compile_all(&self, nodes: &[NodeView]) -> Vec<Result<Arc<Compiled>, String>> {
        let fleet = Fleet::new(nodes);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        nodes
            .iter()
            .map(|node| {
                let resolved = self
                    .classification
                    .resolve(node)
                    .map_err(|conflict| conflict.to_string())?;
                cache
                    .compile(&self.site, &resolved, node, &fleet)
                    .map_err(|errors| errors.to_string())
            })
            .collect()
    }
}

fn digest(info: Option<&RevisionInfo>) -> Option<Digest> {
    info.and_then(|info| info.sha256)
}

fn revisions(documents: &Documents) -> Revisions {
    let revision =
        |info: &Option<RevisionInfo>| info.as_ref().map(|info| info.revision).unwrap_or_default();
    Revisions {
        classification: revision(&documents.classification),
        site: revision(&documents.site),
    }
}

fn read(blobs: &Blobs, digest: &Digest) -> Result<Vec<u8>, DocumentError> {
    let bytes = blobs.get(digest)?;
    bytes.ok_or_else(|| DocumentError::MissingFiles(vec![format!("blob {digest}")]))
}
