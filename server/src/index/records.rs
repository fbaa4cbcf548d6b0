//! What the index holds beside live nodes.

use std::net::IpAddr;

use dockmaster_proto::{
    address::Address,
    event::{CertIssued, HostRefused, LeaseCause},
    id::{ContainerId, Name, RequestId, Serial},
    time::UnixMs,
};
use serde::{Deserialize, Serialize};

/// A lease, open or closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// The address.
    pub address: Address,
    /// The epoch.
    pub epoch: u64,
    /// The holder.
    pub container: ContainerId,
    /// The holder's name at the time.
    pub name: String,
    /// The image that it ran.
    pub image: String,
    /// The host that vouched.
    pub host: Name,
    /// From.
    pub opened_at_ms: UnixMs,
    /// How that is known.
    pub opened_cause: LeaseCause,
    /// The index of the entry that says so.
    pub opened_index: u64,
    /// Until; none while it is open.
    pub closed_at_ms: Option<UnixMs>,
    /// How that is known.
    pub closed_cause: Option<LeaseCause>,
    /// The index of the entry that says so.
    pub closed_index: Option<u64>,
}

/// A certificate that names a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseCertificate {
    /// The certificate.
    pub serial: Serial,
    /// The index of its entry.
    pub index: u64,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// What the ledger says of it.
    pub issued: CertIssued,
    /// The index of its entry.
    pub index: u64,
    /// The container's name at the time; empty for a master's.
    pub name: String,
    /// Set when it was ended before its time. It lies under a key of its own.
    #[serde(skip)]
    pub revoked: Option<Revocation>,
}

/// The early end of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// When.
    pub at_ms: UnixMs,
    /// Why.
    pub reason: String,
}

/// An interval in which a host was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchRecord {
    /// The host.
    pub host: Name,
    /// From.
    pub since_ms: UnixMs,
    /// The last moment for which it is certain; none while it goes on.
    pub until_ms: Option<UnixMs>,
}

/// A request for a certificate that was refused or held, or some like it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialRecord {
    /// The index of the entry.
    pub index: u64,
    /// When.
    pub at_ms: UnixMs,
    /// Where it came from.
    pub source: IpAddr,
    /// The host that relayed it, or that said what it may not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Name>,
    /// The container, where one was known.
    pub container: Option<ContainerId>,
    /// The problem code, `held` or `host-refused`.
    pub code: String,
    /// The failing fact.
    pub detail: String,
    /// What the requester was told to do; empty in entries of versions that did not record it.
    pub hint: String,
    /// The policy rule; empty where none decided.
    pub rule: String,
    /// The request that was held.
    pub request: Option<RequestId>,
    /// How many.
    pub count: u64,
}

/// A container that its host reported and may not vouch for, and that is no node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRefusal {
    /// When the host was refused.
    pub at_ms: UnixMs,
    /// What was refused.
    pub refused: HostRefused,
}
