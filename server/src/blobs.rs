//! Content-addressed documents, by the digests that the rest of the system uses.

use dockmaster_ledger::BlobError;
use dockmaster_proto::id::Digest;

/// The blobs of a running master. Cheap to clone; every call may block on the disk.
#[derive(Debug, Clone)]
pub struct Blobs(dockmaster_ledger::Blobs);

impl Blobs {
    /// The ledger's blobs.
    #[must_use]
    pub const fn new(blobs: dockmaster_ledger::Blobs) -> Self {
        Self(blobs)
    }

    /// Keeps bytes; durable when it returns.
    ///
    /// # Errors
    /// When the disk refuses, or there are too many bytes.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        self.0
            .put(bytes)
            .map(|digest| Digest::from_bytes(*digest.as_bytes()))
    }

    /// The bytes of a digest; none where they were never kept.
    ///
    /// # Errors
    /// When the disk refuses, or the bytes no longer have the digest.
    pub fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, BlobError> {
        self.0.get(&key(digest))
    }

    /// Whether the bytes of a digest were kept.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn contains(&self, digest: &Digest) -> Result<bool, BlobError> {
        self.0.contains(&key(digest))
    }
}

const fn key(digest: &Digest) -> dockmaster_ledger::Digest {
    dockmaster_ledger::Digest::from_bytes(*digest.as_bytes())
}
