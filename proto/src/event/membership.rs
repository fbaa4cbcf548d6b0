//! Which hosts may vouch for containers.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    id::{ContainerId, Digest, Name, Serial},
    time::UnixMs,
};

/// Whether a host's containers may dial the master past the host's relay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Only connections that the host relays are its containers': their addresses mean nothing
    /// outside of it.
    #[default]
    Relay,
    /// The host's ranges are routed, so a connection that comes straight from an address in them is
    /// its container's too.
    Direct,
}

/// A host may vouch for containers from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEnrolled {
    /// The host.
    pub host: Name,
    /// The only ranges that it may vouch for; any where there are none.
    pub cidrs: Vec<IpNet>,
    /// How its containers reach the master.
    pub reach: Reach,
    /// Its first certificate, whose own entry follows.
    pub serial: Serial,
    /// SHA-256 of that certificate's public key (DER SubjectPublicKeyInfo).
    pub spki_sha256: Digest,
    /// That certificate is valid until.
    pub not_after_ms: UnixMs,
}

/// A host may vouch for nobody any more; the leases of its containers ended just before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEvicted {
    /// The host.
    pub host: Name,
}

/// A host said of a container what it may not say; nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRefused {
    /// The host.
    pub host: Name,
    /// The container.
    pub container: ContainerId,
    /// Why it was refused, in words.
    pub reason: String,
    /// The container's name, as the host says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The addresses that it does without, as the host says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
}
