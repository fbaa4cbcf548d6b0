//! The documents in force, parsed, with what was compiled from them.

use std::sync::Arc;

use dockmaster_compiler::{
    cache::Cache, classification::Classification, compile::Compiled, fleet::Fleet,
};
use dockmaster_proto::{
    api::documents::RevisionInfo, catalog::Revisions, id::Digest, node::NodeView,
};

use crate::{
    blobs::Blobs,
    state::Documents,
    stored::{self, StoredError},
};

/// A classification and a site, and the catalogs made of them so far.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) revisions: Revisions,
    pub(super) classification: Arc<Classification>,
    /// The site and what was compiled from it; a change of the classification alone keeps both.
    pub(super) cache: Arc<Cache>,
}

impl InForce {
    /// Before anything was applied or deployed: every node has the empty catalog.
    pub(super) fn nothing() -> Self {
        Self {
            revisions: Revisions::default(),
            classification: Arc::default(),
            cache: Arc::new(Cache::new(Arc::default())),
        }
    }

    /// Reads the documents that the view says are in force; what is of this revision already stays.
    pub(super) fn follow(&self, documents: &Documents, blobs: &Blobs) -> Result<Self, StoredError> {
        let wanted = revisions(documents);
        let classification = match digest(documents.classification.as_ref()) {
            Some(digest) if wanted.classification != self.revisions.classification => {
                Arc::new(stored::classification(blobs, &digest)?)
            }
            _ => self.classification.clone(),
        };
        let cache = match digest(documents.site.as_ref()) {
            Some(digest) if wanted.site != self.revisions.site => {
                Arc::new(Cache::new(Arc::new(stored::site(blobs, &digest)?)))
            }
            _ => self.cache.clone(),
        };
        Ok(Self {
            revisions: wanted,
            classification,
            cache,
        })
    }

    /// Whether these are the documents that the view says are in force.
    pub(super) fn is_of(&self, documents: &Documents) -> bool {
        self.revisions == revisions(documents)
    }

    /// Every node's catalog, or why it has none, in the order of the nodes.
    pub(super) fn compile_all(
        &self,
        nodes: &[Arc<NodeView>],
    ) -> Vec<Result<Arc<Compiled>, String>> {
        let fleet = Fleet::new(nodes.iter().cloned());
        let compile = |node: &Arc<NodeView>| {
            let resolved = self
                .classification
                .resolve(node)
                .map_err(|conflict| conflict.to_string())?;
            self.cache
                .compile(&resolved, node, &fleet)
                .map_err(|errors| errors.to_string())
        };
        nodes.iter().map(compile).collect()
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
