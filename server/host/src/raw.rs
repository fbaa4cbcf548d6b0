//! The readers of what an engine or an inventory file says, on bytes: for tests that give them anything.
//! Nothing else needs them, so they stand in no documentation.

use std::path::Path;

use dockmaster_proto::{
    facts::ContainerFacts,
    id::{ContainerId, Name},
};

use crate::{
    docker::raw::{self, Networks},
    file::{self, FormatError},
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
