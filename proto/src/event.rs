//! Ledger entries: one line of JSON each, with a fixed order of fields and integers only.
//!
//! The raw bytes of an entry are what is hashed; nothing ever serialises an entry a second time.
//! Fields may be added at the end of an event; readers ignore fields that they do not know.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    facts::ContainerFacts,
    id::{ContainerId, Digest, Name, Revision, Serial, TrustDomain},
    label::LabelChange,
    spiffe::SpiffeId,
    time::UnixMs,
};

/// The version that this code writes into `v`.
pub const ENTRY_VERSION: u8 = 1;

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of the format, 1.
    pub v: u8,
    /// When it was committed; strictly increasing over the whole log.
    pub ts_ms: UnixMs,
    /// What happened; its name is the field `event`, its own fields follow it.
    #[serde(flatten)]
    pub event: Event,
    /// The request that caused it; also in the answer's `x-request-id` and in the master's own log.
    pub request_id: String,
    /// Who caused it: a SPIFFE path such as `/operator/ada`, or `anyone@IP` for an unknown peer.
    pub actor: String,
    /// The master that committed it.
    pub master: Name,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A certificate authority of this installation was made.
    CaCreated(CaCreated),
    /// A master began to serve; anything about liveness before it is bounded by this.
    MasterStarted(MasterStarted),
    /// A host is being watched from now on: what it has not reported is not so.
    HostWatched(HostWatched),
    /// A host cannot be watched for the moment.
    HostLost(HostLost),
    /// A container holds an address from now on.
    LeaseOpened(LeaseOpened),
    /// A container holds an address no more.
    LeaseClosed(LeaseClosed),
    /// What a host attests of a container changed, or is known for the first time.
    NodeObserved(NodeObserved),
    /// A host says that a container's process ended.
    NodeGone(NodeGone),
    /// A first certificate for a key.
    CertIssued(CertIssued),
    /// A certificate with a new key on an open lease.
    CertRenewed(CertIssued),
    /// A request for a certificate was refused.
    CertDenied(CertDenied),
    /// A certificate ended before its time.
    CertRevoked(CertRevoked),
    /// An operator's labels of a node changed.
    LabelsChanged(LabelsChanged),
    /// A new classification is in force.
    ClassificationChanged(DocumentChanged),
    /// A new site is in force.
    SiteDeployed(DocumentChanged),
    /// An operator got a certificate.
    OperatorGranted(OperatorGranted),
    /// An operator fetched the keys for a backup.
    BackupTaken(BackupTaken),
    /// This data directory was made from a backup.
    Restored(Restored),
}

impl Event {
    /// The name that stands in the field `event`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CaCreated(_) => "ca_created",
            Self::MasterStarted(_) => "master_started",
            Self::HostWatched(_) => "host_watched",
            Self::HostLost(_) => "host_lost",
            Self::LeaseOpened(_) => "lease_opened",
            Self::LeaseClosed(_) => "lease_closed",
            Self::NodeObserved(_) => "node_observed",
            Self::NodeGone(_) => "node_gone",
            Self::CertIssued(_) => "cert_issued",
            Self::CertRenewed(_) => "cert_renewed",
            Self::CertDenied(_) => "cert_denied",
            Self::CertRevoked(_) => "cert_revoked",
            Self::LabelsChanged(_) => "labels_changed",
            Self::ClassificationChanged(_) => "classification_changed",
            Self::SiteDeployed(_) => "site_deployed",
            Self::OperatorGranted(_) => "operator_granted",
            Self::BackupTaken(_) => "backup_taken",
            Self::Restored(_) => "restored",
        }
    }

    /// All names, for filters and their completion.
    pub const NAMES: [&'static str; 18] = [
        "ca_created",
        "master_started",
        "host_watched",
        "host_lost",
        "lease_opened",
        "lease_closed",
        "node_observed",
        "node_gone",
        "cert_issued",
        "cert_renewed",
        "cert_denied",
        "cert_revoked",
        "labels_changed",
        "classification_changed",
        "site_deployed",
        "operator_granted",
        "backup_taken",
        "restored",
    ];

    /// The container that the event is about.
    #[must_use]
    pub const fn container(&self) -> Option<&ContainerId> {
        match self {
            Self::LeaseOpened(event) => Some(&event.container),
            Self::LeaseClosed(event) => Some(&event.container),
            Self::NodeObserved(event) => Some(&event.facts.id),
            Self::NodeGone(event) => Some(&event.container),
            Self::CertIssued(event) | Self::CertRenewed(event) => event.container.as_ref(),
            Self::CertDenied(event) => event.container.as_ref(),
            Self::CertRevoked(event) => event.container.as_ref(),
            Self::LabelsChanged(event) => Some(&event.container),
            Self::CaCreated(_)
            | Self::MasterStarted(_)
            | Self::HostWatched(_)
            | Self::HostLost(_)
            | Self::ClassificationChanged(_)
            | Self::SiteDeployed(_)
            | Self::OperatorGranted(_)
            | Self::BackupTaken(_)
            | Self::Restored(_) => None,
        }
    }

    /// The blobs that the event names. A site's list of files names more.
    pub fn blobs(&self) -> impl Iterator<Item = &Digest> {
        let blob = match self {
            Self::CertIssued(event) | Self::CertRenewed(event) => Some(&event.der_sha256),
            Self::ClassificationChanged(event) | Self::SiteDeployed(event) => Some(&event.sha256),
            _ => None,
        };
        blob.into_iter()
    }

    /// The certificate that the event is about.
    #[must_use]
    pub const fn serial(&self) -> Option<&Serial> {
        match self {
            Self::CertIssued(event) | Self::CertRenewed(event) => Some(&event.serial),
            Self::CertRevoked(event) => Some(&event.serial),
            Self::OperatorGranted(event) => Some(&event.serial),
            _ => None,
        }
    }

    /// Whether the event is about this IP.
    #[must_use]
    pub fn concerns_ip(&self, ip: IpAddr) -> bool {
        match self {
            Self::LeaseOpened(event) => event.address.ip == ip,
            Self::LeaseClosed(event) => event.address.ip == ip,
            Self::NodeObserved(event) => event
                .facts
                .attachments
                .iter()
                .any(|network| network.ips.contains(&ip)),
            Self::CertIssued(event) | Self::CertRenewed(event) => {
                event.addresses.iter().any(|held| held.address.ip == ip)
            }
            Self::CertDenied(event) => event.source == ip,
            _ => false,
        }
    }
}

/// A new certificate authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaCreated {
    /// The trust domain of the installation.
    pub trust_domain: TrustDomain,
    /// SHA-256 of the trust bundle: what agents pin.
    pub bundle_sha256: Digest,
    /// SHA-256 of each authority's DER certificate by its role: `root`, `intermediate`, `infra`.
    pub certificates: BTreeMap<String, Digest>,
}

/// A master began to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterStarted {
    /// The program's version.
    pub version: String,
    /// The log's size that it found.
    pub log_size: u64,
}

/// A host is being watched from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostWatched {
    /// The host.
    pub host: Name,
    /// How many containers ran when the watch began.
    pub containers: u64,
}

/// A host cannot be watched for the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLost {
    /// The host.
    pub host: Name,
    /// Why, in words.
    pub reason: String,
}

/// How a lease came to be or to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseCause {
    /// The host reported the start of the container or its connection to the network.
    Started,
    /// Found running when the watcher (re)connected: the true beginning may be earlier.
    Found,
    /// The host reported the container's end.
    Died,
    /// The host reported that the container left the network.
    Disconnected,
    /// Found gone when the watcher (re)connected: the true end may be earlier.
    Missing,
    /// Another container took the address.
    Superseded,
}

/// A container holds an address from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseOpened {
    /// The address.
    pub address: Address,
    /// Grows by one each time the address changes hands.
    pub epoch: u64,
    /// The holder.
    pub container: ContainerId,
    /// The holder's name.
    pub name: String,
    /// The image that it runs.
    pub image: String,
    /// The host that vouches for it.
    pub host: Name,
    /// Why.
    pub cause: LeaseCause,
}

/// A container holds an address no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseClosed {
    /// The address.
    pub address: Address,
    /// The epoch that ends.
    pub epoch: u64,
    /// Who held it.
    pub container: ContainerId,
    /// Why.
    pub cause: LeaseCause,
}

/// What a host attests of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeObserved {
    /// The host.
    pub host: Name,
    /// All of it.
    pub facts: ContainerFacts,
}

/// A container's process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGone {
    /// The container.
    pub container: ContainerId,
    /// Why it is known.
    pub cause: LeaseCause,
}

/// An address with the epoch of its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAddress {
    /// The address.
    pub address: Address,
    /// The lease's epoch.
    pub epoch: u64,
}

/// What supports a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// A host's inventory said that the peer's address is this container's.
    Host {
        /// The host.
        host: Name,
        /// SHA-256 of the facts (JSON) on which it rests.
        facts_sha256: Digest,
    },
    /// The master itself needs no other evidence than holding the key of the authority.
    Master,
}

/// A certificate was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertIssued {
    /// Who it speaks for.
    pub subject: SpiffeId,
    /// The container; none for a master's or an operator's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// The host that vouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Name>,
    /// The addresses in it, each with its lease's epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<HeldAddress>,
    /// The IPs in it that are no container's: a master's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<IpAddr>,
    /// Its serial number.
    pub serial: Serial,
    /// The key identifier of the authority that signed it, in hex.
    pub issuer_key_id: String,
    /// Valid from.
    pub not_before_ms: UnixMs,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// SHA-256 of the subject's public key (DER SubjectPublicKeyInfo).
    pub spki_sha256: Digest,
    /// SHA-256 of the certificate (DER); a blob of this name holds it.
    pub der_sha256: Digest,
    /// What the issuance rests on.
    pub evidence: Vec<Evidence>,
    /// The policy rule that allowed it.
    pub rule: String,
    /// The index of the entry of the node's previous certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<u64>,
}

/// A request for a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertDenied {
    /// Where it came from.
    pub source: IpAddr,
    /// The container that holds the address, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// The problem code that the requester was told.
    pub reason: String,
    /// The failing fact, in words.
    pub detail: String,
    /// How many like it came from the same source in the minute that this entry speaks for.
    pub count: u64,
}

/// A certificate ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertRevoked {
    /// The certificate.
    pub serial: Serial,
    /// The container that held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// Why, in words: `lease closed`, `container ended`, or an operator's.
    pub reason: String,
}

/// An operator's labels of a node changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelsChanged {
    /// The node.
    pub container: ContainerId,
    /// What changed.
    pub change: LabelChange,
}

/// A document is in force from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentChanged {
    /// Its revision.
    pub revision: Revision,
    /// SHA-256 of it; a blob of this name holds it.
    pub sha256: Digest,
    /// What its author said about it.
    pub message: String,
}

/// An operator got a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorGranted {
    /// The operator.
    pub operator: Name,
    /// What the operator may do: `admin`.
    pub role: String,
    /// The certificate's serial number.
    pub serial: Serial,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// SHA-256 of the certificate (DER).
    pub der_sha256: Digest,
}

/// An operator fetched the keys for a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupTaken {
    /// The size of the log at that time.
    pub log_size: u64,
}

/// A data directory was made from a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The size of the log in the backup.
    pub log_size: u64,
    /// Its root.
    pub root: Digest,
    /// When the backup was made.
    pub backup_at_ms: UnixMs,
    /// The verifier key of the log that this one took the entries from, where it is a new log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub previous_log: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_line_that_begins_with_version_time_and_event() {
        let entry = Entry {
            v: ENTRY_VERSION,
            ts_ms: UnixMs(7),
            event: Event::NodeGone(NodeGone {
                container: ContainerId::from_bytes([2; 32]),
                cause: LeaseCause::Died,
            }),
            request_id: "r1".into(),
            actor: "/host/h1".into(),
            master: "m1".parse().unwrap(),
        };
        let json = serde_json::to_string(&entry).unwrap();
        let container = "02".repeat(32);
        assert_eq!(
            json,
            format!(
                r#"{{"v":1,"ts_ms":7,"event":"node_gone","container":"{container}","cause":"died","request_id":"r1","actor":"/host/h1","master":"m1"}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry);
        assert!(Event::NAMES.contains(&entry.event.name()));
    }
}
