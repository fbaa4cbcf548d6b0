//! A node as the rest of the system sees it: attested facts only.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    facts::Limits,
    id::{ContainerId, Name},
    label::Labels,
    time::UnixMs,
};

/// What is known for certain about one container: what its host attested and its operator said.
/// Selectors match it and templates read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// The container ID.
    pub id: ContainerId,
    /// The container's name on its host, without the leading slash. Not unique across hosts.
    pub name: String,
    /// The host that vouches for it.
    pub host: Name,
    /// The image as it was asked for, such as `nginx:1.27`.
    pub image: String,
    /// The image's content digest as the engine gives it, such as `sha256:…`; empty if unknown.
    pub image_digest: String,
    /// The addresses that it holds now, sorted.
    pub addresses: Vec<Address>,
    /// Labels of all tiers.
    pub labels: Labels,
    /// When the container's process was started.
    pub started_at_ms: UnixMs,
    /// Its resource limits.
    pub limits: Limits,
}

impl NodeView {
    /// The address that a person would name first: the lowest IPv4, else the lowest IPv6.
    #[must_use]
    pub fn primary_ip(&self) -> Option<IpAddr> {
        self.addresses.iter().map(|address| address.ip).min()
    }
}
