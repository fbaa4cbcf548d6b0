//! From bytes: see [`crate::raw`].

use dockmaster_proto::{
    facts::ContainerFacts,
    id::{ContainerId, Name},
};

use super::{
    facts::{self, Look},
    hint::{self, Hint},
    networks,
};

/// The engine's networks.
pub(crate) struct Networks(networks::Networks);

impl Networks {
    pub(crate) fn of(list: &[u8], host: &Name) -> Option<Self> {
        let list: Vec<bollard::models::Network> = serde_json::from_slice(list).ok()?;
        Some(Self(networks::Networks::read(list, host)))
    }
}

pub(crate) fn event(event: &[u8]) -> Option<ContainerId> {
    match hint::hint(&serde_json::from_slice(event).ok()?)? {
        Hint::Started(id) | Hint::Died(id, _) | Hint::Touched(id) => Some(id),
    }
}

pub(crate) fn inspection(answer: &[u8], networks: &Networks) -> Option<ContainerFacts> {
    match facts::read(serde_json::from_slice(answer).ok()?, &networks.0).ok()? {
        Look::Running { facts, .. } => Some(*facts),
        Look::Stopped => None,
    }
}
