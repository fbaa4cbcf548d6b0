//! The classification and the site.

use dockmaster_proto::{
    api::documents::{
        ClassificationProposal, CurrentClassification, CurrentSite, MissingFiles, RevisionInfo,
        SiteManifest, SiteProposal,
    },
    id::{Digest, Revision},
    problem::{Problem, ProblemCode},
    time::UnixMs,
};
use http::StatusCode;

use super::{Api, Reply, Request, problem, reply};
use crate::{documents::DocumentError, stored::StoredError};

impl Api {
    pub(super) fn classification(&self) -> Result<Reply, Problem> {
        let info = self.journal.state().documents().classification.clone();
        let document = match info.as_ref().and_then(|info| info.sha256) {
            Some(digest) => self.document_text(&digest)?,
            None => String::new(),
        };
        Ok(reply::json(
            StatusCode::OK,
            &CurrentClassification {
                info: info.unwrap_or_else(before_the_first),
                document,
            },
        ))
    }

    pub(super) async fn plan_classification(&self, request: &Request) -> Result<Reply, Problem> {
        let proposal: ClassificationProposal = request.json()?;
        let plan = self
            .documents
            .plan_classification(proposal)
            .await
            .map_err(|error| from_document(&error))?;
        Ok(reply::json(StatusCode::OK, &plan))
    }

    pub(super) async fn apply_classification(&self, request: &Request) -> Result<Reply, Problem> {
        let proposal: ClassificationProposal = request.json()?;
        let applied = self
            .documents
            .apply_classification(proposal, &request.cause)
            .await
            .map_err(|error| from_document(&error))?;
        Ok(reply::json(StatusCode::CREATED, &applied))
    }

    pub(super) fn site(&self) -> Result<Reply, Problem> {
        let info = self.journal.state().documents().site.clone();
        let manifest = match info.as_ref().and_then(|info| info.sha256) {
            Some(digest) => serde_json::from_str(&self.document_text(&digest)?)
                .map_err(|error| problem::internal(&error))?,
            None => SiteManifest::default(),
        };
        Ok(reply::json(
            StatusCode::OK,
            &CurrentSite {
                info: info.unwrap_or_else(before_the_first),
                manifest,
            },
        ))
    }

    pub(super) fn missing_files(&self, request: &Request) -> Result<Reply, Problem> {
        let manifest: SiteManifest = request.json()?;
        let mut missing = Vec::new();
        for digest in manifest.files.into_values() {
            if !self
                .blobs
                .contains(&digest)
                .map_err(|error| problem::internal(&error))?
            {
                missing.push(digest);
            }
        }
        missing.sort_unstable();
        missing.dedup();
        Ok(reply::json(StatusCode::OK, &MissingFiles { missing }))
    }

    pub(super) async fn upload_file(&self, request: &Request) -> Result<Reply, Problem> {
        let digest: Digest = request
            .parameter
            .parse()
            .map_err(|error| problem::bad_request(format!("{error}")))?;
        if Digest::of(&request.body) != digest {
            return Err(problem::bad_request(format!(
                "the body's SHA-256 is not {digest}; it was damaged on the way"
            )));
        }
        self.documents
            .keep_file(request.body.clone())
            .await
            .map_err(|error| from_document(&error))?;
        Ok(reply::empty(StatusCode::CREATED))
    }

    pub(super) async fn deploy_site(&self, request: &Request) -> Result<Reply, Problem> {
        let proposal: SiteProposal = request.json()?;
        let applied = self
            .documents
            .deploy_site(proposal, &request.cause)
            .await
            .map_err(|error| from_document(&error))?;
        Ok(reply::json(StatusCode::CREATED, &applied))
    }

    fn document_text(&self, digest: &Digest) -> Result<String, Problem> {
        let bytes = self
            .blobs
            .get(digest)
            .map_err(|error| problem::internal(&error))?;
        let bytes = bytes.ok_or_else(|| {
            problem::not_found(format_args!(
                "document {digest} in the blobs; restore blobs/ from a backup"
            ))
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

const fn before_the_first() -> RevisionInfo {
    RevisionInfo {
        revision: Revision(0),
        sha256: None,
        author: String::new(),
        message: String::new(),
        at_ms: UnixMs(0),
    }
}

fn from_document(error: &DocumentError) -> Problem {
    match error {
        DocumentError::Invalid(detail) | DocumentError::Stored(StoredError::Invalid(detail)) => {
            Problem::new(ProblemCode::InvalidDocument, detail, "nothing was changed")
        }
        DocumentError::Failures { .. } => Problem::new(
            ProblemCode::CompileFailed,
            error.to_string(),
            "nothing was changed",
        ),
        DocumentError::Conflict { .. } => Problem::new(
            ProblemCode::Conflict,
            error.to_string(),
            "fetch the revision in force, merge and try again",
        ),
        DocumentError::Stored(StoredError::Missing(_)) => Problem::new(
            ProblemCode::BadRequest,
            error.to_string(),
            "upload them first; \"dockmaster site deploy\" does",
        ),
        DocumentError::Commit(error) => problem::from_commit(error),
        DocumentError::Stored(StoredError::NoBlob(_) | StoredError::Storage(_))
        | DocumentError::Storage(_)
        | DocumentError::Worker => problem::internal(error),
    }
}
