//! What a backup takes beside the public log: small files, and blobs.

use std::{collections::BTreeMap, io, sync::Arc};

use dockmaster_proto::{
    api::backup::{FileBytes, MAX_BLOB_BYTES, MAX_BLOBS, SmallFiles, WantedBlobs},
    event::{BackupTaken, Event},
    problem::Problem,
};
use http::StatusCode;

use super::{Api, Reply, Request, problem, reply};
use crate::datadir::{DataDir, Need};

impl Api {
    /// The keys go out, so the entry that says to whom comes first.
    pub(super) async fn small_files(&self, request: &Request) -> Result<Reply, Problem> {
        let taken = BackupTaken {
            log_size: self.journal.ledger().head().size,
        };
        self.journal
            .commit(&request.cause, vec![Event::BackupTaken(taken)], vec![])
            .await
            .map_err(|error| problem::from_commit(&error))?;
        // Until the head is taken: the log of a backup must name no authority that its files lack.
        let _still = self.rotor.still().await;
        let dir = self.dir.clone();
        let files = tokio::task::spawn_blocking(move || read(&dir)).await;
        let files = files
            .map_err(|error| problem::internal(&error))?
            .map_err(|error| problem::internal(&error))?;
        self.published().await;
        let small = SmallFiles {
            checkpoint: self.journal.ledger().published().checkpoint.to_string(),
            files,
        };
        Ok(reply::json(StatusCode::OK, &small))
    }

    pub(super) async fn backup_blobs(&self, request: &Request) -> Result<Reply, Problem> {
        let wanted: WantedBlobs = request.json()?;
        if wanted.blobs.is_empty() || wanted.blobs.len() > MAX_BLOBS {
            return Err(problem::bad_request(format!(
                "{} blobs are asked for; 1 to {MAX_BLOBS} can be",
                wanted.blobs.len()
            )));
        }
        let (blobs, wanted) = (self.blobs.clone(), Arc::new(wanted));
        let asked = wanted.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = Vec::new();
            for digest in &asked.blobs {
                let Some(bytes) = blobs.get(digest)? else {
                    return Ok(Err(*digest));
                };
                if !answer.is_empty() && answer.len() + bytes.len() > MAX_BLOB_BYTES {
                    break;
                }
                WantedBlobs::frame(&bytes, &mut answer);
            }
            Ok::<_, dockmaster_ledger::BlobError>(Ok(answer))
        });
        let answer = answer
            .await
            .map_err(|error| problem::internal(&error))?
            .map_err(|error| problem::from_blob(&error))?
            .map_err(|digest| problem::not_found(format_args!("blob {digest}")))?;
        Ok(reply::bytes(
            StatusCode::OK,
            "application/octet-stream",
            answer.into(),
        ))
    }
}

fn read(dir: &DataDir) -> io::Result<BTreeMap<String, FileBytes>> {
    let mut files = BTreeMap::new();
    for file in DataDir::SMALL_FILES {
        match std::fs::read(dir.path().join(file.path)) {
            Ok(bytes) => {
                files.insert(file.path.to_owned(), FileBytes(bytes));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.need == Need::May => {}
            Err(error) => {
                let path = file.path;
                return Err(io::Error::new(error.kind(), format!("{path}: {error}")));
            }
        }
    }
    Ok(files)
}
