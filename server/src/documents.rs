//! The classification and the site: parsed, tried on every live node, and only then committed.

use std::sync::Arc;

use bytes::Bytes;
use dockmaster_compiler::classification::Classification;
use dockmaster_ledger::{BlobError, CommitError};
use dockmaster_proto::{
    api::documents::{
        Applied, ClassificationProposal, CompileFailure, Plan, RevisionInfo, SiteProposal,
    },
    event::{DocumentChanged, Event},
    id::{Digest, Revision},
};
use tokio::sync::Mutex;

use crate::{
    blobs::Blobs,
    delivery::{Delivery, plan::Proposed},
    journal::{Cause, Journal},
    stored::{self, StoredError},
};

/// Why a document cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It does not say what it should: every error in it.
    #[error("{0}")]
    Invalid(String),
    /// Some nodes' catalogs would not compile.
    #[error("{} of the live nodes would have no catalog:\n{}", .failures.len(), render(.failures))]
    Failures {
        /// Which and why.
        failures: Vec<CompileFailure>,
    },
    /// Someone else changed it meanwhile.
    #[error("revision {base} is not in force any more; {current} is")]
    Conflict {
        /// What the author built upon.
        base: Revision,
        /// What is in force.
        current: Revision,
    },
    /// The ledger cannot write.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A document that is kept cannot be read back.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The blobs cannot be written.
    #[error(transparent)]
    Storage(#[from] BlobError),
    /// The thread that compiles is gone.
    #[error("a compilation was interrupted; the master shuts down")]
    Worker,
}

fn render(failures: &[CompileFailure]) -> String {
    const SHOWN: usize = 5;
    let mut text = String::new();
    for failure in failures.iter().take(SHOWN) {
        text.push_str(&format!(
            "{} ({}): {}\n",
            failure.node.name,
            failure.node.id.short(),
            failure.error
        ));
    }
    if failures.len() > SHOWN {
        text.push_str(&format!("… and {} more", failures.len() - SHOWN));
    }
    text.trim_end().to_owned()
}

/// Where documents are changed. One change at a time.
#[derive(Debug)]
pub struct DocumentStore {
    journal: Journal,
    blobs: Blobs,
    delivery: Arc<Delivery>,
    changing: Mutex<()>,
}

impl DocumentStore {
    /// A store.
    #[must_use]
    pub fn new(journal: Journal, blobs: Blobs, delivery: Arc<Delivery>) -> Self {
        Self {
            journal,
            blobs,
            delivery,
            changing: Mutex::new(()),
        }
    }

    /// What a classification would change.
    ///
    /// # Errors
    /// When the document is invalid.
    pub async fn plan_classification(
        &self,
        proposal: ClassificationProposal,
    ) -> Result<Plan, DocumentError> {
        let classification = parse(&proposal)?;
        self.plan(Proposed {
            classification: Some(Arc::new(classification)),
            site: None,
        })
        .await
    }

    /// Puts a classification in force.
    ///
    /// # Errors
    /// When the document is invalid, leaves a live node without a catalog, or is built upon a
    /// revision that is no longer in force. Nothing is then changed.
    pub async fn apply_classification(
        &self,
        proposal: ClassificationProposal,
        cause: &Cause,
    ) -> Result<Applied, DocumentError> {
        let classification = parse(&proposal)?;
        let _one_at_a_time = self.changing.lock().await;
        let current = revision(self.journal.state().documents().classification.as_ref());
        if let Some(base) = proposal.base.filter(|base| *base != current) {
            return Err(DocumentError::Conflict { base, current });
        }
        let plan = self
            .plan(Proposed {
                classification: Some(Arc::new(classification)),
                site: None,
            })
            .await?;
        let sha256 = self.keep(proposal.document.into_bytes().into()).await?;
        let changed = DocumentChanged {
            revision: current.next(),
            sha256,
            message: proposal.message,
        };
        self.put_in_force(
            Event::ClassificationChanged(changed),
            current.next(),
            plan,
            cause,
        )
        .await
    }

    /// Puts a site in force. Its files must have been kept before.
    ///
    /// # Errors
    /// When a file is missing, the site is invalid, or leaves a live node without a catalog. Nothing
    /// is then changed.
    pub async fn deploy_site(
        &self,
        proposal: SiteProposal,
        cause: &Cause,
    ) -> Result<Applied, DocumentError> {
        let site = stored::site_of(&self.blobs, &proposal.manifest)?;
        let _one_at_a_time = self.changing.lock().await;
        let current = revision(self.journal.state().documents().site.as_ref());
        let plan = self
            .plan(Proposed {
                classification: None,
                site: Some(Arc::new(site)),
            })
            .await?;
        let sha256 = self.keep(proposal.manifest.to_bytes().into()).await?;
        let changed = DocumentChanged {
            revision: current.next(),
            sha256,
            message: proposal.message,
        };
        self.put_in_force(Event::SiteDeployed(changed), current.next(), plan, cause)
            .await
    }

    /// Keeps a file for a site that is about to be deployed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn keep_file(&self, bytes: Bytes) -> Result<Digest, DocumentError> {
        self.keep(bytes).await
    }

    async fn keep(&self, bytes: Bytes) -> Result<Digest, DocumentError> {
        let blobs = self.blobs.clone();
        let kept = tokio::task::spawn_blocking(move || Ok(blobs.put(&bytes)?));
        kept.await.map_err(|_| DocumentError::Worker)?
    }

    async fn put_in_force(
        &self,
        event: Event,
        revision: Revision,
        plan: Plan,
        cause: &Cause,
    ) -> Result<Applied, DocumentError> {
        if !plan.failures.is_empty() {
            return Err(DocumentError::Failures {
                failures: plan.failures,
            });
        }
        self.journal.commit(cause, vec![event], vec![]).await?;
        Ok(Applied {
            revision,
            nodes_changed: plan.nodes_changed() as u64,
        })
    }

    async fn plan(&self, proposed: Proposed) -> Result<Plan, DocumentError> {
        // What changes is told against the catalogs of the last change, not of the one before.
        self.delivery.settle().await;
        let delivery = self.delivery.clone();
        tokio::task::spawn_blocking(move || delivery.plan(&proposed))
            .await
            .map_err(|_| DocumentError::Worker)?
            .map_err(DocumentError::from)
    }
}

fn parse(proposal: &ClassificationProposal) -> Result<Classification, DocumentError> {
    Classification::parse(&proposal.file, &proposal.document)
        .map_err(|errors| DocumentError::Invalid(errors.to_string()))
}

fn revision(info: Option<&RevisionInfo>) -> Revision {
    info.map_or(Revision(0), |info| info.revision)
}
