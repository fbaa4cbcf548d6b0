//! Blobs from the master.

use std::path::PathBuf;

use dockmaster_client::Call;
use dockmaster_proto::{id::Digest, route::Route};

use super::Link;
use crate::apply::blob::{BlobSource, Fetched};

/// Blobs from the master, each fetched once per apply.
pub struct MasterBlobs<'a, 'b> {
    /// The link.
    pub link: &'a mut Link<'b>,
    /// Where those that were fetched lie until the apply is over.
    pub cache: PathBuf,
}

impl BlobSource for MasterBlobs<'_, '_> {
    fn fetch(&mut self, digest: Digest, _size: u64) -> Fetched<'_> {
        Box::pin(async move {
            let cached = self.cache.join(digest.to_string());
            if let Ok(bytes) = std::fs::read(&cached) {
                return Ok(bytes);
            }
            let call = Call::new(Route::Blob).parameter(digest.to_string());
            let connection = self
                .link
                .connect()
                .await
                .map_err(|error| error.to_string())?;
            let reply = connection
                .send(&call)
                .await
                .map_err(|error| error.to_string())?;
            // The cache is a convenience; without it the blob is fetched again.
            let _ = std::fs::write(&cached, &reply.body);
            Ok(reply.body.to_vec())
        })
    }
}

impl Drop for MasterBlobs<'_, '_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.cache);
    }
}
