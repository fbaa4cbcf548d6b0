//! Contents that do not stand in the catalog.

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
};

use dockmaster_proto::{catalog::MAX_CATALOG_BYTES, id::Digest};

/// Why a blob could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// Its source does not have it.
    #[error("the contents {digest} cannot be had: {reason}")]
    Unavailable {
        /// The blob.
        digest: Digest,
        /// Why not.
        reason: String,
    },
    /// The bytes are not those of its name.
    #[error("the contents {digest} arrived damaged")]
    Damaged {
        /// The blob.
        digest: Digest,
    },
    /// It is larger than anything an agent takes.
    #[error("the contents {digest} have {size} bytes; the most is {MAX_CATALOG_BYTES}")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size.
        size: u64,
    },
}

/// The answer of a [`BlobSource`].
pub type Fetched<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + 'a>>;

/// Where blobs come from.
pub trait BlobSource {
    /// Fetches a blob; the caller checks its bytes.
    fn fetch(&mut self, digest: Digest, size: u64) -> Fetched<'_>;
}

/// Fetches a blob and checks that it is the one.
///
/// # Errors
/// [`BlobError`].
pub async fn get(
    source: &mut dyn BlobSource,
    digest: Digest,
    size: u64,
) -> Result<Vec<u8>, BlobError> {
    if size > MAX_CATALOG_BYTES as u64 {
        return Err(BlobError::TooLarge { digest, size });
    }
    let bytes = source.fetch(digest, size).await;
    let bytes = bytes.map_err(|reason| BlobError::Unavailable { digest, reason })?;
    if bytes.len() as u64 != size || Digest::of(&bytes) != digest {
        return Err(BlobError::Damaged { digest });
    }
    Ok(bytes)
}

/// A folder of files that are named by their digests.
#[derive(Debug, Clone)]
pub struct BlobFolder(pub PathBuf);

impl BlobFolder {
    /// The folder that belongs to a catalog file: `FILE.blobs`.
    #[must_use]
    pub fn beside(catalog: &Path) -> Self {
        let mut name = catalog.as_os_str().to_owned();
        name.push(".blobs");
        Self(name.into())
    }
}

impl BlobSource for BlobFolder {
    fn fetch(&mut self, digest: Digest, _size: u64) -> Fetched<'_> {
        let path = self.0.join(digest.to_string());
        let read = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()));
        Box::pin(std::future::ready(read))
    }
}

/// No blobs at all, and why.
#[derive(Debug, Clone)]
pub struct NoBlobs(pub String);

impl BlobSource for NoBlobs {
    fn fetch(&mut self, _digest: Digest, _size: u64) -> Fetched<'_> {
        Box::pin(std::future::ready(Err(self.0.clone())))
    }
}
