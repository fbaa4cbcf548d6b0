//! The public log (C2SP tlog-tiles).

use std::time::Duration;

use dockmaster_proto::problem::Problem;
use dockmaster_tlog::tile::{EntriesId, TileId};
use http::{StatusCode, header};

use super::{Api, Reply, Request, problem, reply};

/// How long a question for the head waits for entries on their way to the public files.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

impl Api {
    pub(super) async fn checkpoint(&self) -> Result<Reply, Problem> {
        self.published().await;
        let newest = self.journal.ledger().published();
        let checkpoint = self.witnesses.show(&newest).ok_or_else(|| {
            problem::not_found("head of the log that enough witnesses have cosigned yet")
        })?;
        let reply = reply::bytes(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            checkpoint.into(),
        );
        Ok(reply::with_header(reply, header::CACHE_CONTROL, "no-cache"))
    }

    /// Waits until what was answered before is published: whoever was told of a change finds it in the
    /// log. Where it takes too long, the older head is a true one too.
    pub(super) async fn published(&self) {
        let ledger = self.journal.ledger();
        let size = ledger.head().size;
        let published = async {
            while ledger.published().size < size {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, published).await;
    }

    pub(super) fn tile(&self, request: &Request) -> Result<Reply, Problem> {
        // Only the one spelling that the format has: nothing else reaches the file system.
        let path = format!("tile/{}", request.parameter);
        let is_tile = TileId::parse(&path).is_ok() || EntriesId::parse(&path).is_ok();
        if !is_tile {
            return Err(problem::not_found(format_args!("tile {path:.100}")));
        }
        let reply = reply::bytes(
            StatusCode::OK,
            "application/octet-stream",
            self.read_public(&path)?.into(),
        );
        Ok(reply::with_header(
            reply,
            header::CACHE_CONTROL,
            "public, max-age=31536000, immutable",
        ))
    }

    fn read_public(&self, path: &str) -> Result<Vec<u8>, Problem> {
        std::fs::read(self.public_log.join(path)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                problem::not_found(format_args!("{path} in the log yet"))
            }
            _ => problem::internal(&error),
        })
    }
}
