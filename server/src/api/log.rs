//! The public log (C2SP tlog-tiles).

use dockmaster_proto::problem::Problem;
use dockmaster_tlog::tile::{EntriesId, TileId};
use http::{StatusCode, header};

use super::{Api, Reply, Request, problem, reply};

impl Api {
    pub(super) fn checkpoint(&self) -> Result<Reply, Problem> {
        let checkpoint = self.read_public("checkpoint")?;
        let reply = reply::bytes(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            checkpoint.into(),
        );
        Ok(reply::with_header(reply, header::CACHE_CONTROL, "no-cache"))
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
