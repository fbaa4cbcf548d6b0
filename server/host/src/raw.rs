//! The readers of what an engine, an inventory file or another host says, on bytes: for tests that give them
//! anything.
//! Nothing else needs them, so they stand in no documentation.

use std::path::Path;

use dockmaster_proto::{
    error::chain,
    facts::ContainerFacts,
    id::{ContainerId, Name},
};
use futures_util::FutureExt as _;

use crate::{
    Observation,
    docker::raw::{self, Networks},
    file::{self, FormatError},
    remote::{self, Remit},
};

/// The container that one of the engine's events is about; `None` when it is no reason to look.
#[must_use]
pub fn event(event: &[u8]) -> Option<ContainerId> {
    raw::event(event)
}

/// What the engine's answer to an inspection says, among the networks that it lists; `None` when one of
/// the two cannot be used, or nothing runs.
#[must_use]
pub fn inspection(answer: &[u8], networks: &[u8], host: &Name) -> Option<ContainerFacts> {
    raw::inspection(answer, &Networks::of(networks, host)?)
}

/// The containers of an inventory file; `path` only decides between YAML and JSON.
///
/// # Errors
/// As for a file on disk.
pub fn inventory(text: &str, path: &Path, host: &Name) -> Result<Vec<ContainerFacts>, FormatError> {
    file::raw(text, path, host)
}

/// What the master takes up of a host's watch stream that brings these bytes, and whether the stream made
/// sense to its end, or why not.
#[expect(
    clippy::expect_used,
    reason = "bytes that are there are never waited for"
)]
pub fn heard(stream: &[u8], remit: &Remit) -> (Vec<Observation>, Result<(), String>) {
    let (observations, end) = remote::heard(stream, remit)
        .now_or_never()
        .expect("all bytes are there");
    (observations, end.map_err(|error| chain(&error)))
}
