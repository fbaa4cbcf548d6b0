//! Documents as the blobs hold them, read back.

use std::{collections::BTreeMap, sync::Arc};

use dockmaster_compiler::{classification::Classification, site::Site};
use dockmaster_ledger::BlobError;
use dockmaster_proto::{api::documents::SiteManifest, id::Digest};

use crate::blobs::Blobs;

/// Why a document cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Some files of a site are not there: their paths.
    #[error("{} files of the site are not here, the first is {}", .0.len(), .0.first().map(String::as_str).unwrap_or_default())]
    Missing(Vec<String>),
    /// The document itself is not there.
    #[error("blob {0} is not here")]
    NoBlob(Digest),
    /// It does not say what it should: every error in it.
    #[error("{0}")]
    Invalid(String),
    /// The blobs cannot be read.
    #[error(transparent)]
    Storage(#[from] BlobError),
}

/// Reads a classification.
///
/// # Errors
/// When it is not there or invalid.
pub fn classification(blobs: &Blobs, digest: &Digest) -> Result<Classification, StoredError> {
    let text = document(blobs, digest)?;
    Classification::parse("classification.yaml", &String::from_utf8_lossy(&text))
        .map_err(|errors| StoredError::Invalid(errors.to_string()))
}

/// Reads the site whose manifest has this digest.
///
/// # Errors
/// When a part of it is not there or invalid.
pub fn site(blobs: &Blobs, digest: &Digest) -> Result<Site, StoredError> {
    let manifest = serde_json::from_slice(&document(blobs, digest)?)
        .map_err(|error| StoredError::Invalid(error.to_string()))?;
    site_of(blobs, &manifest)
}

/// Reads the site that a manifest lists.
///
/// # Errors
/// When a file is not there, or the site is invalid.
pub fn site_of(blobs: &Blobs, manifest: &SiteManifest) -> Result<Site, StoredError> {
    let mut files: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
    let mut missing = Vec::new();
    for (path, digest) in &manifest.files {
        match blobs.get(digest)? {
            Some(bytes) => {
                files.insert(path.clone(), Arc::from(bytes));
            }
            None => missing.push(path.clone()),
        }
    }
    if !missing.is_empty() {
        return Err(StoredError::Missing(missing));
    }
    Site::parse(&files).map_err(|errors| StoredError::Invalid(errors.to_string()))
}

fn document(blobs: &Blobs, digest: &Digest) -> Result<Vec<u8>, StoredError> {
    blobs.get(digest)?.ok_or(StoredError::NoBlob(*digest))
}
