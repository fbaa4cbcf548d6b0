//! Ledger entries: one line of JSON each, with a fixed order of fields and integers only.
//!
//! The raw bytes of an entry are what is hashed; nothing ever serialises an entry a second time.
//! Fields may be added at the end of an event; readers ignore fields that they do not know.

mod authority;
mod ban;
mod certificate;
mod host;
mod installation;
mod membership;
mod request;
mod token;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use authority::{
    CaRenewed, CaRolledBack, CaRotationFinished, CaRotationStarted, CaSwitched, CaSwitchedBack,
};
pub use ban::{NodeBanned, NodeUnbanned};
pub use certificate::{
    CertConfirmed, CertDenied, CertIssued, CertRevoked, Evidence, EvidenceKind, HeldAddress,
};
pub use host::{
    HostLost, HostWatched, LabelsChanged, LeaseCause, LeaseClosed, LeaseOpened, NodeGone,
    NodeObserved,
};
pub use installation::{
    BackupTaken, CaCreated, DocumentChanged, MasterStarted, OperatorGranted, Restored,
};
pub use membership::{HostEnrolled, HostEvicted, HostRefused, Reach};
pub use request::{PolicyChanged, RequestApproved, RequestDenied, RequestHeld};
pub use token::{TokenCreated, TokenRevoked, TokenUsed};

use crate::{
    id::{ContainerId, Digest, Name, Serial},
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
    /// A machine came back with a renewed certificate.
    CertConfirmed(CertConfirmed),
    /// A request for a certificate was refused.
    CertDenied(CertDenied),
    /// A certificate ended before its time.
    CertRevoked(CertRevoked),
    /// A container gets no certificate any more.
    NodeBanned(NodeBanned),
    /// A banned container may enroll again.
    NodeUnbanned(NodeUnbanned),
    /// The intermediate authorities were made anew under the same root.
    CaRenewed(CaRenewed),
    /// A new root is trusted beside the old one.
    CaRotationStarted(CaRotationStarted),
    /// Certificates are signed under the new root.
    CaSwitched(CaSwitched),
    /// Certificates are signed under the old root again.
    CaSwitchedBack(CaSwitchedBack),
    /// The old root is trusted no more.
    CaRotationFinished(CaRotationFinished),
    /// The new root is trusted no more.
    CaRolledBack(CaRolledBack),
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
    /// An operator made a join token.
    TokenCreated(TokenCreated),
    /// A machine came back with the certificate that a join token gave it.
    TokenUsed(TokenUsed),
    /// An operator took a join token back.
    TokenRevoked(TokenRevoked),
    /// A host may vouch for containers from now on.
    HostEnrolled(HostEnrolled),
    /// A host may vouch for nobody any more.
    HostEvicted(HostEvicted),
    /// A host vouched for what is not its own.
    HostRefused(HostRefused),
    /// Another policy is in force.
    PolicyChanged(PolicyChanged),
    /// A request for a certificate waits for an operator.
    RequestHeld(RequestHeld),
    /// An operator approved a held request.
    RequestApproved(RequestApproved),
    /// An operator denied a held request.
    RequestDenied(RequestDenied),
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
            Self::CertConfirmed(_) => "cert_confirmed",
            Self::CertDenied(_) => "cert_denied",
            Self::CertRevoked(_) => "cert_revoked",
            Self::NodeBanned(_) => "node_banned",
            Self::NodeUnbanned(_) => "node_unbanned",
            Self::CaRenewed(_) => "ca_renewed",
            Self::CaRotationStarted(_) => "ca_rotation_started",
            Self::CaSwitched(_) => "ca_switched",
            Self::CaSwitchedBack(_) => "ca_switched_back",
            Self::CaRotationFinished(_) => "ca_rotation_finished",
            Self::CaRolledBack(_) => "ca_rolled_back",
            Self::LabelsChanged(_) => "labels_changed",
            Self::ClassificationChanged(_) => "classification_changed",
            Self::SiteDeployed(_) => "site_deployed",
            Self::OperatorGranted(_) => "operator_granted",
            Self::BackupTaken(_) => "backup_taken",
            Self::Restored(_) => "restored",
            Self::TokenCreated(_) => "token_created",
            Self::TokenUsed(_) => "token_used",
            Self::TokenRevoked(_) => "token_revoked",
            Self::HostEnrolled(_) => "host_enrolled",
            Self::HostEvicted(_) => "host_evicted",
            Self::HostRefused(_) => "host_refused",
            Self::PolicyChanged(_) => "policy_changed",
            Self::RequestHeld(_) => "request_held",
            Self::RequestApproved(_) => "request_approved",
            Self::RequestDenied(_) => "request_denied",
        }
    }

    /// All names, for filters and their completion.
    pub const NAMES: [&'static str; 37] = [
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
        "cert_confirmed",
        "cert_denied",
        "cert_revoked",
        "node_banned",
        "node_unbanned",
        "ca_renewed",
        "ca_rotation_started",
        "ca_switched",
        "ca_switched_back",
        "ca_rotation_finished",
        "ca_rolled_back",
        "labels_changed",
        "classification_changed",
        "site_deployed",
        "operator_granted",
        "backup_taken",
        "restored",
        "token_created",
        "token_used",
        "token_revoked",
        "host_enrolled",
        "host_evicted",
        "host_refused",
        "policy_changed",
        "request_held",
        "request_approved",
        "request_denied",
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
            Self::CertConfirmed(event) => Some(&event.container),
            Self::CertDenied(event) => event.container.as_ref(),
            Self::CertRevoked(event) => event.container.as_ref(),
            Self::NodeBanned(event) => Some(&event.container),
            Self::NodeUnbanned(event) => Some(&event.container),
            Self::LabelsChanged(event) => Some(&event.container),
            Self::TokenUsed(event) => Some(&event.container),
            Self::HostRefused(event) => Some(&event.container),
            Self::RequestHeld(event) => Some(&event.container),
            Self::RequestApproved(event) => Some(&event.container),
            Self::RequestDenied(event) => Some(&event.container),
            Self::CaCreated(_)
            | Self::CaRenewed(_)
            | Self::CaRotationStarted(_)
            | Self::CaSwitched(_)
            | Self::CaSwitchedBack(_)
            | Self::CaRotationFinished(_)
            | Self::CaRolledBack(_)
            | Self::MasterStarted(_)
            | Self::HostWatched(_)
            | Self::HostLost(_)
            | Self::ClassificationChanged(_)
            | Self::SiteDeployed(_)
            | Self::OperatorGranted(_)
            | Self::BackupTaken(_)
            | Self::Restored(_)
            | Self::TokenCreated(_)
            | Self::TokenRevoked(_)
            | Self::HostEnrolled(_)
            | Self::HostEvicted(_)
            | Self::PolicyChanged(_) => None,
        }
    }

    /// The blobs that the event names. A site's list of files names more.
    pub fn blobs(&self) -> impl Iterator<Item = &Digest> {
        let blob = match self {
            Self::CertIssued(event) | Self::CertRenewed(event) => Some(&event.der_sha256),
            Self::ClassificationChanged(event) | Self::SiteDeployed(event) => Some(&event.sha256),
            Self::PolicyChanged(event) => Some(&event.policy_sha256),
            _ => None,
        };
        blob.into_iter()
    }

    /// The certificate that the event is about.
    #[must_use]
    pub const fn serial(&self) -> Option<&Serial> {
        match self {
            Self::CertIssued(event) | Self::CertRenewed(event) => Some(&event.serial),
            Self::CertConfirmed(event) => Some(&event.serial),
            Self::CertRevoked(event) => Some(&event.serial),
            Self::OperatorGranted(event) => Some(&event.serial),
            Self::HostEnrolled(event) => Some(&event.serial),
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
            Self::HostRefused(event) => event.addresses.iter().any(|address| address.ip == ip),
            Self::RequestHeld(event) => {
                event.source == ip || event.addresses.iter().any(|held| held.address.ip == ip)
            }
            _ => false,
        }
    }
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
